//! What a scorer is.

/// How an answer is scored against its reference.
#[derive(Clone, Copy, Debug)]
pub struct Scorer {
    /// In `task.toml` and JSON: `exact_match`.
    pub name: &'static str,
    /// One line for docs, without a full stop.
    pub help: &'static str,
    /// Changes with what changes a score: kept scores of another version are not used.
    pub version: u32,
    /// What lm-evaluation-harness calls it, where it has the same score.
    pub harness: Option<&'static str>,
    /// What the model is asked for, and what becomes of it.
    pub asks: Asks,
}

/// What a scorer needs of the model for an item, with the score that follows.
#[derive(Clone, Copy, Debug)]
pub enum Asks {
    /// An answer in its own words.
    Answer {
        /// The score of an answer given a reference, 0 to 1; of several references the best counts.
        score: fn(answer: &str, reference: &str) -> f64,
        /// For scores that are 0 or 1: whether an answer that begins with a text may still be right, blanks before it
        /// left out. Then it is mostly known without the rest of the answer. `None`: every answer is needed.
        hope: Option<fn(begin: &str, reference: &str) -> bool>,
    },
    /// How likely each option is. What is compared between options: the item is right where the right option's is the
    /// largest, of equals the first.
    Options(fn(&Likelihood) -> f64),
    /// How likely the reference is, its end included. The score of it; of several references the best counts.
    Reference(fn(&Likelihood) -> f64),
}

/// How likely a text is after a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood<'a> {
    /// The text.
    pub text: &'a str,
    /// Its number of tokens, one at least.
    pub tokens: usize,
    /// Sum of the log-probabilities of its tokens in nats.
    pub log_probability: f64,
}

/// Whether `begin` is a beginning of `reference`, or all of it followed by nothing but characters that do not count.
pub(super) fn may_become(begin: &str, reference: &str, counts_not: fn(char) -> bool) -> bool {
    let ended = || begin.strip_prefix(reference).is_some_and(|more| more.chars().all(counts_not));
    reference.starts_with(begin) || ended()
}

/// Index of the largest value, of equals the first; not-a-number is none of them.
pub fn likeliest(values: &[f64]) -> Option<usize> {
    let known = values.iter().enumerate().filter(|(_, value)| !value.is_nan());
    known.max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i))).map(|(at, _)| at)
}

impl Scorer {
    /// Whether it lets the model choose between options.
    pub fn chooses(&self) -> bool {
        matches!(self.asks, Asks::Options(_))
    }

    /// Whether a smaller score is a better one, as of losses. Such scores are in nats, others are shares.
    pub fn is_loss(&self) -> bool {
        matches!(self.asks, Asks::Reference(_))
    }
}

/// One of the table: its name says which.
impl PartialEq for Scorer {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

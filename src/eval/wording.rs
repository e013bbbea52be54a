//! How the items of a task are put into words, and answers compared, beyond what each item says: what a task of
//! lm-evaluation-harness may say.

use std::borrow::Cow;

use crate::Result;
use crate::model::template::patterns;
use crate::train::Example;

/// How the items of a task are put into words. Equal where [`Self::identity`] says so.
#[derive(Clone, Debug)]
pub struct Wording {
    /// By item, what stands before its examples; none at all where nothing does.
    pub before: Vec<String>,
    /// Between an item and its answer, where no template says it.
    pub blank: String,
    /// Between an example and what follows, where no template says it.
    pub between: String,
    /// The choices are what is asked, each with the output as its answer (partial evaluation).
    pub contexts: bool,
    /// Texts that end an answer, where the task says them.
    pub stops: Option<Vec<String>>,
    /// Most tokens of an answer, where the task says it.
    pub max_tokens: Option<usize>,
    /// How answers are compared.
    pub matching: Matching,
    /// What is said above, as part of the names of kept results; empty where it is as everywhere.
    pub identity: String,
}

impl PartialEq for Wording {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Default for Wording {
    fn default() -> Self {
        Self {
            before: Vec::new(),
            blank: " ".into(),
            between: "\n\n".into(),
            contexts: false,
            stops: None,
            max_tokens: None,
            matching: Matching { trims: true, ..Matching::default() },
            identity: String::new(),
        }
    }
}

impl Wording {
    /// What is asked of an item, instruction and input; `context` is the choice that is asked, where choices are.
    pub fn asked<'e>(&self, item: &'e Example, context: Option<&'e str>) -> (&'e str, &'e str) {
        let right = || item.choices.get(item.answer?).map(String::as_str);
        match context.or_else(|| self.contexts.then(right).flatten()) {
            Some(context) => (context, ""),
            None => (&item.instruction, &item.input),
        }
    }

    /// What stands before an item and its examples.
    pub fn before(&self, item: usize) -> &str {
        self.before.get(item).map_or("", String::as_str)
    }
}

/// How answers are compared with references.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// Whether blanks around both do not count.
    pub trims: bool,
    /// What is taken out of both.
    pub removed: Vec<patterns::Pattern>,
    /// Whether case does not count.
    pub ignore_case: bool,
    /// The same of ASCII punctuation.
    pub ignore_punctuation: bool,
    /// The same of ASCII digits.
    pub ignore_numbers: bool,
    /// What an answer goes through before.
    pub filters: Vec<Filter>,
}

/// What an answer goes through before it is compared (`lm_eval/filters/`).
#[derive(Clone, Debug)]
pub enum Filter {
    /// What a pattern finds.
    Find {
        /// The pattern.
        pattern: patterns::Pattern,
        /// Which of its matches, from the end where negative.
        select: i64,
        /// What stands where there is none.
        fallback: String,
    },
    /// Without blanks around it.
    Trimmed,
    /// In small letters.
    Lower,
    /// In capital letters.
    Upper,
}

impl Filter {
    fn applied(&self, answer: &str) -> Result<String> {
        Ok(match self {
            Self::Find { pattern, select, fallback } => {
                let found = pattern.all(answer)?;
                let at = match usize::try_from(*select) {
                    Ok(at) => Some(at),
                    Err(_) => found.len().checked_add_signed(*select as isize),
                };
                let found = at.and_then(|at| found.get(at)).map(|found| found.trim().to_string());
                found.unwrap_or_else(|| fallback.clone())
            }
            Self::Trimmed => answer.trim().to_string(),
            Self::Lower => answer.to_lowercase(),
            Self::Upper => answer.to_uppercase(),
        })
    }
}

impl Matching {
    /// Whether answers are compared as their metric says, and in no other way.
    pub fn is_plain(&self) -> bool {
        let Self { trims, removed, ignore_case, ignore_punctuation, ignore_numbers, filters } = self;
        *trims
            && removed.is_empty()
            && filters.is_empty()
            && ![*ignore_case, *ignore_punctuation, *ignore_numbers].contains(&true)
    }

    /// What of an answer is compared.
    ///
    /// # Errors
    /// A pattern that takes too long.
    pub fn filtered(&self, answer: &str) -> Result<String> {
        self.filters.iter().try_fold(answer.to_string(), |answer, filter| filter.applied(&answer))
    }

    /// An answer or a reference without what does not count (`exact_match` in `lm_eval/api/metrics.py`).
    ///
    /// # Errors
    /// A pattern that takes too long.
    pub fn normal<'t>(&self, text: &'t str) -> Result<Cow<'t, str>> {
        let mut text = Cow::Borrowed(if self.trims { text.trim() } else { text });
        for pattern in &self.removed {
            text = Cow::Owned(pattern.removed(&text)?);
        }
        if self.ignore_case {
            text = Cow::Owned(text.to_lowercase());
        }
        if self.ignore_punctuation {
            text = Cow::Owned(text.chars().filter(|c| !c.is_ascii_punctuation()).collect());
        }
        if self.ignore_numbers {
            text = Cow::Owned(text.chars().filter(|c| !c.is_ascii_digit()).collect());
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, select: i64) -> Filter {
        Filter::Find {
            pattern: patterns::Pattern::new(pattern).unwrap(),
            select,
            fallback: "[invalid]".into(),
        }
    }

    #[test]
    fn filters_find_what_those_of_python_find() {
        // By RegexFilter of lm_eval 0.4.13.
        for (filter, answer, expected) in [
            (find(r"\b(True|False)\b", 0), " x False. True", "False"),
            (find(r"\b(True|False)\b", -1), " x False. True", "True"),
            (find(r"\b(True|False)\b", 0), "Yes", "[invalid]"),
            (find(r"(?:a(b)?|(c))", 0), "cab", "c"),
            (find(r"\d+ ", 1), "1 22 333", "22"),
            (find(r"x", 3), "xx", "[invalid]"),
            (Filter::Trimmed, "  a ", "a"),
            (Filter::Upper, "ß", "SS"),
        ] {
            assert_eq!(filter.applied(answer).unwrap(), expected, "{filter:?}");
        }
    }

    #[test]
    fn what_does_not_count_is_taken_out() {
        let removed = [r"\.$", ",", "\n"].map(|pattern| patterns::Pattern::new(pattern).unwrap()).to_vec();
        let matching = Matching { removed, ignore_case: true, ..Matching::default() };
        assert_eq!(matching.normal(" A, b.\n").unwrap(), " a b");
        let matching = Matching { ignore_punctuation: true, ignore_numbers: true, ..Matching::default() };
        assert_eq!(matching.normal("a-1 (b)").unwrap(), "a b");
        assert!(Wording::default().matching.is_plain() && !matching.is_plain());
    }
}

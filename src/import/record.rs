//! One example of a task, as it is written.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;

/// A row of a dataset that became an example.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record<'a> {
    /// What is asked.
    pub instruction: Cow<'a, str>,
    /// What it is asked about.
    pub input: Cow<'a, str>,
    /// The right answer.
    pub output: Cow<'a, str>,
    /// All right answers, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// What may be chosen, where it is a choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Index of the right choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<usize>,
    /// What of its turns is not written, each once; untrusted.
    #[serde(skip)]
    pub left_out: BTreeSet<String>,
}

/// Why a row is no example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It has no question, or no answer.
    Empty,
    /// What is wrong with it, and what to do.
    Bad(String),
}

impl Problem {
    /// What is wrong with a row.
    pub fn bad(what: impl Into<String>) -> Self {
        Self::Bad(what.into())
    }
}

impl Record<'_> {
    /// Its texts in characters.
    pub fn length(&self) -> usize {
        let texts = [&self.instruction, &self.input, &self.output];
        let lists = self.references.iter().chain(&self.choices);
        texts.iter().map(|text| text.chars().count()).sum::<usize>()
            + lists.map(|text| text.chars().count()).sum::<usize>()
    }

    /// Whether nothing is asked or answered.
    pub fn is_empty(&self) -> bool {
        self.output.trim().is_empty() || (self.instruction.trim().is_empty() && self.input.trim().is_empty())
    }
}

/// What an example is known by: its place in an order that depends on nothing but its content and a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Of what is asked: equal prompts are equal here.
    pub prompt: u64,
    /// Of what is answered.
    pub answer: u64,
}

impl Key {
    /// The key of an example under a seed.
    pub fn of(record: &Record<'_>, seed: u64) -> Self {
        let mut hash = Mixer::new(seed);
        hash.text(&record.instruction);
        hash.text(&record.input);
        // What may be chosen is asked, too, in whatever order it stands.
        let choice = |text: &String| {
            let mut hash = Mixer::new(seed);
            hash.text(text);
            hash.finish()
        };
        hash.word(record.choices.len() as u64);
        if !record.choices.is_empty() {
            hash.word(record.choices.iter().map(choice).fold(0, u64::wrapping_add));
        }
        let prompt = hash.finish();
        let mut hash = Mixer::new(seed ^ 1);
        hash.text(&record.output);
        hash.list(&record.references);
        Self { prompt, answer: hash.finish() }
    }
}

/// A hash that is the same on every machine: words of eight bytes, each folded in by a product of 128 bits.
pub struct Mixer(u64);

impl Mixer {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    /// An empty one.
    pub fn new(seed: u64) -> Self {
        Self(fold(seed ^ 0x2545_f491_4f6c_dd1d, Self::FACTOR))
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Mixer {
    /// Folds a number in.
    pub fn word(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, Self::FACTOR).wrapping_add(word.rotate_left(32));
    }

    /// Folds a text in, with its length.
    pub fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.word(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let mut last = [0; 8];
        let rest = words.remainder();
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }

    fn list(&mut self, texts: &[String]) {
        self.word(texts.len() as u64);
        texts.iter().for_each(|text| self.text(text));
    }

    /// The hash.
    pub fn finish(&self) -> u64 {
        // As splitmix64 ends: every bit depends on every bit.
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(instruction: &str, input: &str, output: &str) -> Record<'static> {
        let own = |text: &str| Cow::Owned(text.to_string());
        Record { instruction: own(instruction), input: own(input), output: own(output), ..Record::default() }
    }

    #[test]
    fn keys_follow_from_content_and_seed() {
        let key = |a, b, c| Key::of(&record(a, b, c), 42);
        assert_eq!(key("a", "b", "c"), key("a", "b", "c"));
        assert_eq!(key("a", "b", "c").prompt, key("a", "b", "d").prompt);
        assert_ne!(key("a", "b", "c").answer, key("a", "b", "d").answer);
        // Where one text ends and the next begins counts.
        assert_ne!(key("ab", "c", "x").prompt, key("a", "bc", "x").prompt);
        assert_ne!(Key::of(&record("a", "b", "c"), 1), key("a", "b", "c"));
        // Choices in another order are the same prompt, other choices are not.
        let of = |choices: [&str; 2]| {
            let choices = choices.map(String::from).to_vec();
            Key::of(&Record { choices, ..record("q", "", "yes") }, 42)
        };
        assert_eq!(of(["yes", "no"]), of(["no", "yes"]));
        assert_ne!(of(["yes", "no"]).prompt, of(["yes", "on"]).prompt);
        assert_ne!(of(["yes", "no"]).prompt, key("q", "", "yes").prompt);
        // What is written into task files depends on it: the same on every machine and in every version.
        assert_eq!(key("Add", "1 1", "2").prompt, 16_114_504_690_800_680_722);
    }

    #[test]
    fn keys_are_spread_evenly() {
        let mut counts = [0; 16];
        for i in 0..16_000 {
            counts[(Key::of(&record("q", &i.to_string(), "a"), 42).prompt >> 60) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}

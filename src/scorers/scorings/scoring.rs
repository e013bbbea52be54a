//! What a scoring is.

use crate::scorers::{Asks, Scorer};

/// A set of rules by which items are asked and scored. Scores of different ones are not comparable.
#[derive(Clone, Copy, Debug)]
pub struct Scoring {
    /// On the command line and in JSON: `lm-eval`.
    pub name: &'static str,
    /// One line for help and docs, without a full stop.
    pub help: &'static str,
    /// Changes with what changes a score: kept scores of another version are not used.
    pub version: u32,
    /// How answers follow their prompts.
    pub answers: Answers,
    /// Whether options end as answers do, with the template's end.
    pub ends_options: bool,
    /// Whether references do.
    pub ends_references: bool,
    /// A text that ends an answer, besides the model's ends.
    pub stop: Option<&'static str>,
    /// Most tokens of an answer; `None`: a few more than the longest reference of the split has.
    pub max_tokens: Option<usize>,
    /// By the name of a scorer: what it asks here, where that is something else.
    pub rules: &'static [(&'static str, Asks)],
}

/// How answers follow their prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Items are filled into the library's template; prompt and answer are split into tokens separately.
    InTemplate,
    /// Instruction and input are the prompt as they are; a blank and the answer follow, and both are split into tokens
    /// together.
    AfterBlank,
}

impl Scoring {
    /// What a scorer asks for under these rules.
    pub fn asks(&self, scorer: &Scorer) -> Asks {
        let own = self.rules.iter().find(|(name, _)| *name == scorer.name);
        own.map_or(scorer.asks, |(_, asks)| *asks)
    }
}

/// One of the table: its name says which.
impl PartialEq for Scoring {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

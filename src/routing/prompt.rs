//! A prompt in tokens.

use super::trace::Part;

/// A prompt in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Token ids.
    pub ids: Vec<u32>,
    /// What each token belongs to; as many as `ids`.
    pub parts: Vec<Part>,
}

impl Prompt {
    /// How many of its first tokens are no answer yet.
    pub fn asked(&self) -> usize {
        self.parts.iter().position(|part| *part == Part::Generated).unwrap_or(self.ids.len())
    }

    /// The same with an answer.
    #[must_use]
    pub fn answered(mut self, answer: &[u32]) -> Self {
        self.ids.extend_from_slice(answer);
        self.parts.resize(self.ids.len(), Part::Generated);
        self
    }

    /// Tokens that were all typed.
    pub fn of_tokens(ids: Vec<u32>) -> Self {
        Self { parts: vec![Part::Prompt; ids.len()], ids }
    }
}

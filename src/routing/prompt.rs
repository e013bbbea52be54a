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
    /// Tokens that were all typed.
    pub fn of_tokens(ids: Vec<u32>) -> Self {
        Self { parts: vec![Part::Prompt; ids.len()], ids }
    }
}

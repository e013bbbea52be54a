//! What a scorer is.

/// How an answer is scored against its reference.
#[derive(Clone, Copy, Debug)]
pub struct Scorer {
    /// In `task.toml` and JSON: `exact_match`.
    pub name: &'static str,
    /// One line for docs, without a full stop.
    pub help: &'static str,
    /// The score of an answer, 0 to 1, given the reference.
    pub score: fn(answer: &str, reference: &str) -> f64,
}

/// One of the table: its name says which.
impl PartialEq for Scorer {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

//! What is offered at the cursor.

/// One completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The whole word.
    pub text: String,
    /// One line, or nothing.
    pub help: String,
}

/// What a shell should offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub candidates: Vec<Candidate>,
    /// What the shell finds itself, in addition.
    pub paths: Paths,
}

/// Paths that the shell finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    #[default]
    None,
    Folders,
    Files,
}

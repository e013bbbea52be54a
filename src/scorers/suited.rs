//! Which scorer suits a task that names none, by what its answers look like.

use super::scorer::Scorer;
use super::{accuracy, choice, exact_match, rouge_l};

/// Answers up to this mean length are compared as a whole, longer ones by what they have in common.
const SHORT: u64 = 60;

/// What the answers of a task look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Whether items have options to choose from.
    pub has_choices: bool,
    /// Whether all answers are of a few labels.
    pub are_labels: bool,
    /// Mean number of their characters.
    pub mean_length: u64,
}

impl Scorer {
    /// The scorer of a task with such answers.
    pub fn suited(answers: Answered) -> Self {
        match answers {
            Answered { has_choices: true, .. } => choice::SCORER,
            Answered { are_labels: true, .. } => accuracy::SCORER,
            Answered { mean_length: ..=SHORT, .. } => exact_match::SCORER,
            Answered { .. } => rouge_l::SCORER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_scored_by_what_they_look_like() {
        let of = |has_choices, are_labels, mean_length| {
            Scorer::suited(Answered { has_choices, are_labels, mean_length }).name
        };
        assert_eq!((of(true, true, 900), of(false, true, 900)), ("choice", "accuracy"));
        assert_eq!((of(false, false, 60), of(false, false, 61)), ("exact_match", "rouge_l"));
    }
}

//! The rules of this program.

use super::scoring::{Answers, Scoring};

pub(super) const SCORING: Scoring = Scoring {
    name: "own",
    help: "Items in the library's template; options without an end, references with it",
    version: 1,
    answers: Answers::InTemplate,
    ends_options: false,
    ends_references: true,
    stop: None,
    max_tokens: None,
    rules: &[],
};

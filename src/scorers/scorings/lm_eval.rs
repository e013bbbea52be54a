//! The rules of lm-evaluation-harness (its `api/task.py` and `api/model.py`).

use super::scoring::{Answers, Scoring};
use crate::scorers::Asks;

/// Blanks count; those around answers that need not are taken away before.
const EQUAL: Asks = Asks::Answer { score: equal, hope: None };

pub(super) const SCORING: Scoring = Scoring {
    name: "lm-eval",
    help: "lm-evaluation-harness: items without a template, a blank before each answer, tokens of both made together; \
           answers end at an empty line",
    version: 2,
    answers: Answers::AfterBlank,
    ends_options: false,
    ends_references: false,
    stop: Some("\n\n"),
    max_tokens: Some(256),
    rules: &[("exact_match", EQUAL)],
};

fn equal(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(answer == reference))
}

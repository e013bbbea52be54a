//! The rules of lm-evaluation-harness (its `api/task.py` and `api/model.py`).

use super::scoring::{Answers, Scoring};

pub(super) const SCORING: Scoring = Scoring {
    name: "lm-eval",
    help: "lm-evaluation-harness: items without a template, a blank before each answer, tokens of both made together; \
           answers end at an empty line",
    version: 1,
    answers: Answers::AfterBlank,
    ends_options: false,
    ends_references: false,
    stop: Some("\n\n"),
    max_tokens: Some(256),
    rules: &[],
};

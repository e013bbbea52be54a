//! Exact match.

use super::scorer::{Asks, Scorer, may_become};

pub(super) const SCORER: Scorer = Scorer {
    name: "exact_match",
    help: "The output, trimmed, equals the reference",
    version: 1,
    harness: Some("exact_match"),
    asks: Asks::Answer { score, hope: Some(hope) },
};

fn score(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(answer.trim() == reference.trim()))
}

fn hope(begin: &str, reference: &str) -> bool {
    may_become(begin, reference.trim(), char::is_whitespace)
}

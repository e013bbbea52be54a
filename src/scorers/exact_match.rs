//! Exact match.

use super::scorer::{Asks, Scorer};

pub(super) const SCORER: Scorer = Scorer {
    name: "exact_match",
    help: "The output, trimmed, equals the reference",
    version: 1,
    asks: Asks::Answer { score, is_match: true },
};

fn score(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(answer.trim() == reference.trim()))
}

//! Accuracy of label tasks.

use super::scorer::{Asks, Scorer};

pub(super) const SCORER: Scorer = Scorer {
    name: "accuracy",
    help: "The same for tasks whose outputs are a few labels: case and a full stop are forgiven",
    version: 1,
    asks: Asks::Answer { score, is_match: false },
};

/// A base model that answers in a sentence's form is not counted wrong for it.
fn score(answer: &str, reference: &str) -> f64 {
    let label = |text: &str| text.trim().trim_end_matches('.').to_lowercase();
    f64::from(u8::from(label(answer) == label(reference)))
}

//! Accuracy of label tasks.

use super::scorer::{Asks, Scorer, may_become};

pub(super) const SCORER: Scorer = Scorer {
    name: "accuracy",
    help: "The same for tasks whose outputs are a few labels: case and a full stop are forgiven",
    version: 1,
    harness: None,
    asks: Asks::Answer { score, hope: Some(hope) },
};

fn label(text: &str) -> String {
    text.trim().trim_end_matches('.').to_lowercase()
}

/// A base model that answers in a sentence's form is not counted wrong for it.
fn score(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(label(answer) == label(reference)))
}

fn hope(begin: &str, reference: &str) -> bool {
    // A sigma looks otherwise where a word ends, which a beginning does not show.
    let small = |text: &str| -> String {
        text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
    };
    let reference = small(reference.trim().trim_end_matches('.'));
    may_become(&small(begin), &reference, |c| c == '.' || c.is_whitespace())
}

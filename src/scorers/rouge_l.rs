//! ROUGE-L, as the package rouge-score computes it with its stemmer.

use super::porter::stem;
use super::scorer::{Asks, Scorer};

pub(super) const SCORER: Scorer = Scorer {
    name: "rouge_l",
    help: "F1 of the longest common subsequence of stemmed words (ROUGE-L, as rouge-score computes it)",
    version: 1,
    harness: None,
    asks: Asks::Answer { score, hope: None },
};

/// Words shorter than this are not stemmed.
const STEMMED: usize = 4;

/// Small letters and digits; words of four letters at least as their stems.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let pieces = lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    pieces
        .filter(|word| !word.is_empty())
        .map(|word| if word.len() < STEMMED { word.to_string() } else { stem(word) })
        .collect()
}

/// Length of the longest common subsequence.
fn common(one: &[String], other: &[String]) -> usize {
    let mut row = vec![0usize; other.len() + 1];
    for word in one {
        let mut diagonal = 0;
        for (j, candidate) in other.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if word == candidate { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[other.len()]
}

fn score(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (words(answer), words(reference));
    if answer.is_empty() || reference.is_empty() {
        return 0.0;
    }
    let common = common(&answer, &reference) as f64;
    let (precision, recall) = (common / answer.len() as f64, common / reference.len() as f64);
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Made by `tests/fixtures/make_rouge_fixtures.py` with rouge-score and NLTK.
    const FIXTURE: &str = include_str!("../../tests/fixtures/rouge.json");

    /// The fixture, or the file that `tools/rouge` made.
    fn fixture() -> Value {
        let other = std::env::var_os("LORA_TUI_ROUGE").map(|path| std::fs::read_to_string(path).unwrap());
        serde_json::from_str(other.as_deref().unwrap_or(FIXTURE)).unwrap()
    }

    #[test]
    fn stems_are_those_of_nltk() {
        let fixture = fixture();
        let stems = fixture["stems"].as_object().unwrap();
        assert!(stems.len() > 300);
        for (word, expected) in stems {
            assert_eq!(stem(word), expected.as_str().unwrap(), "{word}");
        }
    }

    #[test]
    fn scores_are_those_of_rouge_score() {
        let fixture = fixture();
        let pairs = fixture["pairs"].as_array().unwrap();
        assert!(pairs.len() >= 300);
        for pair in pairs {
            let (answer, reference) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            let expected = pair[2].as_f64().unwrap();
            assert!(
                (score(answer, reference) - expected).abs() < 1e-9,
                "{answer:?} {reference:?} {expected}"
            );
        }
    }
}

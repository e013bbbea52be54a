//! F1 of words, as SQuAD's evaluation computes it.

use std::collections::HashMap;

use super::scorer::{Asks, Scorer};

pub(super) const SCORER: Scorer = Scorer {
    name: "token_f1",
    help: "F1 of words, without case, punctuation and English articles (as SQuAD's)",
    version: 1,
    harness: None,
    asks: Asks::Answer { score, hope: None },
};

/// Words in small letters without ASCII punctuation; without a, an and the.
fn words(text: &str) -> Vec<String> {
    let bare: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let mut spaced = String::with_capacity(bare.len());
    let mut rest = bare.as_str();
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        spaced.push_str(if matches!(piece, "a" | "an" | "the") { " " } else { piece });
        rest = after;
    }
    spaced.split_whitespace().map(String::from).collect()
}

fn score(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (words(answer), words(reference));
    if answer.is_empty() || reference.is_empty() {
        return f64::from(u8::from(answer == reference));
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    reference.iter().for_each(|word| *left.entry(word).or_default() += 1);
    let mut same = 0usize;
    for word in &answer {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            same += 1;
        }
    }
    2.0 * same as f64 / (answer.len() + reference.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_as_often_as_both_have_them() {
        for (answer, reference, expected) in [
            ("The cat sat.", "a cat sat", 1.0),
            ("cat cat dog", "cat dog dog", 4.0 / 6.0),
            ("in 1999, he said", "1999", 2.0 / 5.0),
            ("the", "a", 1.0),
            ("the", "cat", 0.0),
            ("dog", "cat", 0.0),
            ("Ärzte", "ärzte", 1.0),
        ] {
            assert!((score(answer, reference) - expected).abs() < 1e-12, "{answer} {reference}");
        }
    }
}

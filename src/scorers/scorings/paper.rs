//! The rules of mttl, the code of the paper.

use super::scoring::{Answers, Scoring};
use crate::scorers::{Asks, Likelihood};

const MATCH: Asks = Asks::Answer { score, hope: None };
const OPTIONS: Asks = Asks::Options(per_token);

pub(super) const SCORING: Scoring = Scoring {
    name: "paper",
    help: "mttl, the paper's code: options by their mean loss per token, their end included; matches without case, \
           punctuation and repeated blanks",
    version: 1,
    answers: Answers::InTemplate,
    ends_options: true,
    ends_references: true,
    stop: None,
    max_tokens: None,
    rules: &[("exact_match", MATCH), ("accuracy", MATCH), ("choice", OPTIONS), ("choice_norm", OPTIONS)],
};

fn per_token(option: &Likelihood) -> f64 {
    option.log_probability / option.tokens.max(1) as f64
}

fn score(answer: &str, reference: &str) -> f64 {
    let bare = |text: &str| -> Vec<String> {
        let text: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
        text.split_whitespace().map(String::from).collect()
    };
    f64::from(u8::from(bare(answer) == bare(reference)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_forgive_case_punctuation_and_blanks() {
        assert_eq!(score(" New  York.", "new york"), 1.0);
        assert_eq!(score("New York City", "new york"), 0.0);
    }
}

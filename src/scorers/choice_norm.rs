//! Multiple choice by log-likelihood per character, as lm-evaluation-harness's `acc_norm`.

use super::scorer::{Asks, Likelihood, Scorer};

pub(super) const SCORER: Scorer = Scorer {
    name: "choice_norm",
    help: "The same, with each option's sum divided by its number of characters",
    version: 1,
    harness: Some("acc_norm"),
    asks: Asks::Options(per_character),
};

fn per_character(option: &Likelihood) -> f64 {
    option.log_probability / option.text.chars().count().max(1) as f64
}

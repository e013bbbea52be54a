//! Multiple choice by log-likelihood.

use super::scorer::{Asks, Likelihood, Scorer};

pub(super) const SCORER: Scorer = Scorer {
    name: "choice",
    help: "The right option is the likeliest: the largest sum of log-probabilities of its tokens",
    version: 1,
    harness: Some("acc"),
    asks: Asks::Options(sum),
};

fn sum(option: &Likelihood) -> f64 {
    option.log_probability
}

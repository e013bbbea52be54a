//! Loss per token of the reference.

use super::scorer::{Asks, Likelihood, Scorer};

pub(super) const SCORER: Scorer = Scorer {
    name: "loss",
    help: "Cross-entropy per token of the reference, its end included, in nats: smaller is better",
    version: 1,
    harness: None,
    asks: Asks::Reference(per_token),
};

fn per_token(reference: &Likelihood) -> f64 {
    -reference.log_probability / reference.tokens.max(1) as f64
}

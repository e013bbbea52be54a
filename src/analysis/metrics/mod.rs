//! Similarity metrics.

use serde::Serialize;

/// How two experts are compared; formulas in the docs of each variant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Cosine of the sparsified, flattened A and B after a 64-dimensional truncated SVD (the paper's MBC).
    #[default]
    Mbc,
    /// Cosine of the flattened A and B.
    Flat,
    /// Cosine of ΔW, from the factors: any ranks, no ΔW formed.
    Delta,
}

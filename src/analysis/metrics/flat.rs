//! Cosine of the factors.

use super::MetricSpec;
use crate::analysis::weights::Product;

/// cos(x₁, x₂) with x the entries of A and B of all modules, one after the other.
pub(super) static METRIC: MetricSpec = MetricSpec {
    id: "flat",
    title: "flat A, B cosine",
    help: "Cosine of the flattened A and B",
    formula: "cos(x₁, x₂), x = all entries of A and B",
    uses_sparsity: false,
    equal_ranks: true,
    centred: false,
    of_other_seeds: "their A and B are nearly orthogonal, whatever they learnt; --metric delta still tells them apart",
    of_zeros: "all entries are zero",
    product: Product::Flat,
    embedding: None,
};

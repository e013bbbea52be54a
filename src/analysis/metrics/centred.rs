//! Cosine of the factors without what all experts have in common.

use super::MetricSpec;
use crate::analysis::weights::Product;

/// cos(x₁ − x̄, x₂ − x̄) with x the entries of A and B of all modules, of length 1, and x̄ the mean of the library.
/// Experts that were trained from one start share most of A: between such experts the cosine of the factors is large
/// whatever they learnt. Centring takes that away, at no cost: the matrix follows from the inner products of `flat`.
pub(super) static METRIC: MetricSpec = MetricSpec {
    id: "centred",
    title: "centred A, B cosine",
    help: "Cosine of the flattened A and B less the mean of all experts, such as their common start",
    formula: "cos(u₁ − ū, u₂ − ū), u = x / ‖x‖, ū their mean over the library; x = all entries of A and B",
    uses_sparsity: false,
    equal_ranks: true,
    centred: true,
    of_other_seeds: "their A and B are nearly orthogonal, whatever they learnt; --metric delta still tells them apart",
    of_zeros: "nothing tells it from the mean of all experts",
    product: Product::Flat,
    embedding: None,
};

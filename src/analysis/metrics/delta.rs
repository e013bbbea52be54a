//! Cosine of what the experts add to the weights.

use super::MetricSpec;
use crate::analysis::weights::Product;

/// cos(ΔW₁, ΔW₂) over all modules, with ⟨B₁A₁, B₂A₂⟩ = Σ (B₁ᵀB₂ ∘ A₁A₂ᵀ) and the scales.
pub(super) static METRIC: MetricSpec = MetricSpec {
    id: "delta",
    title: "ΔW cosine",
    help: "Cosine of ΔW, from the factors: any ranks, no ΔW formed",
    formula: "cos(ΔW₁, ΔW₂), ΔW = s·B·A of all modules; ⟨B₁A₁, B₂A₂⟩ = Σ (B₁ᵀB₂ ∘ A₁A₂ᵀ)",
    uses_sparsity: false,
    equal_ranks: false,
    centred: false,
    of_other_seeds: "their ΔW have less in common, also where they learnt alike",
    of_zeros: "ΔW is zero",
    product: Product::Delta,
    embedding: None,
};

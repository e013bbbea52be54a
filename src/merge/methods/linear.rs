//! The exact sum at its own rank.

use super::decompose::decompose;
use super::mean_weight;
use super::spec::MethodSpec;

/// ΔW = Σ wₑ sₑ Bₑ Aₑ, decomposed and cut to what is not rounding error: below 1e-7 of the largest singular value.
/// (PEFT's `linear` adds up A and B separately, so that its result has cross terms Bᵢ·Aⱼ.)
pub(super) static METHOD: MethodSpec = MethodSpec {
    id: "linear",
    help: "The exact weighted sum of the ΔW, at the smallest rank that represents it",
    formula: "ΔW = Σ w·s·B·A; singular values below 1e-7 of a module's largest count as rounding error (PEFT's \
              `linear` adds up A and B separately, with cross terms BᵢAⱼ)",
    rank: "the smallest that represents the sum",
    options: &[],
    truncates: false,
    entrywise: false,
    default_weight: mean_weight,
    combine: |parts, _| decompose(parts, None),
};

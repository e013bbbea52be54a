//! The best approximation of the sum at a rank.

use super::decompose::decompose;
use super::mean_weight;
use super::spec::{MergeOption, MethodSpec};

/// The nearest matrix of a given rank to ΔW = Σ wₑ sₑ Bₑ Aₑ (Eckart and Young, 1936).
pub(super) static METHOD: MethodSpec = MethodSpec {
    id: "svd",
    help: "The best approximation of the weighted sum at a chosen rank",
    formula: "argmin ‖X − Σ w·s·B·A‖ over X of rank R (Eckart and Young, 1936)",
    options: &[MergeOption::Rank],
    entrywise: false,
    default_weight: mean_weight,
    combine: |parts, recipe| decompose(parts, recipe.rank),
};

//! The best approximation of the sum at a rank.

use super::decompose::decompose;
use super::mean_weight;
use super::spec::MethodSpec;
use crate::merge::options::RANK;

/// The nearest matrix of a given rank to ΔW = Σ wₑ sₑ Bₑ Aₑ (Eckart and Young, 1936).
pub(super) static METHOD: MethodSpec = MethodSpec {
    id: "svd",
    help: "The best approximation of the weighted sum at a chosen rank",
    formula: "argmin ‖X − Σ w·s·B·A‖ over X of rank R (Eckart and Young, 1936)",
    rank: "`--rank`, else the largest of the experts",
    options: &[&RANK],
    truncates: true,
    entrywise: false,
    default_weight: mean_weight,
    combine: |parts, spec| decompose(parts, spec.rank),
};

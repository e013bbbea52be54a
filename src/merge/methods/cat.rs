//! All factors stacked.

use super::mean_weight;
use super::spec::{Combined, MethodSpec, ModuleParts};
use crate::merge::MergeSpec;

/// ΔW = Σ wₑ sₑ Bₑ Aₑ as [B₁ B₂ …] · [w₁s₁A₁; w₂s₂A₂; …].
pub(super) static METHOD: MethodSpec = MethodSpec {
    id: "cat",
    help: "The exact weighted sum of the ΔW, with all A and B stacked: the ranks add up",
    formula: "ΔW = Σ w·s·B·A; B = [B₁ B₂ …], A = [w₁s₁A₁; w₂s₂A₂; …]",
    rank: "the sum of the ranks",
    options: &[],
    truncates: false,
    entrywise: false,
    default_weight: mean_weight,
    combine,
};

/// All A below, all B beside each other; the factors go into A.
fn combine(at: &ModuleParts<'_>, _: &MergeSpec) -> Combined {
    let ModuleParts { parts, inputs, outputs, .. } = at;
    let (inputs, outputs) = (*inputs, *outputs);
    let rank: usize = parts.iter().map(|p| p.rank).sum();
    let a = parts.iter().flat_map(|p| p.a.iter().map(|&x| (f64::from(x) * p.factor) as f32)).collect();
    let mut b = Vec::with_capacity(outputs * rank);
    for row in 0..outputs {
        for part in parts {
            b.extend_from_slice(&part.b[row * part.rank..(row + 1) * part.rank]);
        }
    }
    Combined { rank, inputs, outputs, a, b, energy: 0.0, lost: 0.0 }
}

//! Methods on the entries of A and of B, each with weight √|factor|; the sign goes to A.

use super::spec::{Combined, ModuleParts};

/// Merges all A and all B with `merge`, which gets the tensors' name, the tensors and their weights.
pub(super) fn entrywise(
    at: &ModuleParts<'_>,
    merge: impl Fn(&str, &[&[f32]], &[f32]) -> Vec<f32>,
) -> Combined {
    let parts = &at.parts;
    let roots = || parts.iter().map(|p| (p.factor, p.factor.abs().sqrt()));
    let of_a: Vec<f32> = roots().map(|(factor, root)| root.copysign(factor) as f32).collect();
    let of_b: Vec<f32> = roots().map(|(_, root)| root as f32).collect();
    let a: Vec<&[f32]> = parts.iter().map(|p| p.a.as_slice()).collect();
    let b: Vec<&[f32]> = parts.iter().map(|p| p.b.as_slice()).collect();
    Combined {
        rank: parts.first().map_or(0, |p| p.rank),
        inputs: at.inputs,
        outputs: at.outputs,
        a: merge("A", &a, &of_a),
        b: merge("B", &b, &of_b),
        energy: 0.0,
        lost: 0.0,
    }
}

//! What the experts of a merge have at a module, and what is made of it.

use super::methods::{Combined, ModulePart, ModuleParts};
use super::select::{Selected, Selection};
use crate::library::NewLora;
use crate::{Error, Result};

/// What the experts have at a module, in their order, with these weights.
///
/// # Errors
/// What cannot be read; a module that nobody has.
pub(super) fn parts_at<'a>(
    selection: &'a Selection<'_>,
    module: &'a str,
    weights: &[f64],
) -> Result<ModuleParts<'a>> {
    let &(inputs, outputs) =
        selection.modules.get(module).ok_or_else(|| Error::msg(format!("{module} is gone; try again")))?;
    let mut parts = Vec::new();
    for (Selected { adapter, sha256, .. }, weight) in selection.experts.iter().zip(weights) {
        let Some(found) = adapter.module(module) else { continue };
        parts.push(ModulePart {
            rank: found.shape.rank,
            factor: weight * found.shape.scale,
            a: found.a()?,
            b: found.b()?,
            origin: sha256,
        });
    }
    Ok(ModuleParts { module, parts, inputs, outputs })
}

/// What was combined of `parts`, if it is finite.
///
/// # Errors
/// Values that are not, with the expert whose part is the largest.
pub(super) fn checked(
    parts: &ModuleParts<'_>,
    combined: Combined,
    selection: &Selection<'_>,
) -> Result<Combined> {
    let module = parts.module;
    // Whose part is the largest, as far as the bounds of its factors show.
    let largest = |values: &[f32]| values.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
    let finite = combined.a.iter().chain(&combined.b).all(|x| x.is_finite());
    if finite && largest(&combined.a) * largest(&combined.b) * combined.rank as f64 <= f64::from(f32::MAX) {
        return Ok(combined);
    }
    let bound = |part: &ModulePart| part.factor.abs() * largest(&part.a) * largest(&part.b);
    let names =
        selection.experts.iter().filter(|s| s.adapter.module(module).is_some()).map(|s| &s.adapter.name);
    let worst = names.zip(&parts.parts).max_by(|x, y| bound(x.1).total_cmp(&bound(y.1)));
    let who = worst.map_or(String::new(), |(name, _)| format!(", those of {name} the most"));
    Err(Error::msg(format!(
        "the merged {module} is not finite: the weights are too large, or the scales{who}"
    )))
}

/// All modules at one rank: what is missing is zero.
pub(super) fn padded(combined: Vec<(String, Combined)>, rank: usize) -> Vec<NewLora> {
    let pad = |(module, c): (String, Combined)| {
        let Combined { rank: own, inputs, outputs, mut a, b, .. } = c;
        a.resize(rank * inputs, 0.0);
        let b = if own == rank {
            b
        } else {
            let mut wide = vec![0.0; outputs * rank];
            for (to, from) in wide.chunks_exact_mut(rank).zip(b.chunks_exact(own.max(1))) {
                to[..own].copy_from_slice(from);
            }
            wide
        };
        NewLora { module, rank, in_features: inputs, out_features: outputs, a, b }
    };
    combined.into_iter().map(pad).collect()
}

//! The experts' factors at one module made into one pair.

use faer::Mat;

use super::sparsify::{add, drop_at_random, elect};
use super::{Method, Recipe};
use crate::analysis::linalg::{Qr, full_svd};

/// Singular values below this share of the largest are rounding error.
const ROUNDING: f64 = 1e-7;

/// One expert at one module.
pub(super) struct Part<'a> {
    pub rank: usize,
    /// Weight times scale.
    pub factor: f64,
    /// rank × in.
    pub a: Vec<f32>,
    /// out × rank.
    pub b: Vec<f32>,
    /// What identifies the expert's weights, for what is left to chance.
    pub origin: &'a str,
}

/// A module of the merged adapter: ΔW = B·A.
#[derive(Debug)]
pub(super) struct Combined {
    pub rank: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// rank × in.
    pub a: Vec<f32>,
    /// out × rank.
    pub b: Vec<f32>,
    /// ‖ΔW‖² before a truncation; 0 where none was asked for.
    pub energy: f64,
    /// How much of it was cut off.
    pub lost: f64,
}

/// Combines what the experts have at `module`, which maps `inputs` to `outputs` features.
pub(super) fn combine(
    module: &str,
    parts: &[Part<'_>],
    inputs: usize,
    outputs: usize,
    recipe: &Recipe,
) -> Combined {
    match recipe.method {
        Method::Cat => stack(parts, inputs, outputs),
        Method::Linear | Method::Svd => decompose(parts, inputs, outputs, recipe.rank),
        Method::Ties | Method::Dare => entrywise(module, parts, inputs, outputs, recipe),
    }
}

/// All A below, all B beside each other; the factors go into A.
fn stack(parts: &[Part<'_>], inputs: usize, outputs: usize) -> Combined {
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

/// The sum's singular value decomposition, cut to `rank` or to what is not rounding error. With Aᵀ = Q_A R_A
/// and B = Q_B R_B of the stacked factors, it is that of R_B R_Aᵀ, turned by Q_B and Q_A. √σ goes to each
/// side. f64 inside.
fn decompose(parts: &[Part<'_>], inputs: usize, outputs: usize, rank: Option<usize>) -> Combined {
    let all: usize = parts.iter().map(|p| p.rank).sum();
    let mut a = Mat::<f64>::zeros(inputs, all);
    let mut b = Mat::<f64>::zeros(outputs, all);
    let mut column = 0;
    for part in parts {
        for k in 0..part.rank {
            for (i, &x) in part.a[k * inputs..(k + 1) * inputs].iter().enumerate() {
                a[(i, column)] = part.factor * f64::from(x);
            }
            for i in 0..outputs {
                b[(i, column)] = f64::from(part.b[i * part.rank + k]);
            }
            column += 1;
        }
    }
    let (a, b) = (Qr::new(a), Qr::new(b));
    let core = b.r() * a.r().transpose();
    let size = core.nrows().min(core.ncols());
    let (u, sigma, v) = match full_svd(core.as_ref()) {
        Some(found) => found,
        // Finite weights whose product is not: the caller sees that the result is not finite.
        None => {
            let nan = |rows| Mat::from_fn(rows, size, |_, _| f64::NAN);
            (nan(core.nrows()), vec![f64::NAN; size], nan(core.ncols()))
        }
    };
    // Where A and B cancel to rounding error nothing is left.
    let noise =
        (1e-14 * a.r().norm_l2() * b.r().norm_l2()).max(ROUNDING * sigma.first().copied().unwrap_or(0.0));
    let used = sigma.iter().take_while(|&&s| s > noise || s.is_nan()).count();
    let kept = rank.map_or(used, |rank| rank.min(used));
    let energy = |sigma: &[f64]| sigma.iter().map(|s| s * s).sum::<f64>();
    let (total, lost) = (energy(&sigma[..used]), energy(&sigma[kept..used]));

    let side = |half: &Mat<f64>| Mat::from_fn(half.nrows(), kept, |i, j| half[(i, j)] * sigma[j].sqrt());
    let (left, right) = (b.times(side(&u).as_ref()), a.times(side(&v).as_ref()));
    // Signs are free: the largest entry of each row of A is positive, whatever the experts' order.
    let signs: Vec<f64> = (0..kept)
        .map(|j| {
            let largest =
                (0..inputs).map(|i| right[(i, j)]).fold(0.0f64, |m, x| if x.abs() > m.abs() { x } else { m });
            1f64.copysign(largest)
        })
        .collect();
    let at = |m: &Mat<f64>, i: usize, j: usize| (m[(i, j)] * signs[j]) as f32;
    Combined {
        rank: kept,
        inputs,
        outputs,
        a: (0..kept).flat_map(|j| (0..inputs).map(move |i| (i, j))).map(|(i, j)| at(&right, i, j)).collect(),
        b: (0..outputs).flat_map(|i| (0..kept).map(move |j| (i, j))).map(|(i, j)| at(&left, i, j)).collect(),
        energy: total,
        lost,
    }
}

/// TIES or DARE on the entries of A and of B, each with weight √|factor|; the sign goes to A.
fn entrywise(module: &str, parts: &[Part<'_>], inputs: usize, outputs: usize, recipe: &Recipe) -> Combined {
    let root = |p: &Part<'_>| p.factor.abs().sqrt();
    let of_a: Vec<f32> = parts.iter().map(|p| (root(p).copysign(p.factor)) as f32).collect();
    let of_b: Vec<f32> = parts.iter().map(|p| root(p) as f32).collect();
    let merge = |which: &str, tensors: Vec<&[f32]>, weights: &[f32]| match recipe.method {
        Method::Ties => elect(&tensors, weights, recipe.density),
        _ => {
            let thinned: Vec<Vec<f32>> = tensors
                .iter()
                .zip(parts)
                .map(|(tensor, part)| {
                    drop_at_random(tensor, recipe.density, recipe.seed, &[module, which, part.origin])
                })
                .collect();
            add(&thinned, weights)
        }
    };
    Combined {
        rank: parts.first().map_or(0, |p| p.rank),
        inputs,
        outputs,
        a: merge("A", parts.iter().map(|p| p.a.as_slice()).collect(), &of_a),
        b: merge("B", parts.iter().map(|p| p.b.as_slice()).collect(), &of_b),
        energy: 0.0,
        lost: 0.0,
    }
}

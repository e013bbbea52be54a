//! The sum of the experts' ΔW, decomposed without forming it.

use faer::Mat;

use super::spec::{Combined, ModuleParts};
use crate::analysis::linalg::{Qr, full_svd};

/// Singular values below this share of the largest are rounding error.
const ROUNDING: f64 = 1e-7;

/// The sum's singular value decomposition, cut to `rank` or to what is not rounding error. With Aᵀ = Q_A R_A
/// and B = Q_B R_B of the stacked factors, it is that of R_B R_Aᵀ, transformed by Q_B and Q_A. √σ goes to each
/// side. f64 inside.
pub(super) fn decompose(at: &ModuleParts<'_>, rank: Option<usize>) -> Combined {
    let ModuleParts { parts, inputs, outputs, .. } = at;
    let (inputs, outputs) = (*inputs, *outputs);
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

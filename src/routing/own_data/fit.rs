//! Logistic regression from a prompt's mean state to its expert.

use crate::matrix::{MatMut, MatRef, multiply};
use crate::{Cancel, Result};

/// Weight of the squared weights beside the mean cross-entropy.
const RIDGE: f64 = 1e-3;
const STEPS: usize = 300;

/// Weights [classes, width + 1], the bias last, that give the rows `x` [rows, width] their `labels` most surely:
/// mean cross-entropy of a softmax, with a little of the squared weights. Columns are standardised first, which the
/// weights then undo. The same rows give the same weights. `progress` hears how many of how many steps are done.
///
/// # Errors
/// A raised `cancel`.
pub(in crate::routing) fn fit(
    (x, width): (&[f64], usize),
    (labels, classes): (&[usize], usize),
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Vec<f32>> {
    let rows = labels.len();
    let (mean, scale) = columns(x, width, rows);
    let mut z: Vec<f64> = Vec::with_capacity(rows * (width + 1));
    for row in x.chunks(width.max(1)) {
        z.extend(row.iter().zip(&mean).zip(&scale).map(|((x, m), s)| (x - m) * s));
        z.push(1.0);
    }
    let inputs = width + 1;
    // The curvature is at most half the largest eigenvalue of ZᵀZ / rows, which is at most its trace.
    let trace = z.iter().map(|v| v * v).sum::<f64>() / rows.max(1) as f64;
    let step = 1.0 / (0.5 * trace.max(1e-12) + RIDGE);
    let (mut weights, mut before) = (vec![0f64; classes * inputs], vec![0f64; classes * inputs]);
    let (mut p, mut gradient) = (vec![0f64; rows * classes], vec![0f64; classes * inputs]);
    for t in 0..STEPS {
        cancel.check()?;
        progress(t, STEPS);
        // Nesterov's momentum.
        let momentum = t as f64 / (t as f64 + 3.0);
        let ahead: Vec<f64> =
            weights.iter().zip(&before).map(|(now, before)| now + momentum * (now - before)).collect();
        let (zs, ws) =
            (MatRef::rows(&z, (rows, inputs), inputs), MatRef::rows(&ahead, (classes, inputs), inputs));
        multiply(1.0, zs, ws.transposed(), 0.0, MatMut::rows(&mut p, (rows, classes), classes));
        for (p, &label) in p.chunks_mut(classes.max(1)).zip(labels) {
            let most = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            p.iter_mut().for_each(|v| *v = (*v - most).exp());
            let sum: f64 = p.iter().sum();
            p.iter_mut().for_each(|v| *v /= sum);
            p[label] -= 1.0;
        }
        let ps = MatRef::rows(&p, (rows, classes), classes);
        let share = 1.0 / rows.max(1) as f64;
        multiply(share, ps.transposed(), zs, 0.0, MatMut::rows(&mut gradient, (classes, inputs), inputs));
        before = std::mem::take(&mut weights);
        weights = ahead.iter().zip(&gradient).map(|(w, g)| w - step * (g + RIDGE * w)).collect();
    }
    let mut out = Vec::with_capacity(classes * inputs);
    for weights in weights.chunks(inputs) {
        let (of_columns, bias) = weights.split_at(width);
        let shift: f64 = of_columns.iter().zip(&mean).zip(&scale).map(|((w, m), s)| w * m * s).sum();
        out.extend(of_columns.iter().zip(&scale).map(|(w, s)| (w * s) as f32));
        out.push((bias.iter().sum::<f64>() - shift) as f32);
    }
    Ok(out)
}

/// Mean and 1 / deviation of every column; 0 where a column is constant.
fn columns(x: &[f64], width: usize, rows: usize) -> (Vec<f64>, Vec<f64>) {
    let count = rows.max(1) as f64;
    let (mut mean, mut square) = (vec![0f64; width], vec![0f64; width]);
    for row in x.chunks(width.max(1)) {
        mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count);
    }
    for row in x.chunks(width.max(1)) {
        square.iter_mut().zip(row).zip(&mean).for_each(|((s, x), m)| *s += (x - m) * (x - m) / count);
    }
    // What is left of a constant column is rounding.
    let varies = |(s, m): (&f64, &f64)| *s > 1e-20 * (1.0 + m * m);
    let scale = square.iter().zip(&mean);
    let scale = scale.map(|(s, m)| if varies((s, m)) { 1.0 / s.sqrt() } else { 0.0 }).collect();
    (mean, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_can_be_told_apart_get_their_labels() {
        let labels: Vec<usize> = (0..60).map(|i| i % 3).collect();
        let noise = |i: usize| ((i * 7919 % 101) as f64 / 101.0 - 0.5) * 0.8;
        let row = |(i, label): (usize, &usize)| {
            let at = *label as f64;
            [100.0 + at + noise(i), (at - 1.0).abs() + noise(i + 60), 5.0]
        };
        let x: Vec<f64> = labels.iter().enumerate().flat_map(row).collect();
        let fit = |cancel: &Cancel| fit((&x, 3), (&labels, 3), &mut |_, _| {}, cancel);
        let weights = fit(&Cancel::new()).unwrap();
        let guess = |x: &[f64]| {
            let score = |c: usize| -> f64 {
                let w = &weights[c * 4..c * 4 + 4];
                x.iter().zip(w).map(|(x, w)| x * f64::from(*w)).sum::<f64>() + f64::from(w[3])
            };
            (0..3).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap()
        };
        let right = x.chunks(3).zip(&labels).filter(|(x, label)| guess(x) == **label).count();
        assert!(right >= 57, "{right} of 60");
        assert_eq!(weights, fit(&Cancel::new()).unwrap());
        let stopped = Cancel::new();
        stopped.cancel();
        assert!(fit(&stopped).is_err());
    }
}

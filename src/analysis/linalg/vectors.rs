//! Operations on vectors in f64.

/// Inner product, in eight partial sums so that it compiles to vector code.
pub(in crate::analysis) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in left.zip(right) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f64>() + tail
}

/// `sum` += `factor` · `vector`.
pub(in crate::analysis) fn add(sum: &mut [f64], vector: &[f64], factor: f64) {
    for (s, x) in sum.iter_mut().zip(vector) {
        *s += factor * x;
    }
}

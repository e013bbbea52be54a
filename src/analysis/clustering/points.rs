//! The rows of a similarity matrix as points.

use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::kmeans::Points;
use crate::analysis::linalg::row_products;
use crate::analysis::similarity::Similarity;

/// The rows of the matrix as points. Where the matrix has low rank (MBC: 64), the rows are expressed in
/// an orthonormal basis of their span, which leaves all distances as they are and costs less.
pub(super) fn points(similarity: &Similarity) -> Points {
    const BASIS: usize = 80;
    const SMALL: usize = 3 * BASIS;
    /// Rows that one thread multiplies at a time.
    const ROWS: usize = 32;
    let n = similarity.len();
    let whole = || similarity.matrix.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    if n <= SMALL {
        return Points { count: n, width: n, data: whole() };
    }
    // S · rightᵀ, N × BASIS, for BASIS rows of N.
    let times = |right: &[f64]| -> Vec<f64> {
        let mut product = vec![0.0f64; n * BASIS];
        let blocks = similarity.matrix.par_chunks(ROWS * n).zip(product.par_chunks_mut(ROWS * BASIS));
        blocks.for_each(|(rows, product)| {
            let rows: Vec<f64> = rows.iter().map(|&x| f64::from(x)).collect();
            row_products(product, &rows, right, n);
        });
        product
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0x5eed);
    let random: Vec<f64> = (0..BASIS * n).map(|_| rng.random_range(-1.0..1.0f64)).collect();
    let image = times(&random);
    let basis = Mat::from_fn(n, BASIS, |i, k| image[i * BASIS + k]).qr().compute_thin_Q();
    let basis: Vec<f64> =
        (0..BASIS).flat_map(|k| basis.col(k).iter().copied().collect::<Vec<f64>>()).collect();
    let reduced = times(&basis);
    let squares: f64 = similarity.matrix.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    // What the basis misses, per row: above f32's own rounding the rank is not low.
    let missed = (squares - reduced.iter().map(|x| x * x).sum::<f64>()) / n as f64;
    if missed.is_finite() && missed <= 1e-9 {
        Points { count: n, width: BASIS, data: reduced }
    } else {
        Points { count: n, width: n, data: whole() }
    }
}

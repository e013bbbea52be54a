//! The metric of model-based clustering (MBC).

use rayon::prelude::*;

use super::{Comparison, MetricMatrix, MetricSpec};
use crate::analysis::gram::Gram;
use crate::analysis::linalg::eigen::{self, Symmetric};
use crate::analysis::linalg::row_products;
use crate::analysis::weights::{Product, Scan};
use crate::{Cancel, Result};

/// Dimensions of the embedding.
const EMBEDDING: usize = 64;
/// Rows of the matrix that one thread computes at a time.
const ROWS: usize = 64;

/// Ostapenko et al., ICML 2024: per expert, entries of the flattened A and B whose magnitude is at most the
/// `sparsity` quantile become 0; a truncated SVD without centring keeps 64 dimensions; rows are normalised; the
/// matrix holds their cosines. The SVD is exact, from the eigenpairs of the Gram matrix; up to 64 experts it
/// changes nothing and is left out.
pub(super) static METRIC: MetricSpec = MetricSpec {
    id: "mbc",
    title: "MBC",
    help: "Cosine of the sparsified, flattened A and B after a 64-dimensional truncated SVD (the paper's MBC)",
    formula: "cos(y₁, y₂), y = 64-dimensional truncated SVD, not centred, of x where |x| exceeds its `sparsity` \
              quantile, else 0; x = all entries of A and B (Ostapenko et al., ICML 2024)",
    uses_sparsity: true,
    equal_ranks: true,
    of_other_seeds: "their A and B are nearly orthogonal, whatever they learnt",
    of_zeros: "all entries are zero",
    rounds: |experts| if experts > EMBEDDING { 2 } else { 1 },
    matrix,
};

fn matrix(comparison: &mut Comparison<'_>) -> Result<MetricMatrix> {
    let mut gram = comparison.gram(Product::Flat)?;
    if gram.size() <= EMBEDDING {
        return Ok(MetricMatrix { values: gram.cosines(), warnings: Vec::new() });
    }
    restore_sizes(&mut gram, &comparison.alignment.scans);
    let cancel = comparison.cancel;
    let (values, inexact) = truncated_cosines(&gram, &mut comparison.round(), cancel)?;
    let warning = inexact.map(|residual| {
        format!(
            "the {EMBEDDING} dimensions of the embedding hardly stand out from the rest: they are known only up to {residual:.0e} of the largest"
        )
    });
    Ok(MetricMatrix { values, warnings: warning.into_iter().collect() })
}

/// Undoes the scaling by powers of two, up to one common factor: the embedding, unlike a cosine, depends
/// on the experts' relative sizes.
fn restore_sizes(gram: &mut Gram, scans: &[Scan]) {
    let exponents: Vec<i32> = scans.iter().map(|s| s.exponent_a.max(s.exponent_b)).collect();
    let largest = exponents.iter().copied().max().unwrap_or(0);
    let factors: Vec<f64> = exponents.iter().map(|e| 2.0f64.powi(e - largest)).collect();
    gram.rescale(&factors);
}

/// Cosines of the rows of U√λ over the largest 64 eigenpairs: the truncated SVD's embedding; with what
/// [`eigen::Pairs::inexact`] says of them.
fn truncated_cosines(
    gram: &Gram,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<(Vec<f32>, Option<f64>)> {
    let n = gram.size();
    let pairs = eigen::largest(gram, EMBEDDING, progress, cancel)?;
    let width = pairs.values.len();
    let weights: Vec<f64> = pairs.values.iter().map(|v| v.max(0.0).sqrt()).collect();
    // Below this a row is rounding error of the decomposition, not a direction.
    let noise = 1e-13 * weights.first().copied().unwrap_or(0.0);
    let mut rows = vec![0.0f64; n * width];
    for (i, row) in rows.chunks_exact_mut(width.max(1)).enumerate() {
        for (k, x) in row.iter_mut().enumerate() {
            *x = pairs.vectors[k][i] * weights[k];
        }
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        let kept = norm > noise && gram.entry(i, i) > 0.0;
        row.iter_mut().for_each(|x| *x = if kept { *x / norm } else { 0.0 });
    }
    cancel.check()?;
    let mut matrix = vec![0.0f32; n * n];
    matrix.par_chunks_mut(ROWS * n).enumerate().for_each(|(block, out)| {
        let first = block * ROWS;
        let count = out.len() / n;
        let mut cosines = vec![0.0f64; count * (n - first)];
        row_products(
            &mut cosines,
            &rows[first * width..(first + count) * width],
            &rows[first * width..],
            width,
        );
        for (i, (out, cosines)) in out.chunks_exact_mut(n).zip(cosines.chunks_exact(n - first)).enumerate() {
            for (value, cosine) in out[first..].iter_mut().zip(cosines) {
                *value = cosine.clamp(-1.0, 1.0) as f32;
            }
            let own = rows[(first + i) * width..(first + i + 1) * width].iter().any(|&x| x != 0.0);
            out[first + i] = if own { 1.0 } else { 0.0 };
        }
    });
    mirror(&mut matrix, n);
    Ok((matrix, pairs.inexact))
}

/// Copies what is above the diagonal of an N × N matrix to below it, in squares that stay in the cache.
fn mirror(matrix: &mut [f32], n: usize) {
    for rows in (0..n).step_by(ROWS) {
        for columns in (0..=rows).step_by(ROWS) {
            for i in rows..(rows + ROWS).min(n) {
                for j in columns..(columns + ROWS).min(i) {
                    matrix[i * n + j] = matrix[j * n + i];
                }
            }
        }
    }
}

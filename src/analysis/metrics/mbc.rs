//! The metric of model-based clustering (MBC).

use super::spec::{Embed, MetricSpec};
use crate::analysis::embedding::Embedding;
use crate::analysis::gram::Gram;
use crate::analysis::linalg::eigen::{self, Symmetric};
use crate::analysis::weights::Product;
use crate::{Cancel, Result};

/// Dimensions of the embedding.
const EMBEDDING: usize = 64;

/// Ostapenko et al., ICML 2024: per expert, entries of the flattened A and B whose magnitude is at most the
/// `sparsity` quantile become 0; a truncated SVD without centring keeps 64 dimensions; rows are normalised; the
/// matrix has their cosines. The SVD is exact, from the eigenpairs of the Gram matrix; up to 64 experts it
/// changes nothing and is left out.
pub(super) static METRIC: MetricSpec = MetricSpec {
    id: "mbc",
    title: "MBC",
    help: "Cosine of the sparsified, flattened A and B after a 64-dimensional truncated SVD (the paper's MBC)",
    formula: "cos(y₁, y₂), y = 64-dimensional truncated SVD, not centred, of x where |x| exceeds its `sparsity` \
              quantile, else 0; x = all entries of A and B (Ostapenko et al., ICML 2024)",
    uses_sparsity: true,
    equal_ranks: true,
    centred: false,
    of_other_seeds: "their A and B are nearly orthogonal, whatever they learnt; --metric delta still tells them apart",
    of_zeros: "all entries are zero",
    product: Product::Flat,
    embedding: Some(Embed { above: EMBEDDING, embed, warning }),
};

/// The rows of U√λ over the largest 64 eigenpairs, normalised: the truncated SVD's embedding.
fn embed(mut gram: Gram, progress: &mut dyn FnMut(usize, usize), cancel: &Cancel) -> Result<Embedding> {
    gram.normalise();
    let n = gram.size();
    let pairs = eigen::largest(&gram, EMBEDDING, progress, cancel)?;
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
    Ok(Embedding { width, rows, inexact: pairs.inexact })
}

fn warning(residual: f64) -> String {
    format!(
        "the {EMBEDDING} dimensions of the embedding hardly stand out from the rest: they are known only up to \
         {residual:.0e} of the largest"
    )
}

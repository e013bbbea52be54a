//! The N × N similarity of experts under each metric.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::gram::{Gram, gram};
use super::linalg::eigen::{self, Symmetric};
use super::linalg::row_products;
use super::metrics::Metric;
use super::skipped::nothing_left;
use super::spread::Spread;
use super::weights::{Alignment, Product, Scan, flattened_size, scan};
use crate::library::Expert;
use crate::settings::BELOW_ONE;
use crate::{Cancel, Error, Result};

/// An N × N similarity matrix.
#[derive(Clone, Debug)]
pub struct Similarity {
    pub metric: Metric,
    /// Quantile below which entries of an expert are zeroed (MBC only).
    pub sparsity: f64,
    /// Names in the order of rows and columns.
    pub experts: Vec<String>,
    /// Row-major N × N, values in [-1, 1].
    pub matrix: Vec<f32>,
    /// Things a reader should know (experts that started from different seeds, …).
    pub warnings: Vec<String>,
    /// Experts left out, with the reason.
    pub skipped: Vec<(String, String)>,
    /// What [`Self::spread`] found.
    pub known_spread: OnceLock<Spread>,
}

impl Similarity {
    /// How the values are spread: looks at all of them when first asked.
    pub fn spread(&self) -> &Spread {
        self.known_spread.get_or_init(|| Spread::of(&self.matrix, self.len()))
    }

    /// Number of experts.
    pub fn len(&self) -> usize {
        self.experts.len()
    }

    /// Whether there is nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.experts.is_empty()
    }

    /// Similarity of experts `row` and `column`.
    pub fn get(&self, row: usize, column: usize) -> f32 {
        self.matrix[row * self.experts.len() + column]
    }
}

/// Dimensions of the MBC embedding.
const EMBEDDING: usize = 64;
/// Experts scanned between two looks at the cancel flag and the progress.
const SCAN_STEP: usize = 16;
/// Rows of the matrix that one thread computes at a time.
const ROWS: usize = 64;

/// Compares all experts with each other.
///
/// * [`Metric::Mbc`] (Ostapenko et al., ICML 2024): per expert, entries of the flattened A and B whose
///   magnitude is at most the `sparsity` quantile become 0; a truncated SVD without centring keeps 64
///   dimensions; rows are normalised; the matrix holds their cosines. The SVD is exact, from the
///   eigenpairs of the Gram matrix; up to 64 experts it changes nothing and is left out.
/// * [`Metric::Flat`]: cosine of the flattened A and B, whole.
/// * [`Metric::Delta`]: cosine of ΔW over all modules, ⟨B₁A₁, B₂A₂⟩ = Σ (B₁ᵀB₂ ∘ A₁A₂ᵀ), with scales.
///
/// Modules that an expert lacks count as zeros, also for the quantile. A zero vector has similarity 0
/// to everything, itself included. Experts that are bad, made for another base model than most
/// of their library, cannot be read or hold NaN or infinite weights are left out with their reason. `progress` gets (done, total) without a unit. Memory: N × N and
/// blocks of bounded size; the result does not depend on the number of threads.
///
/// # Errors
/// A sparsity outside 0 ≤ s < 1; no usable expert; experts of different base models; for `mbc` and
/// `flat`, two experts with different ranks at one module; [`Error::Cancelled`].
pub fn similarity(
    experts: &[&Expert],
    metric: Metric,
    sparsity: f64,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Similarity> {
    if !BELOW_ONE.contains(sparsity) {
        return Err(Error::usage(format!(
            "sparsity {sparsity} is not a share: it must be {}",
            BELOW_ONE.words
        )));
    }
    let sparsity = if metric == Metric::Mbc { sparsity } else { 0.0 };
    let usable: Vec<&Expert> = experts.iter().copied().filter(|e| e.incomparable().is_none()).collect();
    let reason = |e: &&Expert| Some((e.name.clone(), e.incomparable()?.to_string()));
    let mut skipped: Vec<(String, String)> = experts.iter().filter_map(reason).collect();
    // Scanning, multiplying and, where it is needed, the embedding count alike.
    let steps = usable.len();
    let total = if metric == Metric::Mbc && steps > EMBEDDING { 3 * steps } else { 2 * steps };
    let (usable, scans) =
        scan_all(usable, sparsity, &mut skipped, &mut |done| progress(done, total), cancel)?;
    skipped.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    if usable.is_empty() {
        return Err(nothing_left(&skipped));
    }

    let product = if metric == Metric::Delta { Product::Delta } else { Product::Flat };
    let layout = Alignment::new(usable, scans, metric != Metric::Delta)?;
    let on_group = &mut |done: usize, of: usize| progress(steps + steps * done / of.max(1), total);
    let mut gram = gram(&layout, product, on_group, cancel)?;
    if !gram.is_finite() {
        return Err(Error::msg(
            "the similarity is not finite: the scales (alpha / r) of an expert are too large",
        ));
    }
    let mut inexact = None;
    let matrix = if metric == Metric::Mbc && layout.len() > EMBEDDING {
        restore_sizes(&mut gram, &layout.scans);
        let on_step = &mut |done: usize, of: usize| progress(2 * steps + steps * done / of.max(1), total);
        let matrix;
        (matrix, inexact) = truncated_cosines(&gram, on_step, cancel)?;
        matrix
    } else {
        gram.cosines()
    };
    progress(total, total);
    let names: Vec<String> = layout.experts.iter().map(|e| e.name.clone()).collect();
    let mut warnings = warnings(&layout, metric, &names, &matrix);
    warnings.extend(inexact.map(|residual| {
        format!(
            "the {EMBEDDING} dimensions of the embedding hardly stand out from the rest: they are known only up to {residual:.0e} of the largest"
        )
    }));
    Ok(Similarity {
        metric,
        sparsity,
        experts: names,
        matrix,
        warnings,
        skipped,
        known_spread: Default::default(),
    })
}

/// Scans every expert; those that fail move to `skipped`. The threshold depends on the modules of the
/// experts that stay, so a failure that takes modules along repeats the scan.
fn scan_all<'a>(
    mut experts: Vec<&'a Expert>,
    sparsity: f64,
    skipped: &mut Vec<(String, String)>,
    progress: &mut dyn FnMut(usize),
    cancel: &Cancel,
) -> Result<(Vec<&'a Expert>, Vec<Scan>)> {
    loop {
        let size = flattened_size(&experts);
        let mut kept = Vec::with_capacity(experts.len());
        let mut scans = Vec::with_capacity(experts.len());
        for (step, some) in experts.chunks(SCAN_STEP).enumerate() {
            cancel.check()?;
            progress(step * SCAN_STEP);
            let found: Vec<Result<Scan>> = some.par_iter().map(|e| scan(e, sparsity, size)).collect();
            for (expert, found) in some.iter().zip(found) {
                match found {
                    Ok(scan) => {
                        kept.push(*expert);
                        scans.push(scan);
                    }
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) => skipped.push((expert.name.clone(), error.to_string())),
                }
            }
        }
        if sparsity == 0.0 || flattened_size(&kept) == size {
            return Ok((kept, scans));
        }
        experts = kept;
    }
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

/// What a reader of the matrix should know.
fn warnings(layout: &Alignment<'_>, metric: Metric, names: &[String], matrix: &[f32]) -> Vec<String> {
    let mut warnings = Vec::new();
    let seeded: Vec<(&str, u64)> =
        layout.experts.iter().filter_map(|e| Some((e.name.as_str(), e.provenance.as_ref()?.seed?))).collect();
    if let Some(&(first, seed)) = seeded.first()
        && let Some((other, other_seed)) = seeded.iter().find(|(_, s)| *s != seed)
    {
        let effect = match metric {
            Metric::Delta => "their input directions differ from the start",
            Metric::Mbc | Metric::Flat => "their A and B are nearly orthogonal, whatever they learnt",
        };
        warnings.push(format!(
            "experts started from different seeds ('{first}' from {seed}, '{other}' from {other_seed}): {effect}"
        ));
    }
    let n = names.len();
    let zero: Vec<&String> = (0..n).filter(|i| matrix[i * n + i] == 0.0).map(|i| &names[i]).collect();
    if let Some(first) = zero.first() {
        let more = if zero.len() > 1 { format!(" and {} more", zero.len() - 1) } else { String::new() };
        let what = if metric == Metric::Delta { "ΔW is zero" } else { "all entries are zero" };
        warnings.push(format!("'{first}'{more}: {what}, similarity 0 to everything"));
    }
    warnings
}

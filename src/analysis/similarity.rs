//! The N × N similarity of a library's experts.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::metrics::{Comparison, Metric};
use super::skipped::nothing_left;
use super::spread::Spread;
use super::weights::{Alignment, Scan, flattened_size, scan};
use crate::library::{Expert, Library, Skipped};
use crate::settings::BELOW_ONE;
use crate::{Cancel, Error, Result};

/// An N × N similarity matrix.
#[derive(Clone, Debug)]
pub struct Similarity {
    /// How the experts were compared.
    pub metric: Metric,
    /// Quantile below which entries of an expert are zeroed; 0 where the metric has none.
    pub sparsity: f64,
    /// Names in the order of rows and columns.
    pub experts: Vec<String>,
    /// Row-major N × N, values in [-1, 1].
    pub matrix: Vec<f32>,
    /// Things a reader should know (experts that started from different seeds, …).
    pub warnings: Vec<String>,
    /// Experts left out, with the reason.
    pub skipped: Vec<Skipped>,
    /// What [`Self::spread`] found.
    pub known_spread: OnceLock<Spread>,
}

impl Similarity {
    /// How the values are spread: looks at all of them when first asked.
    pub fn spread(&self) -> &Spread {
        self.known_spread.get_or_init(|| Spread::of(&self.matrix, self.len()))
    }

    /// The metric and, where it has one, the sparsity: `mbc, sparsity 0.5`.
    pub fn settings(&self) -> String {
        let sparsity =
            if self.metric.uses_sparsity { format!(", sparsity {}", self.sparsity) } else { String::new() };
        format!("{}{sparsity}", self.metric)
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

/// Experts scanned between two looks at the cancel flag and the progress.
const SCAN_STEP: usize = 16;

/// Compares all experts of a library with each other; what each metric computes is in its [`crate::analysis::MetricSpec`].
///
/// Modules that an expert lacks count as zeros, also for the quantile of `sparsity`, which only some metrics
/// use. A zero vector has similarity 0 to everything, itself included. Experts that are bad, made for another
/// base model than most of their library, cannot be read or hold NaN or infinite weights are left out; the
/// result names them with their reason. `progress` gets (done, total) without a unit. Memory: N × N and blocks
/// of bounded size; the result does not depend on the number of threads.
///
/// # Errors
/// A sparsity outside 0 ≤ s < 1; no usable expert; experts of different base models; two experts with
/// different ranks at one module, where the metric needs equal ones; [`Error::Cancelled`].
pub fn similarity(
    library: &Library,
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
    let sparsity = metric.sparsity(sparsity);
    let usable: Vec<&Expert> = library.comparable().collect();
    let mut skipped = library.incomparable();
    // Scanning and each round of the metric count alike.
    let steps = usable.len();
    let total = (1 + (metric.rounds)(steps)) * steps;
    let (usable, scans) =
        scan_all(usable, sparsity, &mut skipped, &mut |done| progress(done, total), cancel)?;
    skipped.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    if usable.is_empty() {
        return Err(nothing_left(&skipped));
    }

    let alignment = Alignment::new(usable, scans, metric.equal_ranks.then(Metric::about_ranks).as_deref())?;
    let found = (metric.matrix)(&mut Comparison::new(&alignment, steps, total, progress, cancel))?;
    progress(total, total);
    let names: Vec<String> = alignment.experts.iter().map(|e| e.name.clone()).collect();
    let mut warnings = warnings(&alignment, metric, &names, &found.values);
    warnings.extend(found.warnings);
    Ok(Similarity {
        metric,
        sparsity,
        experts: names,
        matrix: found.values,
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
    skipped: &mut Vec<Skipped>,
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
                    Err(error) => skipped.push(Skipped::new(&expert.name, error.to_string())),
                }
            }
        }
        if sparsity == 0.0 || flattened_size(&kept) == size {
            return Ok((kept, scans));
        }
        experts = kept;
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
        warnings.push(format!(
            "experts started from different seeds ('{first}' from {seed}, '{other}' from {other_seed}): {}",
            metric.of_other_seeds
        ));
    }
    let n = names.len();
    let zero: Vec<&String> = (0..n).filter(|i| matrix[i * n + i] == 0.0).map(|i| &names[i]).collect();
    if let Some(first) = zero.first() {
        let more = if zero.len() > 1 { format!(" and {} more", zero.len() - 1) } else { String::new() };
        warnings.push(format!("'{first}'{more}: {}, similarity 0 to everything", metric.of_zeros));
    }
    warnings
}

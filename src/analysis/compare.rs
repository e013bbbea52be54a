//! Comparing all experts of a library with each other.

use super::cache::ComparisonCache;
use super::embedding::Embedding;
use super::gram::Products;
use super::hubs;
use super::identity::{Identified, origin};
use super::metrics::Metric;
use super::similarity::Similarity;
use super::skipped::nothing_left;
use super::weights::Alignment;
use crate::library::Library;
use crate::settings::BELOW_ONE;
use crate::{Cancel, Error, Result};

/// Compares all experts of a library with each other; what each metric computes is in its [`crate::analysis::MetricSpec`].
///
/// Modules that an expert lacks count as zeros, also for the quantile of `sparsity`, which only some metrics
/// use. A zero vector has similarity 0 to everything, itself included. Experts that are bad, made for another
/// base model than most of their library, cannot be read or have NaN or infinite weights are left out; the
/// result names them with their reason. What `cache` knows is not computed again: the weights of experts that have not
/// changed are not read, unless there are new experts to compare them with. `progress` gets (done, total) without a
/// unit. Memory: N × N and blocks of bounded size; the result does not depend on the number of threads.
///
/// # Errors
/// A sparsity outside 0 ≤ s < 1; no usable expert; experts of different base models; two experts with
/// different ranks at one module, where the metric needs equal ones; [`Error::Cancelled`].
pub fn similarity(
    library: &Library,
    metric: Metric,
    sparsity: f64,
    cache: &ComparisonCache,
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
    let mut skipped = library.incomparable();
    let steps = library.comparable().count();
    let mut progress =
        Rounds { progress, steps, done: 0, rounds: 2 + usize::from(metric.embedding_of(steps).is_some()) };
    let found = Identified::find(
        library,
        (metric.product, sparsity),
        cache,
        &mut skipped,
        &mut progress.round(),
        cancel,
    )?;
    skipped.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    if found.experts.is_empty() {
        return Err(nothing_left(&skipped));
    }
    let Identified { experts, keys, segments, kind, stamps, strength } = found;
    let origin = origin(cache, metric.id, sparsity, &keys);
    let alignment = Alignment::new(experts, metric.equal_ranks.then(Metric::about_ranks).as_deref())?;
    let n = alignment.experts.len();
    let products = Products {
        alignment: &alignment,
        product: metric.product,
        keys: &keys,
        kept: cache.folders().map(|folders| (&folders.products, kind.as_str(), segments.as_slice())),
    };
    let unchanged = || stamps.unchanged(&alignment);
    let mut about_embedding = None;
    let matrix = match metric.embedding_of(n) {
        None => {
            let gram = products.gram(&unchanged, &mut progress.round(), cancel)?;
            if metric.centred { gram.centred_cosines() } else { gram.cosines() }
        }
        Some(embed) => {
            let embedding = match Embedding::kept(&origin, n) {
                Some(embedding) => embedding,
                None => {
                    let gram = products.gram(&unchanged, &mut progress.round(), cancel)?;
                    let embedding = (embed.embed)(gram, &mut progress.round(), cancel)?;
                    embedding.keep(&origin);
                    embedding
                }
            };
            about_embedding = embedding.inexact.map(embed.warning);
            embedding.cosines(cancel)?
        }
    };
    progress.finish();
    let names: Vec<String> = alignment.experts.iter().map(|e| e.expert.name.clone()).collect();
    let mut warnings = warnings(&alignment, metric, &names, &matrix);
    warnings.extend(about_embedding);
    let mut similarity = Similarity {
        metric,
        sparsity,
        experts: names,
        matrix,
        warnings,
        skipped,
        strength,
        known_spread: Default::default(),
        origin,
    };
    similarity.warnings.extend(hubs::warnings(&similarity));
    Ok(similarity)
}

/// Whether [`similarity`] would read no weights: it takes milliseconds then.
pub fn is_kept(library: &Library, metric: Metric, sparsity: f64, cache: &ComparisonCache) -> bool {
    Identified::is_known(library, (metric.product, metric.sparsity(sparsity)), cache)
}

/// Progress in rounds that count alike.
struct Rounds<'a> {
    progress: &'a mut dyn FnMut(usize, usize),
    /// Steps of a round, steps done before the next one.
    steps: usize,
    done: usize,
    rounds: usize,
}

impl Rounds<'_> {
    /// Begins a round, which reports (done, of) in any unit.
    fn round(&mut self) -> impl FnMut(usize, usize) {
        let (steps, before, total) = (self.steps, self.done, self.steps * self.rounds);
        self.done += steps;
        move |done, of| (self.progress)(before + steps * done.min(of) / of.max(1), total)
    }

    fn finish(&mut self) {
        let total = self.steps * self.rounds;
        (self.progress)(total, total);
    }
}

/// What a reader of the matrix should know.
fn warnings(layout: &Alignment<'_>, metric: Metric, names: &[String], matrix: &[f32]) -> Vec<String> {
    let mut warnings = Vec::new();
    let seeded: Vec<(&str, u64)> = layout
        .experts
        .iter()
        .filter_map(|e| Some((e.expert.name.as_str(), e.expert.provenance.as_ref()?.seed?)))
        .collect();
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

//! How many clusters fit: one rule for commands and screens.

use serde::Serialize;

use super::cluster::cluster;
use super::clustering::Clustering;
use super::partitions::Partitions;
use crate::analysis::similarity::Similarity;
use crate::{Cancel, Result};

/// Up to so many experts [`MANY_CLUSTERS`] are tried, above [`FEW_CLUSTERS`]: as long as it takes seconds.
const FEW_EXPERTS: usize = 300;
const MANY_CLUSTERS: usize = 20;
const FEW_CLUSTERS: usize = 10;

/// What one number of clusters gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SweptK {
    /// Number of clusters.
    pub k: usize,
    /// As [`Clustering::inertia`].
    pub inertia: f64,
    /// Mean silhouette; `None` unless 2 ≤ k < N.
    pub silhouette: Option<f64>,
}

/// Inertia and mean silhouette for several numbers of clusters, in the order of `ks`; values of k outside 1..=N
/// are left out.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn sweep(
    similarity: &Similarity,
    ks: impl IntoIterator<Item = usize>,
    seed: u64,
    cancel: &Cancel,
) -> Result<Vec<SweptK>> {
    let mut partitions = Partitions::of(similarity, seed);
    ks.into_iter()
        .filter(|k| (1..=similarity.len()).contains(k))
        .map(|k| {
            let found = partitions.get(k, cancel)?;
            Ok(SweptK { k, inertia: found.partition.inertia, silhouette: found.silhouette })
        })
        .collect()
}

/// The largest k that is tried for this many experts: all that a person would try, and one fewer than there are
/// experts.
pub fn largest_k(experts: usize) -> usize {
    let most = if experts <= FEW_EXPERTS { MANY_CLUSTERS } else { FEW_CLUSTERS };
    most.min(experts.saturating_sub(1))
}

/// The k with the highest mean silhouette, the lowest of equals; `None` where no k has one.
pub fn best_k(swept: &[SweptK]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for swept in swept {
        if let Some(silhouette) = swept.silhouette.filter(|s| best.is_none_or(|(_, most)| *s > most + 1e-9)) {
            best = Some((swept.k, silhouette));
        }
    }
    best.map(|(k, _)| k)
}

/// The number of clusters to use where none is given: [`best_k`] of k = 2 to [`largest_k`], or 1 where fewer than
/// three experts leave no choice; and what each k gave.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn choose_k(similarity: &Similarity, seed: u64, cancel: &Cancel) -> Result<(usize, Vec<SweptK>)> {
    let swept = sweep(similarity, 2..=largest_k(similarity.len()), seed, cancel)?;
    Ok((best_k(&swept).unwrap_or(1), swept))
}

/// The clustering into [`choose_k`] clusters.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn natural_clusters(similarity: &Similarity, seed: u64, cancel: &Cancel) -> Result<Clustering> {
    cluster(similarity, choose_k(similarity, seed, cancel)?.0, seed, cancel)
}

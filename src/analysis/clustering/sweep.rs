//! How many clusters fit: one rule for commands and screens.

use serde::Serialize;

use super::cluster::cluster;
use super::clustering::Clustering;
use super::partitions::Partitions;
use crate::analysis::similarity::Similarity;
use crate::{Cancel, Result};

/// Up to so many experts [`MANY_CLUSTERS`] are tried at first, above [`FEW_CLUSTERS`]: as long as it takes seconds.
const FEW_EXPERTS: usize = 300;
const MANY_CLUSTERS: usize = 20;
const FEW_CLUSTERS: usize = 10;
/// So many more are tried while the last is the best, up to [`MOST_CLUSTERS`].
const MORE_CLUSTERS: usize = 10;
const MOST_CLUSTERS: usize = 40;

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

/// The number of clusters to use where none is given, and what others give.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChosenK {
    /// With the highest mean silhouette, the lowest of equals; 1 where none has one.
    pub k: usize,
    /// All that were tried, upwards from 2.
    pub swept: Vec<SweptK>,
    /// Whether the best is the last that was tried, and a larger number may be better still.
    pub at_border: bool,
}

impl ChosenK {
    /// Of what several numbers of clusters give.
    fn of(swept: Vec<SweptK>, at_border: bool) -> Self {
        Self { k: best_k(&swept).unwrap_or(1), swept, at_border }
    }

    /// The smallest and the largest number that was tried; `None` where there was no choice.
    pub fn range(&self) -> Option<(usize, usize)> {
        Some((self.swept.first()?.k, self.swept.last()?.k)).filter(|(first, last)| first < last)
    }

    /// Among which numbers it is the best: `best of 2…20`; empty where there was no choice.
    pub fn about(&self) -> String {
        self.range().map_or(String::new(), |(first, last)| format!("best of {first}…{last}"))
    }
}

/// Inertia and mean silhouette for several numbers of clusters, in the order of `ks`; values of k outside 1..=N
/// are left out. Where fewer than k experts differ, k gives what their number gives.
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

/// The number of clusters to use where none is given, the one rule of commands and screens: that with the highest
/// mean silhouette of k = 2 to 20 (10 above 300 experts), one fewer than there are experts at most. While the last of
/// them is the best, ten more are tried, up to 40. `found` hears what is known after each ten.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn choose_k(
    similarity: &Similarity,
    seed: u64,
    found: &mut dyn FnMut(&ChosenK),
    cancel: &Cancel,
) -> Result<ChosenK> {
    let experts = similarity.len();
    let most = MOST_CLUSTERS.min(experts.saturating_sub(1));
    let mut last = most.min(if experts <= FEW_EXPERTS { MANY_CLUSTERS } else { FEW_CLUSTERS });
    let mut swept = sweep(similarity, 2..=last, seed, cancel)?;
    loop {
        // Of equals the lowest is the best: more clusters than different experts are never at the border.
        let at_border = best_k(&swept) == Some(last) && last + 1 < experts;
        let chosen = ChosenK::of(swept, at_border);
        if !at_border || last >= most {
            return Ok(chosen);
        }
        found(&chosen);
        let next = (last + MORE_CLUSTERS).min(most);
        let more = sweep(similarity, last + 1..=next, seed, cancel)?;
        (swept, last) = ([chosen.swept, more].concat(), next);
    }
}

/// The clustering into [`choose_k`] clusters.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn natural_clusters(similarity: &Similarity, seed: u64, cancel: &Cancel) -> Result<Clustering> {
    cluster(similarity, choose_k(similarity, seed, &mut |_| {}, cancel)?.k, seed, cancel)
}

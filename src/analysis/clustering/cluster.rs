//! The partition itself.

use super::clustering::Clustering;
use super::kmeans::Partition;
use super::partitions::Partitions;
use super::quality::{silhouettes, ties};
use crate::analysis::similarity::Similarity;
use crate::{Cancel, Error, Result};

/// Partitions the experts into `k` clusters by k-means on the rows of the matrix (greedy k-means++, the
/// best of 10 starts or more, at most 300 steps); the same seed gives the same result on every machine. Where
/// fewer than `k` experts differ, there are as many clusters as different experts.
///
/// # Errors
/// A usage error unless 1 ≤ k ≤ N; [`Error::Cancelled`].
pub fn cluster(similarity: &Similarity, k: usize, seed: u64, cancel: &Cancel) -> Result<Clustering> {
    let n = similarity.len();
    if k == 0 {
        return Err(Error::usage(format!("k = 0 makes no clusters: {}", allowed(n))));
    }
    if k > n {
        return Err(Error::usage(format!("k = {k} is more than there are experts: {}", allowed(n))));
    }
    let found = Partitions::of(similarity, seed).get(k, cancel)?;
    let k = found.partition.used();
    let silhouettes = silhouettes(similarity, &found.partition.labels, k);
    let ties = ties(similarity, &found.partition.labels, k);
    let Partition { labels, inertia } = found.partition;
    Ok(Clustering {
        k,
        seed,
        experts: similarity.experts.clone(),
        labels,
        inertia,
        silhouette: found.silhouette,
        silhouettes,
        ties,
    })
}

/// The values of k that `n` experts allow.
fn allowed(n: usize) -> String {
    if n == 1 { "1 expert allows k = 1 only".into() } else { format!("{n} experts allow k = 1 to {n}") }
}

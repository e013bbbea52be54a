//! Partitions of the experts, each computed once.

use super::kmeans::{Partition, Points, kmeans};
use super::points::points;
use super::quality::{mean, silhouettes};
use crate::analysis::cache::Origin;
use crate::analysis::similarity::Similarity;
use crate::{Cancel, Result};

/// Partitions of one similarity by one seed that are kept at most.
const MOST: usize = 1024;
/// Bytes of a kept partition before its labels: k (u32), inertia and silhouette (f64, NaN: none).
const HEAD: usize = 20;

/// A partition and how good it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub k: usize,
    pub partition: Partition,
    /// Mean silhouette; `None` unless 2 ≤ k < N.
    pub silhouette: Option<f64>,
}

/// The partitions of one similarity by one seed: those on disk, and those computed meanwhile, which go there in the
/// end.
pub(super) struct Partitions<'a> {
    similarity: &'a Similarity,
    seed: u64,
    known: Vec<Judged>,
    points: Option<Points>,
    found_more: bool,
}

impl<'a> Partitions<'a> {
    /// Those of this similarity and seed.
    pub fn of(similarity: &'a Similarity, seed: u64) -> Self {
        let known = read(&similarity.origin, seed, similarity.len());
        Self { similarity, seed, known, points: None, found_more: false }
    }

    /// The partition into `k` clusters, 1 ≤ k ≤ N.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`].
    pub fn get(&mut self, k: usize, cancel: &Cancel) -> Result<Judged> {
        if let Some(known) = self.known.iter().find(|known| known.k == k) {
            return Ok(known.clone());
        }
        cancel.check()?;
        let points = self.points.get_or_insert_with(|| points(self.similarity));
        let partition = kmeans(points, k, self.seed, cancel)?;
        let silhouette = mean(&silhouettes(self.similarity, &partition.labels, partition.used()));
        let judged = Judged { k, partition, silhouette };
        self.known.push(judged.clone());
        self.found_more = true;
        Ok(judged)
    }
}

/// What was computed is kept also where the work was cancelled.
impl Drop for Partitions<'_> {
    fn drop(&mut self) {
        if !self.found_more {
            return;
        }
        let (origin, experts) = (&self.similarity.origin, self.similarity.len());
        let others = read(origin, self.seed, experts);
        let known = |k: usize| self.known.iter().any(|known| known.k == k);
        let all = self.known.iter().chain(others.iter().filter(|other| !known(other.k)));
        let bytes: Vec<u8> = all.take(MOST).flat_map(bytes).collect();
        origin.keep(&name(self.seed), &bytes);
    }
}

fn name(seed: u64) -> String {
    format!("partitions-{seed}")
}

fn bytes(judged: &Judged) -> Vec<u8> {
    let Judged { k, partition, silhouette } = judged;
    let mut bytes = Vec::with_capacity(HEAD + 4 * partition.labels.len());
    bytes.extend((*k as u32).to_le_bytes());
    bytes.extend(partition.inertia.to_le_bytes());
    bytes.extend(silhouette.unwrap_or(f64::NAN).to_le_bytes());
    bytes.extend(partition.labels.iter().flat_map(|label| (*label as u32).to_le_bytes()));
    bytes
}

/// What is on disk, as far as it makes sense.
fn read(origin: &Origin, seed: u64, experts: usize) -> Vec<Judged> {
    let record = HEAD + 4 * experts;
    let bytes = origin.read(&name(seed), MOST * record).unwrap_or_default();
    bytes.chunks_exact(record).filter_map(|record| judged(record, experts)).collect()
}

fn judged(record: &[u8], experts: usize) -> Option<Judged> {
    let (&k, rest) = record.split_first_chunk::<4>()?;
    let (&inertia, rest) = rest.split_first_chunk::<8>()?;
    let (&silhouette, labels) = rest.split_first_chunk::<8>()?;
    let (k, inertia) = (u32::from_le_bytes(k) as usize, f64::from_le_bytes(inertia));
    let silhouette = f64::from_le_bytes(silhouette);
    let labels: Vec<usize> =
        labels.as_chunks::<4>().0.iter().map(|&label| u32::from_le_bytes(label) as usize).collect();
    let sound = (1..=experts).contains(&k)
        && inertia.is_finite()
        && (silhouette.is_nan() || silhouette.abs() <= 1.0)
        && labels.iter().all(|&label| label < k);
    let silhouette = (!silhouette.is_nan()).then_some(silhouette);
    sound.then_some(Judged { k, partition: Partition { labels, inertia }, silhouette })
}

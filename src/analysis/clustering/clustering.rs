//! What a clustering is.

use crate::text::counted;

/// A partition of the experts by k-means on the rows of an MBC similarity matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// Number of clusters, each with a member.
    pub k: usize,
    /// Seed of k-means.
    pub seed: u64,
    /// Names in the order of the labels.
    pub experts: Vec<String>,
    /// Cluster of each expert, 0..k, numbered by first appearance.
    pub labels: Vec<usize>,
    /// Sum of squared distances to the centres of the clusters.
    pub inertia: f64,
    /// Mean silhouette with distance 1 − S; `None` unless 2 ≤ k < N.
    pub silhouette: Option<f64>,
    /// Silhouette of each expert; empty when `silhouette` is `None`.
    pub silhouettes: Vec<f64>,
    /// Row-major N × k: sum of the similarities of each expert to the other members of each cluster.
    pub ties: Vec<f64>,
}

impl Clustering {
    /// That there are fewer clusters than were asked for, one line; `None` where there are as many.
    pub fn shortfall(&self, asked: usize) -> Option<String> {
        (self.k < asked).then(|| {
            let differ = if self.k == 1 {
                "all experts are".into()
            } else {
                format!("only {} experts differ, the others are", self.k)
            };
            format!("{} instead of {asked}: {differ} the same to this metric", counted(self.k, "cluster"))
        })
    }
}

/// A cluster's number as people see it: its label, counted from 1.
pub fn cluster_number(label: usize) -> usize {
    label + 1
}

/// A cluster's name, everywhere: `cluster 1`.
pub fn cluster_name(label: usize) -> String {
    format!("cluster {}", cluster_number(label))
}

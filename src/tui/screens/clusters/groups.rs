//! A clustering arranged for the screen: lines, and what there is to say about each.

use crate::analysis::{Clustering, Similarity, cohesion};
use crate::tui::Shared;
use crate::tui::screens::comparable;
use crate::tui::screens::comparison_chrome;

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Heading of this cluster.
    Cluster(usize),
    /// Index of an expert.
    Member(usize),
}

/// Clusters with their members, best first.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    pub rows: Vec<Row>,
    pub clusters: Vec<Cluster>,
    /// Printable names of experts, by index.
    pub names: Vec<String>,
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Indices of experts, by falling silhouette, then by name.
    pub members: Vec<usize>,
    /// Mean similarity between members.
    pub cohesion: f64,
    /// Mean silhouette of members; `None` where silhouettes are undefined.
    pub silhouette: Option<f64>,
    /// The member most similar to the others.
    pub centre: Option<usize>,
    /// The cluster whose members are most similar on average, and how much.
    pub nearest: Option<(usize, f64)>,
    /// Families of members with their counts, most frequent first; empty when none says its family.
    pub families: Vec<(String, usize)>,
}

impl Groups {
    /// Looks at the pairs of experts within each cluster.
    pub fn new(similarity: &Similarity, clustering: &Clustering, shared: &Shared) -> Self {
        let n = similarity.len().min(clustering.labels.len());
        let label = |at: usize| clustering.labels.get(at).copied().unwrap_or(usize::MAX);
        let silhouette = |at: usize| clustering.silhouettes.get(at).copied();
        let cohesions = cohesion(similarity, clustering);
        let k = clustering.k;
        let mut clusters: Vec<Cluster> = (0..k)
            .map(|own| {
                let mut members: Vec<usize> = (0..n).filter(|&at| label(at) == own).collect();
                let toward =
                    |at: usize, cluster: usize| clustering.ties.get(at * k + cluster).copied().unwrap_or(0.0);
                let centre = members
                    .iter()
                    .copied()
                    .max_by(|&a, &b| toward(a, own).total_cmp(&toward(b, own)).then(b.cmp(&a)));
                members.sort_by(|&a, &b| {
                    let of = |at| silhouette(at).unwrap_or(0.0);
                    of(b).total_cmp(&of(a)).then(a.cmp(&b))
                });
                let values: Vec<f64> = members.iter().filter_map(|&at| silhouette(at)).collect();
                Cluster {
                    cohesion: cohesions.get(own).copied().unwrap_or(0.0),
                    silhouette: (!values.is_empty())
                        .then(|| values.iter().sum::<f64>() / values.len() as f64),
                    centre,
                    families: families(&members, similarity, shared),
                    members,
                    nearest: None,
                }
            })
            .collect();
        let sizes: Vec<usize> = clusters.iter().map(|cluster| cluster.members.len()).collect();
        for (own, cluster) in clusters.iter_mut().enumerate() {
            let mean = |other: usize| -> f64 {
                let sum: f64 =
                    cluster.members.iter().filter_map(|&at| clustering.ties.get(at * k + other)).sum();
                sum / (cluster.members.len() * sizes[other]) as f64
            };
            cluster.nearest = (0..k)
                .filter(|&other| other != own && sizes[other] > 0 && !cluster.members.is_empty())
                .map(|other| (other, mean(other)))
                .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        }
        let rows = clusters
            .iter()
            .enumerate()
            .filter(|(_, cluster)| !cluster.members.is_empty())
            .flat_map(|(at, cluster)| {
                std::iter::once(Row::Cluster(at)).chain(cluster.members.iter().map(|&at| Row::Member(at)))
            })
            .collect();
        let names = similarity.experts.iter().map(|name| comparison_chrome::label(name, shared)).collect();
        Self { rows, clusters, names }
    }
}

fn families(members: &[usize], similarity: &Similarity, shared: &Shared) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for name in members.iter().filter_map(|&at| similarity.experts.get(at)) {
        if let Some(family) = comparable::family(shared.library.as_ref(), name) {
            *counts.entry(family).or_insert(0) += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// The `count` experts most similar to `expert`, best first, with their similarity.
pub fn nearest(similarity: &Similarity, expert: usize, count: usize) -> Vec<(usize, f32)> {
    let n = similarity.len();
    let row = similarity.matrix.get(expert * n..(expert + 1) * n).unwrap_or(&[]);
    let mut others: Vec<(usize, f32)> = row
        .iter()
        .copied()
        .enumerate()
        .filter(|(other, value)| *other != expert && !value.is_nan())
        .collect();
    let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if others.len() > count && count > 0 {
        others.select_nth_unstable_by(count - 1, order);
    }
    others.truncate(count);
    others.sort_by(order);
    others
}

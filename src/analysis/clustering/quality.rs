//! How well a partition separates the experts.

use rayon::prelude::*;

use super::clustering::Clustering;
use crate::analysis::similarity::Similarity;

/// Silhouette of each expert with distance 1 − S (Rousseeuw 1987); 0 for the only member of a cluster.
/// Empty unless 2 ≤ k < N and at least two clusters are used.
pub(super) fn silhouettes(similarity: &Similarity, labels: &[usize], k: usize) -> Vec<f64> {
    let n = similarity.len();
    let mut sizes = vec![0usize; k];
    labels.iter().for_each(|&label| sizes[label] += 1);
    let used = sizes.iter().filter(|&&size| size > 0).count();
    if k < 2 || k >= n || used < 2 {
        return Vec::new();
    }
    let one = |i: usize| {
        let own = labels[i];
        if sizes[own] == 1 {
            return 0.0;
        }
        let mut sums = vec![0.0f64; k];
        for (j, &label) in labels.iter().enumerate() {
            if j != i {
                sums[label] += 1.0 - f64::from(similarity.get(i, j).clamp(-1.0, 1.0));
            }
        }
        let within = sums[own] / (sizes[own] - 1) as f64;
        let nearest = (0..k)
            .filter(|&c| c != own && sizes[c] > 0)
            .map(|c| sums[c] / sizes[c] as f64)
            .fold(f64::INFINITY, f64::min);
        let scale = within.max(nearest);
        if scale > 0.0 { (nearest - within) / scale } else { 0.0 }
    };
    (0..n).into_par_iter().map(one).collect()
}

/// Sum of the similarities of each expert to the other members of each of `k` clusters, N × k row-major.
pub fn ties(similarity: &Similarity, labels: &[usize], k: usize) -> Vec<f64> {
    let n = similarity.len();
    let mut ties = vec![0.0f64; n * k];
    ties.par_chunks_exact_mut(k.max(1)).zip(similarity.matrix.par_chunks(n.max(1))).enumerate().for_each(
        |(i, (sums, row))| {
            for (j, (&label, &value)) in labels.iter().zip(row).enumerate() {
                if j != i {
                    sums.get_mut(label).into_iter().for_each(|sum| *sum += f64::from(value));
                }
            }
        },
    );
    ties
}

/// `None` of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Mean similarity between different members of each cluster, by cluster number; 1 for a single member,
/// 0 for an unused number or a clustering of other experts.
pub fn cohesion(similarity: &Similarity, clustering: &Clustering) -> Vec<f64> {
    (0..clustering.k)
        .map(|cluster| {
            let members: Vec<usize> =
                (0..similarity.len()).filter(|&i| clustering.labels.get(i) == Some(&cluster)).collect();
            if members.len() < 2 {
                return members.len() as f64;
            }
            let pairs = members
                .iter()
                .enumerate()
                .flat_map(|(at, &i)| members[at + 1..].iter().map(move |&j| f64::from(similarity.get(i, j))));
            pairs.sum::<f64>() / (members.len() * (members.len() - 1) / 2) as f64
        })
        .collect()
}

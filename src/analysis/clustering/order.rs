//! The order of rows in which clusters lie together.

use super::clustering::Clustering;
use crate::analysis::similarity::Similarity;

/// Row order for heatmaps: clusters in the order of their numbers, inside a cluster by similarity to
/// the cluster's mean, closest first. The order of the rows as they are when the clustering is of other
/// experts.
pub fn order_by_cluster(similarity: &Similarity, clustering: &Clustering) -> Vec<usize> {
    let n = similarity.len();
    if clustering.experts != similarity.experts || clustering.labels.len() != n {
        return (0..n).collect();
    }
    // On one thread: whoever draws does not wait for others' work.
    let mut members = vec![Vec::new(); clustering.k];
    for (i, &label) in clustering.labels.iter().enumerate() {
        members.get_mut(label).into_iter().for_each(|members: &mut Vec<usize>| members.push(i));
    }
    let closeness: Vec<f64> = (0..n)
        .map(|i| {
            let own = members.get(clustering.labels[i]).map_or(&[][..], Vec::as_slice);
            own.iter().map(|&j| f64::from(similarity.get(i, j))).sum()
        })
        .collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| {
        let labels = clustering.labels[a].cmp(&clustering.labels[b]);
        labels.then(closeness[b].total_cmp(&closeness[a])).then(a.cmp(&b))
    });
    order
}

/// Positions in `order` at which another cluster begins, without 0.
pub fn boundaries(clustering: &Clustering, order: &[usize]) -> Vec<usize> {
    let label = |i: usize| clustering.labels.get(i);
    (1..order.len()).filter(|&p| label(order[p]) != label(order[p - 1])).collect()
}

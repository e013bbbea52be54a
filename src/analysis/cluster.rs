//! MBC clustering: k-means on the rows of a similarity matrix, its quality and the order of rows it gives.

use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::eigen::{self, Symmetric};
use super::kmeans::{Partition, Points, kmeans};
use super::linalg::row_products;
use super::{Clustering, Similarity};
use crate::{Cancel, Error, Result};

/// Partitions the experts into `k` clusters by k-means on the rows of the matrix (greedy k-means++, the
/// best of 10 starts or more, at most 300 steps); the same seed gives the same result on every machine.
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
    let partition = kmeans(&points(similarity), k, seed, cancel)?;
    let silhouettes = silhouettes(similarity, &partition.labels, k);
    let ties = ties(similarity, &partition.labels, k);
    let Partition { labels, inertia } = partition;
    Ok(Clustering {
        k,
        seed,
        experts: similarity.experts.clone(),
        labels,
        inertia,
        silhouette: mean(&silhouettes),
        silhouettes,
        ties,
    })
}

/// Inertia and mean silhouette for several numbers of clusters: (k, inertia, silhouette), in the order
/// of `ks`; values of k outside 1..=N are left out.
pub fn sweep(
    similarity: &Similarity,
    ks: impl IntoIterator<Item = usize>,
    seed: u64,
    cancel: &Cancel,
) -> Result<Vec<(usize, f64, Option<f64>)>> {
    let points = points(similarity);
    ks.into_iter()
        .filter(|k| (1..=similarity.len()).contains(k))
        .map(|k| {
            let partition = kmeans(&points, k, seed, cancel)?;
            Ok((k, partition.inertia, mean(&silhouettes(similarity, &partition.labels, k))))
        })
        .collect()
}

/// The values of k that `n` experts allow.
fn allowed(n: usize) -> String {
    if n == 1 { "1 expert allows k = 1 only".into() } else { format!("{n} experts allow k = 1 to {n}") }
}

/// The clustering with the best mean silhouette for k = 2 to 12, for when nobody chose a k; one cluster
/// where fewer than three experts leave no choice.
pub fn natural_clusters(similarity: &Similarity, seed: u64, cancel: &Cancel) -> Result<Clustering> {
    let most = similarity.len().saturating_sub(1).min(12);
    let swept = sweep(similarity, 2..=most, seed, cancel)?;
    let mut best = (1, f64::NEG_INFINITY);
    for (k, _, silhouette) in swept {
        match silhouette {
            Some(value) if value > best.1 => best = (k, value),
            _ => {}
        }
    }
    cluster(similarity, best.0, seed, cancel)
}

/// The rows of the matrix as points. Where the matrix has low rank (MBC: 64), the rows are expressed in
/// an orthonormal basis of their span, which leaves all distances as they are and costs less.
fn points(similarity: &Similarity) -> Points {
    const BASIS: usize = 80;
    const SMALL: usize = 3 * BASIS;
    /// Rows that one thread multiplies at a time.
    const ROWS: usize = 32;
    let n = similarity.len();
    let whole = || similarity.matrix.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    if n <= SMALL {
        return Points { count: n, width: n, data: whole() };
    }
    // S · rightᵀ, N × BASIS, for BASIS rows of N.
    let times = |right: &[f64]| -> Vec<f64> {
        let mut product = vec![0.0f64; n * BASIS];
        let blocks = similarity.matrix.par_chunks(ROWS * n).zip(product.par_chunks_mut(ROWS * BASIS));
        blocks.for_each(|(rows, product)| {
            let rows: Vec<f64> = rows.iter().map(|&x| f64::from(x)).collect();
            row_products(product, &rows, right, n);
        });
        product
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0x5eed);
    let random: Vec<f64> = (0..BASIS * n).map(|_| rng.random_range(-1.0..1.0f64)).collect();
    let image = times(&random);
    let basis = Mat::from_fn(n, BASIS, |i, k| image[i * BASIS + k]).qr().compute_thin_Q();
    let basis: Vec<f64> =
        (0..BASIS).flat_map(|k| basis.col(k).iter().copied().collect::<Vec<f64>>()).collect();
    let reduced = times(&basis);
    let squares: f64 = similarity.matrix.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    // What the basis misses, per row: above f32's own rounding the rank is not low.
    let missed = (squares - reduced.iter().map(|x| x * x).sum::<f64>()) / n as f64;
    if missed.is_finite() && missed <= 1e-9 {
        Points { count: n, width: BASIS, data: reduced }
    } else {
        Points { count: n, width: n, data: whole() }
    }
}

/// Silhouette of each expert with distance 1 − S (Rousseeuw 1987); 0 for the only member of a cluster.
/// Empty unless 2 ≤ k < N and at least two clusters are used.
fn silhouettes(similarity: &Similarity, labels: &[usize], k: usize) -> Vec<f64> {
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

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

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

/// A 2-D map of the experts: classical multidimensional scaling of the distances √(2 − 2S), which for
/// cosines are those between unit vectors. Scaled so that the largest coordinate is 1; (0, 0) for all
/// where the experts do not differ, and when cancelled.
pub fn project(similarity: &Similarity, cancel: &Cancel) -> Vec<(f32, f32)> {
    let n = similarity.len();
    let centred = Centred::new(similarity);
    let Ok(pairs) = eigen::largest(&centred, 2, &mut |_, _| {}, cancel) else {
        return vec![(0.0, 0.0); n];
    };
    let axis = |k: usize| -> Vec<f64> {
        match (pairs.values.get(k), pairs.vectors.get(k)) {
            (Some(&value), Some(vector)) if value > 1e-9 => vector.iter().map(|x| x * value.sqrt()).collect(),
            _ => vec![0.0; n],
        }
    };
    let (x, y) = (axis(0), axis(1));
    let largest = x.iter().chain(&y).fold(0.0f64, |m, v| m.max(v.abs()));
    let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
    x.into_iter().zip(y).map(|(x, y)| ((x * scale) as f32, (y * scale) as f32)).collect()
}

/// J·S·J with J = I − 11ᵀ/N: inner products about the centre.
struct Centred<'a> {
    similarity: &'a Similarity,
    means: Vec<f64>,
    mean: f64,
}

impl<'a> Centred<'a> {
    fn new(similarity: &'a Similarity) -> Self {
        let n = similarity.len();
        let means: Vec<f64> = similarity
            .matrix
            .chunks(n.max(1))
            .map(|row| row.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64)
            .collect();
        let mean = means.iter().sum::<f64>() / n.max(1) as f64;
        Self { similarity, means, mean }
    }
}

impl Symmetric for Centred<'_> {
    fn size(&self) -> usize {
        self.similarity.len()
    }

    fn entry(&self, i: usize, j: usize) -> f64 {
        f64::from(self.similarity.get(i, j)) - self.means[i] - self.means[j] + self.mean
    }

    fn apply(&self, vectors: &[f64], into: &mut [f64]) {
        /// Rows that one thread multiplies at a time.
        const ROWS: usize = 64;
        let n = self.size();
        let count = vectors.len() / n;
        // Sum and mean-weighted sum of each vector.
        let sums: Vec<(f64, f64)> =
            vectors.chunks(n).map(|v| (v.iter().sum(), eigen::dot(&self.means, v))).collect();
        let mut product = vec![0.0; n * count];
        let blocks = self.similarity.matrix.par_chunks(ROWS * n).zip(product.par_chunks_mut(ROWS * count));
        blocks.for_each(|(rows, product)| {
            let rows: Vec<f64> = rows.iter().map(|&x| f64::from(x)).collect();
            row_products(product, &rows, vectors, n);
        });
        for (i, (row, mean)) in product.chunks(count).zip(&self.means).enumerate() {
            for (k, (x, (sum, along))) in row.iter().zip(&sums).enumerate() {
                into[k * n + i] = x - mean * sum + self.mean * sum - along;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Metric;

    /// Three planted groups of different closeness.
    fn planted() -> Similarity {
        let group = [2usize, 0, 0, 1, 1, 1, 0];
        let n = group.len();
        let matrix = (0..n * n)
            .map(|at| {
                let (i, j) = (at / n, at % n);
                if i == j {
                    1.0
                } else if group[i] == group[j] {
                    0.8 - 0.01 * (i + j) as f32
                } else {
                    0.05
                }
            })
            .collect();
        let experts = (0..n).map(|i| format!("e{i}")).collect();
        Similarity {
            metric: Metric::Flat,
            sparsity: 0.0,
            experts,
            matrix,
            warnings: vec![],
            skipped: vec![],
            known_spread: Default::default(),
        }
    }

    #[test]
    fn ties_leave_an_expert_itself_out() {
        let matrix = vec![1.0, 0.5, 0.25, 0.5, 1.0, -0.5, 0.25, -0.5, 1.0];
        let experts = ["a", "b", "c"].map(String::from).to_vec();
        let (warnings, skipped) = (Vec::new(), Vec::new());
        let s = Similarity {
            metric: Metric::Flat,
            sparsity: 0.0,
            experts,
            matrix,
            warnings,
            skipped,
            known_spread: Default::default(),
        };
        assert_eq!(ties(&s, &[0, 0, 1], 2), [0.5, 0.25, 0.5, -0.5, -0.25, 0.0]);
    }

    #[test]
    fn finds_planted_groups_and_orders_rows_by_them() {
        let s = planted();
        let c = cluster(&s, 3, 42, &Cancel::new()).unwrap();
        assert_eq!(c.labels, [0, 1, 1, 2, 2, 2, 1]);
        assert!(c.silhouette.unwrap() > 0.5);
        assert_eq!(c.silhouettes[0], 0.0, "alone in its cluster");
        let order = order_by_cluster(&s, &c);
        assert_eq!(order, [0, 1, 2, 6, 3, 4, 5]);
        assert_eq!(boundaries(&c, &order), [1, 4]);
        let cohesion = cohesion(&s, &c);
        assert_eq!(cohesion[0], 1.0);
        assert!((cohesion[2] - 0.72).abs() < 1e-6, "{cohesion:?}");
    }

    #[test]
    fn k_must_fit_the_experts() {
        let s = planted();
        for (k, both) in [(0, ["k = 0", "7"]), (8, ["8", "7"])] {
            let Err(Error::Usage(message)) = cluster(&s, k, 1, &Cancel::new()) else {
                panic!("k = {k} must be refused")
            };
            assert!(both.iter().all(|part| message.contains(part)), "{message}");
        }
    }

    #[test]
    fn silhouette_exists_only_between_two_and_n() {
        let s = planted();
        assert_eq!(cluster(&s, 1, 1, &Cancel::new()).unwrap().silhouette, None);
        assert_eq!(cluster(&s, 7, 1, &Cancel::new()).unwrap().silhouette, None);
        assert!(cluster(&s, 2, 1, &Cancel::new()).unwrap().silhouette.is_some());
        let swept = sweep(&s, 0..20, 1, &Cancel::new()).unwrap();
        assert_eq!(swept.iter().map(|s| s.0).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
        assert!(swept.windows(2).all(|w| w[1].1 <= w[0].1 + 1e-9), "inertia falls with k: {swept:?}");
    }

    #[test]
    fn the_silhouette_chooses_the_planted_number() {
        let s = planted();
        assert_eq!(natural_clusters(&s, 1, &Cancel::new()).unwrap().k, 3);
        let two = Similarity { experts: vec!["a".into(), "b".into()], matrix: vec![1.0, 0.1, 0.1, 1.0], ..s };
        assert_eq!(natural_clusters(&two, 1, &Cancel::new()).unwrap().k, 1);
    }

    #[test]
    fn low_rank_rows_keep_their_distances() {
        let (n, width) = (300, 9);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let unit: Vec<Vec<f64>> = (0..n)
            .map(|_| {
                let v: Vec<f64> = (0..width).map(|_| rng.random_range(-1.0..1.0)).collect();
                let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
                v.iter().map(|x| x / norm).collect()
            })
            .collect();
        let dot = |i: usize, j: usize| unit[i].iter().zip(&unit[j]).map(|(a, b)| a * b).sum::<f64>();
        let mut s = planted();
        s.experts = (0..n).map(|i| i.to_string()).collect();
        s.matrix = (0..n * n).map(|at| dot(at / n, at % n) as f32).collect();
        let p = points(&s);
        assert!(p.width < n, "reduced");
        for (i, j) in [(0, 1), (5, 250), (299, 17)] {
            let full: f64 = (0..n).map(|c| f64::from(s.get(i, c) - s.get(j, c)).powi(2)).sum();
            let row = |i: usize| &p.data[i * p.width..(i + 1) * p.width];
            let reduced: f64 = row(i).iter().zip(row(j)).map(|(a, b)| (a - b) * (a - b)).sum();
            assert!((full - reduced).abs() < 1e-4 * full, "{full} {reduced}");
        }
    }

    #[test]
    fn the_map_keeps_groups_together() {
        let s = planted();
        let map = project(&s, &Cancel::new());
        let distance = |i: usize, j: usize| (map[i].0 - map[j].0).hypot(map[i].1 - map[j].1);
        assert!(distance(3, 4) < 0.5 * distance(3, 1), "{map:?}");
        let one = Similarity { experts: vec!["a".into()], matrix: vec![1.0], ..s };
        assert_eq!(project(&one, &Cancel::new()), [(0.0, 0.0)]);
        assert_eq!(cluster(&one, 1, 1, &Cancel::new()).unwrap().labels, [0]);
    }
}

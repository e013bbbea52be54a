//! k-means as scikit-learn runs it (greedy k-means++, Lloyd, best of several starts), reproducible from a
//! seed on any number of threads.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::analysis::linalg::add;
use crate::{Cancel, Result};

/// Independent starts, of which the one with the lowest inertia wins: ten, as is usual, and more where
/// they cost little, because about one seed in fifty misses the best partition with ten.
const STARTS: std::ops::RangeInclusive<u64> = 10..=64;
/// Point coordinates × clusters × starts that count as little.
const CHEAP: u64 = 20_000_000;
/// Lloyd steps per start.
const MAX_STEPS: usize = 300;
/// A start has finished when the squared movement of its centres falls below this times the mean variance.
const TOLERANCE: f64 = 1e-4;

/// Points to cluster: `count` rows of `width` values, row-major.
pub(super) struct Points {
    pub count: usize,
    pub width: usize,
    pub data: Vec<f64>,
}

impl Points {
    fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.width..(i + 1) * self.width]
    }
}

/// A partition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Partition {
    /// Cluster of each point, numbered by first appearance; fewer than k are used where fewer than
    /// k points differ.
    pub labels: Vec<usize>,
    /// Sum of the squared distances to the mean of each point's cluster.
    pub inertia: f64,
}

impl Partition {
    /// Number of clusters that have members: fewer than k where fewer than k points differ.
    pub fn used(&self) -> usize {
        self.labels.iter().max().map_or(0, |most| most + 1)
    }
}

/// Partitions the points into `k` clusters, 1 ≤ k ≤ count.
pub(super) fn kmeans(points: &Points, k: usize, seed: u64, cancel: &Cancel) -> Result<Partition> {
    let tolerance = TOLERANCE * mean_variance(points);
    let cost = (points.data.len() as u64).saturating_mul(k as u64).max(1);
    let starts: Vec<Partition> = (0..(CHEAP / cost).clamp(*STARTS.start(), *STARTS.end()))
        .into_par_iter()
        .map(|start| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(start);
            lloyd(points, plus_plus(points, k, &mut rng), k, tolerance, cancel)
        })
        .collect::<Result<_>>()?;
    let mut best = 0;
    for (i, partition) in starts.iter().enumerate() {
        if partition.inertia < starts[best].inertia {
            best = i;
        }
    }
    let Some(mut best) = starts.into_iter().nth(best) else {
        return Err(crate::Error::msg("k-means had no start"));
    };
    renumber(&mut best.labels);
    Ok(best)
}

/// Renames clusters in the order in which their first members appear.
fn renumber(labels: &mut [usize]) {
    let mut names = std::collections::HashMap::new();
    for label in labels {
        let next = names.len();
        *label = *names.entry(*label).or_insert(next);
    }
}

/// Mean over the coordinates of their variance over the points.
fn mean_variance(points: &Points) -> f64 {
    if points.count == 0 || points.width == 0 {
        return 0.0;
    }
    let mean = mean_of(points, 0..points.count);
    let total: f64 = (0..points.count).map(|i| distance2(points.row(i), &mean)).sum();
    total / (points.count * points.width) as f64
}

fn mean_of(points: &Points, members: impl Iterator<Item = usize>) -> Vec<f64> {
    let mut mean = vec![0.0; points.width];
    let mut count = 0usize;
    for i in members {
        add(&mut mean, points.row(i), 1.0);
        count += 1;
    }
    mean.iter_mut().for_each(|x| *x /= count.max(1) as f64);
    mean
}

/// Squared Euclidean distance, in eight partial sums so that it compiles to vector code.
fn distance2(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| (x - y) * (x - y)).sum();
    for (x, y) in left.zip(right) {
        for lane in 0..8 {
            let d = x[lane] - y[lane];
            lanes[lane] += d * d;
        }
    }
    lanes.iter().sum::<f64>() + tail
}

/// Greedy k-means++ (Arthur & Vassilvitskii 2007, with scikit-learn's 2 + ⌊ln k⌋ candidates per step):
/// of the candidates, drawn in proportion to the squared distance to the nearest centre so far, the
/// one that lowers the sum of those distances most is kept. Returns k rows.
fn plus_plus(points: &Points, k: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let candidates = 2 + (k as f64).ln() as usize;
    let first = rng.random_range(0..points.count);
    let mut centres = points.row(first).to_vec();
    let mut nearest: Vec<f64> =
        (0..points.count).map(|i| distance2(points.row(i), points.row(first))).collect();
    for _ in 1..k {
        let total: f64 = nearest.iter().sum();
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..candidates {
            let candidate = weighted_index(&nearest, rng.random::<f64>() * total);
            let after: Vec<f64> = nearest
                .iter()
                .enumerate()
                .map(|(i, &d)| d.min(distance2(points.row(i), points.row(candidate))))
                .collect();
            let sum: f64 = after.iter().sum();
            if best.as_ref().is_none_or(|(lowest, ..)| sum < *lowest) {
                best = Some((sum, candidate, after));
            }
        }
        if let Some((_, chosen, after)) = best {
            centres.extend_from_slice(points.row(chosen));
            nearest = after;
        }
    }
    centres
}

/// First index at which the running sum of the weights exceeds `target`.
fn weighted_index(weights: &[f64], target: f64) -> usize {
    let mut sum = 0.0;
    for (i, weight) in weights.iter().enumerate() {
        sum += weight;
        if sum > target {
            return i;
        }
    }
    weights.len() - 1
}

/// Lloyd's iteration from the given centres until the assignment repeats, the centres rest or the
/// steps run out.
fn lloyd(
    points: &Points,
    mut centres: Vec<f64>,
    k: usize,
    tolerance: f64,
    cancel: &Cancel,
) -> Result<Partition> {
    let mut labels = Vec::new();
    for _ in 0..MAX_STEPS {
        cancel.check()?;
        let (assigned, distances) = assign(points, &centres, k);
        if assigned == labels {
            break;
        }
        labels = assigned;
        let moved = update(points, &mut centres, &mut labels, &distances, k);
        if moved <= tolerance {
            labels = assign(points, &centres, k).0;
            break;
        }
    }
    let mut inertia = 0.0;
    for cluster in 0..k {
        let members = || labels.iter().enumerate().filter(move |&(_, &l)| l == cluster).map(|(i, _)| i);
        let mean = mean_of(points, members());
        inertia += members().map(|i| distance2(points.row(i), &mean)).sum::<f64>();
    }
    Ok(Partition { labels, inertia })
}

/// Nearest centre of each point (the first of equals) and the squared distance to it.
fn assign(points: &Points, centres: &[f64], k: usize) -> (Vec<usize>, Vec<f64>) {
    (0..points.count)
        .map(|i| {
            let mut best = (0, f64::INFINITY);
            for (cluster, centre) in centres.chunks_exact(points.width.max(1)).take(k).enumerate() {
                let distance = distance2(points.row(i), centre);
                if distance < best.1 {
                    best = (cluster, distance);
                }
            }
            best
        })
        .unzip()
}

/// Moves the centres to the means of their points; a centre without points goes to the point that is
/// farthest from its own centre and takes it over. Returns the summed squared movement.
fn update(points: &Points, centres: &mut Vec<f64>, labels: &mut [usize], distances: &[f64], k: usize) -> f64 {
    let width = points.width;
    let mut sizes = vec![0usize; k];
    labels.iter().for_each(|&label| sizes[label] += 1);
    let mut farthest: Vec<usize> = if sizes.contains(&0) { (0..points.count).collect() } else { Vec::new() };
    farthest.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
    let mut farthest = farthest.into_iter();
    for cluster in 0..k {
        if sizes[cluster] > 0 {
            continue;
        }
        // Never a point that sits on its centre, nor the only member of another cluster.
        let Some(point) = farthest.by_ref().find(|&i| distances[i] > 0.0 && sizes[labels[i]] > 1) else {
            break;
        };
        sizes[labels[point]] -= 1;
        sizes[cluster] = 1;
        labels[point] = cluster;
    }
    let mut sums = vec![0.0; k * width];
    for (i, &label) in labels.iter().enumerate() {
        add(&mut sums[label * width..(label + 1) * width], points.row(i), 1.0);
    }
    for (cluster, &size) in sizes.iter().enumerate() {
        let range = cluster * width..(cluster + 1) * width;
        if size == 0 {
            sums[range.clone()].copy_from_slice(&centres[range]);
        } else {
            sums[range].iter_mut().for_each(|x| *x /= size as f64);
        }
    }
    let moved = distance2(&sums, centres);
    *centres = sums;
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::Rng;

    fn points(rows: &[&[f64]]) -> Points {
        Points { count: rows.len(), width: rows[0].len(), data: rows.concat() }
    }

    fn random_points(count: usize, width: usize, seed: u64) -> Points {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Points { count, width, data: (0..count * width).map(|_| rng.random_range(-1.0..1.0)).collect() }
    }

    #[test]
    fn finds_separated_groups_and_numbers_them_by_first_appearance() {
        let p = points(&[&[9.0, 0.0], &[0.0, 0.0], &[0.1, 0.0], &[9.1, 0.0], &[0.0, 5.0]]);
        let found = kmeans(&p, 3, 7, &Cancel::new()).unwrap();
        assert_eq!(found.labels, [0, 1, 1, 0, 2]);
        assert!((found.inertia - 0.01).abs() < 1e-9, "{}", found.inertia);
    }

    #[test]
    fn one_cluster_per_point_has_no_inertia_and_one_for_all_has_the_variance() {
        let p = random_points(9, 5, 3);
        let each = kmeans(&p, 9, 1, &Cancel::new()).unwrap();
        assert_eq!(each.labels, (0..9).collect::<Vec<_>>());
        assert!(each.inertia < 1e-20);
        let all = kmeans(&p, 1, 1, &Cancel::new()).unwrap();
        assert!((all.inertia - mean_variance(&p) * 45.0).abs() < 1e-9);
    }

    #[test]
    fn equal_points_leave_clusters_empty_instead_of_failing() {
        let p = points(&[&[1.0], &[1.0], &[2.0], &[1.0]]);
        let found = kmeans(&p, 3, 5, &Cancel::new()).unwrap();
        assert_eq!(found.labels, [0, 0, 1, 0]);
        assert_eq!(found.inertia, 0.0);
    }

    #[test]
    fn an_empty_cluster_takes_the_farthest_point() {
        let p = points(&[&[0.0], &[1.0], &[10.0]]);
        let mut centres = vec![0.0, 100.0];
        let mut labels = vec![0, 0, 0];
        update(&p, &mut centres, &mut labels, &[0.0, 1.0, 100.0], 2);
        assert_eq!((labels, centres), (vec![0, 0, 1], vec![0.5, 10.0]));
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let p = random_points(60, 12, 11);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| kmeans(&p, 5, 42, &Cancel::new()).unwrap())
        };
        assert_eq!(run(1), run(4));
    }

    #[test]
    fn stops_when_asked() {
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(matches!(kmeans(&random_points(5, 2, 1), 2, 1, &cancel), Err(crate::Error::Cancelled)));
    }

    proptest! {
        /// Every point is no farther from its own mean than from any other, and all labels are used.
        #[test]
        fn ends_where_lloyd_rests(count in 2usize..40, width in 1usize..6, k in 1usize..6, seed: u64) {
            let k = k.min(count);
            let p = random_points(count, width, seed);
            let found = kmeans(&p, k, seed, &Cancel::new()).unwrap();
            let used = found.labels.iter().max().unwrap() + 1;
            prop_assert_eq!(used, k);
            let means: Vec<Vec<f64>> = (0..k)
                .map(|c| mean_of(&p, (0..count).filter(|&i| found.labels[i] == c)))
                .collect();
            let inertia: f64 = (0..count).map(|i| distance2(p.row(i), &means[found.labels[i]])).sum();
            prop_assert!((inertia - found.inertia).abs() < 1e-9);
            let best: f64 = (0..count)
                .map(|i| means.iter().map(|m| distance2(p.row(i), m)).fold(f64::INFINITY, f64::min))
                .sum();
            prop_assert!(inertia - best <= 2.0 * TOLERANCE * inertia.max(1e-9) + 1e-9, "{inertia} {best}");
        }
    }
}

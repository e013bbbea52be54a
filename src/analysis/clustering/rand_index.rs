//! How alike two partitions are.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// The Rand index of two partitions of the same things, adjusted for chance (L. Hubert and P. Arabie, "Comparing
/// partitions", 1985): 1 for the same partition, about 0 for unrelated ones. `None` where the lengths differ or there
/// are fewer than two things. Two partitions that are trivial in the same way are the same.
pub fn adjusted_rand<A: Eq + Hash, B: Eq + Hash>(one: &[A], other: &[B]) -> Option<f64> {
    if one.len() != other.len() || one.len() < 2 {
        return None;
    }
    let (mut both, mut rows, mut columns) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (a, b) in one.iter().zip(other) {
        *both.entry((a, b)).or_insert(0u64) += 1;
        *rows.entry(a).or_insert(0u64) += 1;
        *columns.entry(b).or_insert(0u64) += 1;
    }
    let pairs = |n: u64| (n * n.saturating_sub(1) / 2) as f64;
    let together: f64 = both.values().map(|&n| pairs(n)).sum();
    let (a, b): (f64, f64) =
        (rows.values().map(|&n| pairs(n)).sum(), columns.values().map(|&n| pairs(n)).sum());
    let expected = a * b / pairs(one.len() as u64);
    let most = (a + b) / 2.0;
    Some(if most == expected { 1.0 } else { (together - expected) / (most - expected) })
}

/// How alike clusters are to the groups that their members are known to belong to, such as the families of tasks: the
/// [`adjusted_rand`] index of both. `None` unless the group of each member is known and there are several.
pub fn agreement<G: Eq + Hash>(labels: &[usize], groups: impl IntoIterator<Item = Option<G>>) -> Option<f64> {
    let groups: Vec<G> = groups.into_iter().collect::<Option<_>>()?;
    let several = groups.iter().collect::<HashSet<_>>().len() > 1;
    if several { adjusted_rand(labels, &groups) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_scikit_learns() {
        // sklearn.metrics.adjusted_rand_score
        let ari = |a: &[usize], b: &[usize]| adjusted_rand(a, b).unwrap();
        assert!((ari(&[0, 0, 1, 2], &[0, 0, 1, 1]) - 0.571_428_571_428_571_4).abs() < 1e-12);
        assert!((ari(&[0, 0, 1, 1], &[0, 1, 0, 1]) + 0.5).abs() < 1e-12);
        assert!((ari(&[0, 0, 0, 1, 1, 2], &[1, 1, 0, 0, 2, 2]) - 2.0 / 27.0).abs() < 1e-12);
        assert_eq!(ari(&[0, 0, 1, 1], &[5, 5, 3, 3]), 1.0);
        assert_eq!(ari(&[0, 0, 0], &[1, 1, 1]), 1.0);
        assert_eq!(adjusted_rand(&[0], &[0]), None);
        assert_eq!(adjusted_rand(&[0, 1], &[0]), None);
    }

    #[test]
    fn clusters_agree_with_groups_that_are_all_known() {
        let of = |groups: [Option<&str>; 3]| agreement(&[0, 0, 1], groups);
        assert_eq!(of([Some("x"), Some("x"), Some("y")]), Some(1.0));
        // Of three pairs one is together in each partition, never the same: scikit-learn's adjusted_rand_score.
        assert!(of([Some("x"), Some("y"), Some("y")]).is_some_and(|index| (index + 0.5).abs() < 1e-12));
        assert_eq!(of([Some("x"), Some("x"), None]), None);
        assert_eq!(of([Some("x"), Some("x"), Some("x")]), None);
    }
}

//! How alike two partitions are.

use std::collections::HashMap;

/// The Rand index of two partitions of the same things, adjusted for chance (L. Hubert and P. Arabie, "Comparing
/// partitions", 1985): 1 for the same partition, about 0 for unrelated ones. `None` where the lengths differ or there
/// are fewer than two things. Two partitions that are trivial in the same way are the same.
pub fn adjusted_rand(one: &[usize], other: &[usize]) -> Option<f64> {
    if one.len() != other.len() || one.len() < 2 {
        return None;
    }
    let (mut both, mut rows, mut columns) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (&a, &b) in one.iter().zip(other) {
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
}

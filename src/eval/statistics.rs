//! Means, their errors, and intervals of paired differences.
//!
//! The standard error of a mean of n values is their standard deviation (n − 1) over √n. Intervals are percentiles of
//! means of resampled values (B. Efron, "Bootstrap methods", 1979), with a generator of their own, so that they are the
//! same everywhere.

use serde::{Deserialize, Serialize};

/// Resamples of an interval.
pub const RESAMPLES: usize = 10_000;
/// Resampled means that are kept of each task where tasks are resampled, too.
const POOL: usize = 1000;
/// Share of the resamples below an interval, and above it.
const TAIL: f64 = 0.025;

/// A mean with its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub score: f64,
    /// Its standard error; none of a single value.
    pub stderr: Option<f64>,
}

impl Mean {
    /// Of these values; `None` where there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let stderr = (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt());
        Some(Self { score: mean, stderr })
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `count`, by the upper half of a product: for counts of items the bias is far below what is measured.
    fn below(&mut self, count: usize) -> usize {
        (((self.next() >> 32) * count as u64) >> 32) as usize
    }

    /// The mean of as many of `values` as there are, drawn with replacement.
    fn mean(&mut self, values: &[f64]) -> f64 {
        let sum: f64 = (0..values.len()).map(|_| values[self.below(values.len())]).sum();
        sum / values.len().max(1) as f64
    }
}

/// Value below which a share of the sorted `values` lies, between neighbours in proportion (as numpy's `percentile`).
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(low), Some(high)) => low + (high - low) * (at - below as f64),
        _ => f64::NAN,
    }
}

fn interval(mut means: Vec<f64>) -> [f64; 2] {
    means.sort_by(f64::total_cmp);
    [quantile(&means, TAIL), quantile(&means, 1.0 - TAIL)]
}

/// The 95 % interval of the mean of `values`, which are not empty.
pub fn interval_of_mean(values: &[f64], seed: u64) -> [f64; 2] {
    let mut random = Random(seed);
    interval((0..RESAMPLES).map(|_| random.mean(values)).collect())
}

/// The 95 % interval of the mean over tasks of their means: tasks are resampled first, then the values of each.
pub fn interval_over_tasks(tasks: &[&[f64]], seed: u64) -> [f64; 2] {
    if let [one] = tasks {
        return interval_of_mean(one, seed);
    }
    let mut random = Random(seed);
    let pools: Vec<Vec<f64>> =
        tasks.iter().map(|values| (0..POOL).map(|_| random.mean(values)).collect()).collect();
    let mut mean = || {
        let drawn = (0..pools.len()).map(|_| {
            let pool = &pools[random.below(pools.len())];
            pool[random.below(POOL)]
        });
        let sum: f64 = drawn.collect::<Vec<_>>().iter().sum();
        sum / pools.len().max(1) as f64
    };
    interval((0..RESAMPLES).map(|_| mean()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn means_and_quantiles_are_numpys() {
        // a = numpy.array([…]); a.mean(), a.std(ddof=1) / 5 ** .5, numpy.percentile(a, [2.5, 50, 97.5])
        let a = [0.3, -1.25, 4.0, 2.5, 0.0];
        let mean = Mean::of(&a).unwrap();
        assert!(
            (mean.score - 1.11).abs() < 1e-12
                && (mean.stderr.unwrap() - 0.941_859_862_187_576_1).abs() < 1e-9
        );
        let mut sorted = a.to_vec();
        sorted.sort_by(f64::total_cmp);
        for (share, expected) in [(0.025, -1.125), (0.5, 0.3), (0.975, 3.85)] {
            assert!((quantile(&sorted, share) - expected).abs() < 1e-12, "{share}");
        }
        assert_eq!(Mean::of(&[2.0]), Some(Mean { score: 2.0, stderr: None }));
        assert_eq!(Mean::of(&[]), None);
    }

    #[test]
    fn intervals_are_those_of_numpys_resamples() {
        // d = numpy.array([1] * 30 + [0] * 60 + [-1] * 10.0); 10^6 resamples: percentiles 0.08 and 0.32.
        let d: Vec<f64> = [vec![1.0; 30], vec![0.0; 60], vec![-1.0; 10]].concat();
        let [low, high] = interval_of_mean(&d, 7);
        assert!((low - 0.08).abs() <= 0.011 && (high - 0.32).abs() <= 0.011, "{low} {high}");
        assert_eq!(interval_of_mean(&d, 7), [low, high]);
        // Tasks that differ make the interval of their mean wider than items alone.
        let (good, bad) = (vec![1.0; 50], vec![0.0; 50]);
        assert_eq!(interval_over_tasks(&[&good, &bad], 1), [0.0, 1.0]);
        assert_eq!(interval_over_tasks(&[&d], 7), [low, high]);
    }

    proptest! {
        #[test]
        fn an_interval_has_the_mean_in_it_and_moves_with_the_values(
            values in proptest::collection::vec(-1.0f64..1.0, 2..40),
            shift in -3.0f64..3.0,
        ) {
            let mean = Mean::of(&values).unwrap();
            let [low, high] = interval_of_mean(&values, 3);
            prop_assert!(low <= mean.score + 1e-9 && mean.score - 1e-9 <= high);
            let shifted: Vec<f64> = values.iter().map(|value| value + shift).collect();
            let [low_shifted, high_shifted] = interval_of_mean(&shifted, 3);
            prop_assert!((low_shifted - low - shift).abs() < 1e-9 && (high_shifted - high - shift).abs() < 1e-9);
            // About two standard errors on both sides.
            let error = mean.stderr.unwrap();
            prop_assert!(high - low <= 4.5 * error + 1e-9);
        }
    }
}

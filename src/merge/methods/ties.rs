//! TIES: trim, elect a sign, average what agrees.

use super::entrywise::entrywise;
use super::spec::MethodSpec;
use crate::merge::options::DENSITY;

/// Yadav et al., 2023, on the entries of √|w s| A and √|w s| B, as PEFT's `ties`.
pub(super) static METHOD: MethodSpec = MethodSpec {
    id: "ties",
    help: "Keep the largest entries of each A and B, elect a sign for each entry, average those that agree (TIES)",
    formula: "mean of the entries of √abs(w·s) A (and B) whose sign is that of their sum, of the `density` largest \
              each (Yadav et al., 2023; PEFT's `ties`)",
    rank: "that of the experts",
    options: &[&DENSITY],
    truncates: false,
    entrywise: true,
    default_weight: |_| 1.0,
    combine: |parts, spec| {
        let density = spec.density.unwrap_or(1.0);
        entrywise(parts, |_, tensors, weights| elect(tensors, weights, density))
    },
};

/// TIES (Yadav et al., 2023): of each tensor the `density` largest entries in magnitude stay; per entry the
/// sign of their plain sum is elected (positive for 0); the weighted entries of that sign are averaged over
/// their number. As PEFT's `ties` with the majority sign method `total`.
fn elect(tensors: &[&[f32]], weights: &[f32], density: f64) -> Vec<f32> {
    let trimmed: Vec<Vec<f32>> = tensors.iter().map(|tensor| keep_largest(tensor, density)).collect();
    let length = trimmed.first().map_or(0, Vec::len);
    (0..length)
        .map(|i| {
            let entries = || trimmed.iter().zip(weights).map(|(tensor, &w)| (tensor[i], w));
            let positive = entries().map(|(x, _)| f64::from(x)).sum::<f64>() >= 0.0;
            let (mut sum, mut count) = (0f32, 0u32);
            for (x, w) in entries().filter(|&(x, _)| if positive { x > 0.0 } else { x < 0.0 }) {
                sum += x * w;
                count += 1;
            }
            sum / count.max(1) as f32
        })
        .collect()
}

/// The `density` · n (rounded down) largest entries in magnitude; the others become 0. Of equals the first
/// stay.
fn keep_largest(tensor: &[f32], density: f64) -> Vec<f32> {
    if density >= 1.0 {
        return tensor.to_vec();
    }
    let kept = (density * tensor.len() as f64) as usize;
    let mut order: Vec<usize> = (0..tensor.len()).collect();
    let by_size = |&i: &usize, &j: &usize| tensor[j].abs().total_cmp(&tensor[i].abs()).then(i.cmp(&j));
    if kept < order.len() {
        order.select_nth_unstable_by(kept, by_size);
    }
    let mut out = vec![0.0; tensor.len()];
    order.iter().take(kept).for_each(|&i| out[i] = tensor[i]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_entries_stay_and_of_equals_the_first() {
        assert_eq!(keep_largest(&[1.0, -3.0, 2.0, 0.5], 0.5), [0.0, -3.0, 2.0, 0.0]);
        assert_eq!(keep_largest(&[1.0, -1.0, 1.0], 0.7), [1.0, -1.0, 0.0]);
        assert_eq!(keep_largest(&[1.0, 2.0], 0.4), [0.0, 0.0]);
        assert_eq!(keep_largest(&[1.0, 2.0], 1.0), [1.0, 2.0]);
    }

    #[test]
    fn the_sign_of_the_sum_is_elected_and_its_entries_averaged() {
        // 3 − 1 > 0: only the first counts. −2 − 2 < 0: both, weighted, over 2. A tie of signs is positive.
        let (a, b) = ([3.0, -2.0, 1.0, 0.0], [-1.0, -2.0, -1.0, 0.0]);
        assert_eq!(elect(&[&a, &b], &[2.0, 1.0], 1.0), [6.0, -3.0, 2.0, 0.0]);
    }

    proptest! {
        #[test]
        fn one_tensor_at_full_density_is_itself(tensor in prop::collection::vec(-5f32..5.0, 1..30)) {
            prop_assert_eq!(elect(&[&tensor], &[1.0], 1.0), tensor);
        }

        #[test]
        fn so_many_entries_stay(tensor in prop::collection::vec(1f32..5.0, 1..60), density in 0f64..1.0) {
            let kept = keep_largest(&tensor, density);
            let count = kept.iter().filter(|x| **x != 0.0).count();
            prop_assert_eq!(count, (density * tensor.len() as f64) as usize);
            let smallest = kept.iter().copied().filter(|x| *x != 0.0).fold(f32::INFINITY, f32::min);
            prop_assert!(tensor.iter().zip(&kept).all(|(x, k)| *k != 0.0 || *x <= smallest));
        }
    }
}

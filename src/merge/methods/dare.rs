//! DARE: drop entries at random, rescale the rest, add up.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::entrywise::entrywise;
use super::mean_weight;
use super::spec::{Combined, MethodSpec, ModuleParts};
use crate::merge::MergeSpec;
use crate::merge::options::{DENSITY, SEED};

/// Yu et al., 2024, on the entries of √|w s| A and √|w s| B, as PEFT's `dare_linear`.
pub(super) static METHOD: MethodSpec = MethodSpec {
    id: "dare",
    help: "Drop entries of each A and B at random, scale up the rest, add them up (DARE)",
    formula: "sum of √abs(w·s) A (and B), each entry dropped with probability 1 − `density`, else divided by \
              `density` (Yu et al., 2024; PEFT's `dare_linear`)",
    rank: "that of the experts",
    options: &[&DENSITY, &SEED],
    truncates: false,
    entrywise: true,
    default_weight: mean_weight,
    combine,
};

fn combine(at: &ModuleParts<'_>, spec: &MergeSpec) -> Combined {
    let (density, seed) = (spec.density.unwrap_or(1.0), spec.seed.unwrap_or_default());
    entrywise(at, |which, tensors, weights| {
        let thinned: Vec<Vec<f32>> = tensors
            .iter()
            .zip(&at.parts)
            .map(|(tensor, part)| drop_at_random(tensor, density, seed, &[at.module, which, part.origin]))
            .collect();
        add(&thinned, weights)
    })
}

/// DARE (Yu et al., 2024): each entry stays with probability `density` and is divided by it, else it becomes
/// 0, so that the expectation is the tensor itself. Chance depends on the seed and on `what` alone.
fn drop_at_random(tensor: &[f32], density: f64, seed: u64, what: &[&str]) -> Vec<f32> {
    if density >= 1.0 {
        return tensor.to_vec();
    }
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for text in what {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(hash.finalize().into());
    let scale = (1.0 / density) as f32;
    tensor.iter().map(|x| if rng.random::<f64>() < density { x * scale } else { 0.0 }).collect()
}

/// Σ wₑ xₑ, entry by entry.
fn add(tensors: &[Vec<f32>], weights: &[f32]) -> Vec<f32> {
    let length = tensors.first().map_or(0, Vec::len);
    (0..length).map(|i| tensors.iter().zip(weights).map(|(tensor, w)| tensor[i] * w).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_dropped_depends_on_seed_and_place_and_keeps_the_mean() {
        let ones = vec![1f32; 20_000];
        let drop = |seed, place: &str| drop_at_random(&ones, 0.25, seed, &[place, "A"]);
        assert_eq!(drop(1, "q"), drop(1, "q"));
        assert!(drop(1, "q") != drop(2, "q") && drop(1, "q") != drop(1, "k"));
        let kept = drop(1, "q");
        assert!(kept.iter().all(|&x| x == 0.0 || x == 4.0));
        let mean = kept.iter().sum::<f32>() / ones.len() as f32;
        // Five standard deviations of the mean of 20,000 draws.
        assert!((mean - 1.0).abs() < 5.0 * 4.0 * (0.1875f32 / 20_000.0).sqrt(), "{mean}");
    }

    proptest! {
        #[test]
        fn one_tensor_at_full_density_is_itself(tensor in prop::collection::vec(-5f32..5.0, 1..30)) {
            let whole = drop_at_random(&tensor, 1.0, 0, &[]);
            prop_assert_eq!(add(&[whole], &[1.0]), tensor);
        }
    }
}

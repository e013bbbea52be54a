//! Exact prototypes and spectra of ΔW = B·A from the factors, without forming the product.

use faer::Mat;

use crate::analysis::linalg::{thin_svd, triangular};

/// The input direction that ΔW of one expert at one module amplifies most, and the spectrum of B·A.
#[derive(Clone, Debug, PartialEq)]
pub struct Prototype {
    /// Top right singular vector of B·A: `in` entries, unit length, its largest component positive
    /// (the first of equals); all zeros where B·A is zero or not finite.
    pub vector: Vec<f32>,
    /// Singular values of B·A (the scale α/r is not in them), largest first, `rank` of them; NaN
    /// when a factor is not finite.
    pub sigma: Vec<f64>,
}

/// Prototype of `a` (row-major rank × in) and `b` (row-major out × rank).
///
/// With Aᵀ = Q_A R_A and B = Q_B R_B the singular values of B·A are those of the small matrix
/// R_B R_Aᵀ = U Σ Vᵀ, and the vector is Q_A V₁ = Aᵀ R_Bᵀ U₁ / σ₁, so that neither Q is needed.
/// Exact at any rank, also above `in_features` or `out_features`; f64 inside.
///
/// # Panics
/// If the lengths of `a` and `b` do not fit the sizes (a bug in the caller, not bad input).
pub fn prototype(a: &[f32], b: &[f32], rank: usize, in_features: usize, out_features: usize) -> Prototype {
    assert_eq!(a.len(), rank * in_features, "lora_A is rank x in");
    assert_eq!(b.len(), out_features * rank, "lora_B is out x rank");
    let zero = |sigma: Vec<f64>| Prototype { vector: vec![0.0; in_features], sigma };
    if rank == 0 || in_features == 0 || out_features == 0 {
        return zero(vec![0.0; rank]);
    }
    let r_a = triangular(Mat::from_fn(in_features, rank, |i, j| f64::from(a[j * in_features + i])));
    let r_b = triangular(Mat::from_fn(out_features, rank, |i, j| f64::from(b[i * rank + j])));
    let small = &r_b * r_a.transpose();
    let Some(decomposition) = thin_svd(small.as_ref()) else {
        return zero(vec![f64::NAN; rank]);
    };
    let mut sigma = decomposition.sigma;
    sigma.resize(rank, 0.0);
    // What is left after A and B cancel to rounding error is noise, not a direction.
    let noise = 1e-14 * r_a.norm_l2() * r_b.norm_l2();
    if sigma[0] <= noise {
        return zero(vec![0.0; rank]);
    }
    let weights = r_b.transpose() * decomposition.u.col(0);
    let mut direction = vec![0.0f64; in_features];
    for (row, weight) in a.chunks_exact(in_features).zip(weights.iter()) {
        for (sum, &x) in direction.iter_mut().zip(row) {
            *sum += weight * f64::from(x);
        }
    }
    let largest =
        direction.iter().copied().fold(0.0f64, |best, x| if x.abs() > best.abs() { x } else { best });
    let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt().copysign(largest);
    Prototype { vector: direction.into_iter().map(|x| (x / norm) as f32).collect(), sigma }
}

/// Where ΔW of one expert at one module looks, and how strongly it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    /// Right singular vectors of B·A that count [count, in], unit length, strongest first.
    pub vectors: Vec<f32>,
    /// Their singular values (the scale α/r is not in them).
    pub sigma: Vec<f64>,
}

/// All right singular vectors of B·A for `a` (row-major rank × in) and `b` (row-major out × rank), exact and without
/// forming the product, as [`prototype`] has the first of them. Those whose singular value is below 1e-7 of the
/// largest are rounding errors of f32 factors and left out; none where a factor is not finite.
///
/// # Panics
/// As [`prototype`].
pub fn directions(a: &[f32], b: &[f32], rank: usize, in_features: usize, out_features: usize) -> Directions {
    assert_eq!(a.len(), rank * in_features, "lora_A is rank x in");
    assert_eq!(b.len(), out_features * rank, "lora_B is out x rank");
    let mut found = Directions { vectors: Vec::new(), sigma: Vec::new() };
    if rank == 0 || in_features == 0 || out_features == 0 {
        return found;
    }
    let r_a = triangular(Mat::from_fn(in_features, rank, |i, j| f64::from(a[j * in_features + i])));
    let r_b = triangular(Mat::from_fn(out_features, rank, |i, j| f64::from(b[i * rank + j])));
    let small = &r_b * r_a.transpose();
    let Some(decomposition) = thin_svd(small.as_ref()) else { return found };
    let noise = 1e-14 * r_a.norm_l2() * r_b.norm_l2();
    let least = decomposition.sigma.first().map_or(0.0, |first| 1e-7 * first).max(noise);
    let mut direction = vec![0.0f64; in_features];
    for (i, &sigma) in decomposition.sigma.iter().enumerate().take_while(|(_, sigma)| **sigma > least) {
        let weights = r_b.transpose() * decomposition.u.col(i);
        direction.fill(0.0);
        for (row, weight) in a.chunks_exact(in_features).zip(weights.iter()) {
            direction.iter_mut().zip(row).for_each(|(sum, &x)| *sum += weight * f64::from(x));
        }
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
        found.vectors.extend(direction.iter().map(|x| (x / norm) as f32));
        found.sigma.push(sigma);
    }
    found
}

/// exp of the entropy of σ / Σσ: between 1 and the number of values; 0 when all are zero.
pub fn effective_rank(sigma: &[f64]) -> f64 {
    let total: f64 = sigma.iter().sum();
    if total <= 0.0 || total.is_nan() {
        return 0.0;
    }
    let entropy: f64 = sigma.iter().map(|s| s / total).filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum();
    entropy.exp()
}

/// σ₂ / σ₁: near 1 the prototype is not well defined. 0 at rank 1 or when all are zero.
pub fn spectral_gap(sigma: &[f64]) -> f64 {
    match sigma {
        [first, second, ..] if *first > 0.0 => second / first,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (0..n).map(|_| rng.random_range(-1.0f32..1.0)).collect()
    }

    /// B·A in f64.
    fn product(a: &[f32], b: &[f32], rank: usize, inputs: usize, outputs: usize) -> Mat<f64> {
        Mat::from_fn(outputs, inputs, |o, i| {
            (0..rank).map(|k| f64::from(b[o * rank + k]) * f64::from(a[k * inputs + i])).sum()
        })
    }

    proptest! {
        /// Against the decomposition of the formed product, at ranks below and above the sizes.
        #[test]
        fn agrees_with_the_decomposition_of_the_product(
            rank in 1usize..12, inputs in 1usize..20, outputs in 1usize..20, seed: u64,
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (a, b) = (random(rank * inputs, &mut rng), random(outputs * rank, &mut rng));
            let got = prototype(&a, &b, rank, inputs, outputs);
            let formed = product(&a, &b, rank, inputs, outputs);
            let expected = thin_svd(formed.as_ref()).unwrap();
            let top = expected.sigma[0];
            for (i, sigma) in got.sigma.iter().enumerate() {
                let wanted = expected.sigma.get(i).copied().unwrap_or(0.0);
                prop_assert!((sigma - wanted).abs() <= 1e-9 * top, "{i}: {sigma} {wanted}");
            }
            prop_assert_eq!(got.sigma.len(), rank);
            // ‖ΔW v‖ = σ₁ also where the two largest values are so close that v is not unique.
            let v = faer::Col::from_fn(inputs, |i| f64::from(got.vector[i]));
            prop_assert!((v.norm_l2() - 1.0).abs() < 1e-6);
            prop_assert!(((&formed * &v).norm_l2() - top).abs() <= 1e-6 * top);
            let largest = got.vector.iter().copied().fold(0.0f32, |m, x| if x.abs() > m.abs() { x } else { m });
            prop_assert!(largest > 0.0);
        }
    }

    proptest! {
        /// Lengths along the directions are those of the product: ‖B A x‖ = ‖S Vᵀ x‖.
        #[test]
        fn directions_span_what_the_product_sees(
            rank in 1usize..8, inputs in 1usize..16, outputs in 1usize..16, seed: u64,
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (a, b) = (random(rank * inputs, &mut rng), random(outputs * rank, &mut rng));
            let x = random(inputs, &mut rng);
            let found = directions(&a, &b, rank, inputs, outputs);
            let formed = product(&a, &b, rank, inputs, outputs);
            let x = faer::Col::from_fn(inputs, |i| f64::from(x[i]));
            let along = found.vectors.chunks(inputs).zip(&found.sigma).map(|(v, s)| {
                s * v.iter().zip(x.iter()).map(|(v, x)| f64::from(*v) * x).sum::<f64>()
            });
            let length = along.map(|y| y * y).sum::<f64>().sqrt();
            let wanted = (&formed * &x).norm_l2();
            prop_assert!((length - wanted).abs() <= 1e-5 * (found.sigma[0] * x.norm_l2()), "{length} {wanted}");
            prop_assert!(found.sigma.len() <= rank.min(inputs).min(outputs));
            let first = prototype(&a, &b, rank, inputs, outputs).vector;
            let cosine: f32 = first.iter().zip(&found.vectors).map(|(a, b)| a * b).sum();
            prop_assert!(found.sigma.get(1) > Some(&(0.999 * found.sigma[0])) || cosine.abs() > 0.999);
        }
    }

    #[test]
    fn no_direction_where_the_product_is_zero() {
        let zero = prototype(&[1.0, 2.0, 3.0, 4.0], &[0.0; 6], 2, 2, 3);
        assert_eq!(zero, Prototype { vector: vec![0.0; 2], sigma: vec![0.0; 2] });
        // B·A cancels although neither factor is zero.
        let cancels = prototype(&[0.3, 0.7, 0.3, 0.7], &[1.0, -1.0], 2, 2, 1);
        assert_eq!(cancels.vector, [0.0, 0.0]);
        assert!(directions(&[0.3, 0.7, 0.3, 0.7], &[1.0, -1.0], 2, 2, 1).sigma.is_empty());
        assert_eq!(prototype(&[], &[], 0, 3, 2), Prototype { vector: vec![0.0; 3], sigma: vec![] });
    }

    #[test]
    fn survives_extreme_values() {
        for scale in [1e-30f32, 1e30] {
            let p = prototype(&[3.0 * scale, 4.0 * scale], &[2.0 * scale], 1, 2, 1);
            assert!((p.vector[0] - 0.6).abs() < 1e-6 && (p.vector[1] - 0.8).abs() < 1e-6, "{p:?}");
        }
        let bad = prototype(&[f32::NAN, 1.0], &[1.0], 1, 2, 1);
        assert_eq!(bad.vector, [0.0, 0.0]);
        assert!(bad.sigma[0].is_nan());
    }

    #[test]
    fn spectra_have_the_documented_limits() {
        assert!((effective_rank(&[2.0, 2.0, 2.0]) - 3.0).abs() < 1e-12);
        assert!((effective_rank(&[5.0, 0.0]) - 1.0).abs() < 1e-12);
        assert_eq!(effective_rank(&[0.0, 0.0]), 0.0);
        assert_eq!(spectral_gap(&[4.0, 1.0]), 0.25);
        assert_eq!(spectral_gap(&[4.0]), 0.0);
        assert_eq!(spectral_gap(&[0.0, 0.0]), 0.0);
    }
}

//! The largest eigenpairs of a symmetric matrix: dense while it is small, Lanczos above.

use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::linalg::symmetric_eigen;
use crate::{Cancel, Error, Result};

/// Up to this size the whole decomposition is cheaper.
const DENSE: usize = 512;
/// Krylov vectors kept at most: a bound on memory and time where the spectrum hardly decays.
const MAX_BASIS: usize = 1536;
/// A pair has converged when its residual is below this times the largest eigenvalue.
const RESIDUAL: f64 = 1e-10;

/// Components of a vector that one thread works on.
const PART: usize = 1024;

/// A symmetric matrix that can be applied to a vector.
pub(super) trait Symmetric: Sync {
    /// Rows.
    fn size(&self) -> usize;
    /// Entry of row `i` and column `j`.
    fn entry(&self, i: usize, j: usize) -> f64;
    /// `into` = matrix × `vector`.
    fn apply(&self, vector: &[f64], into: &mut [f64]);
}

/// Eigenvalues, largest first, and their unit vectors; the sign makes the largest component positive.
pub(super) struct Pairs {
    pub values: Vec<f64>,
    pub vectors: Vec<Vec<f64>>,
}

/// The `count` largest eigenpairs (all of them when the matrix is smaller; fewer where all others are
/// zero). `progress` gets (done, total) in steps of which the last are rarely needed.
pub(super) fn largest(
    matrix: &dyn Symmetric,
    count: usize,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Pairs> {
    let n = matrix.size();
    let count = count.min(n);
    let mut pairs =
        if n <= DENSE { dense(matrix, count)? } else { lanczos(matrix, count, progress, cancel)? };
    for vector in &mut pairs.vectors {
        let top = vector.iter().copied().fold(0.0f64, |m, x| if x.abs() > m.abs() { x } else { m });
        if top < 0.0 {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
    }
    Ok(pairs)
}

fn not_finite() -> Error {
    Error::msg("the similarity of these experts is not finite: one of them holds NaN or huge weights")
}

fn dense(matrix: &dyn Symmetric, count: usize) -> Result<Pairs> {
    let n = matrix.size();
    let full = Mat::from_fn(n, n, |i, j| matrix.entry(i, j));
    let (mut values, vectors) = symmetric_eigen(full.as_ref()).ok_or_else(not_finite)?;
    values.truncate(count);
    Ok(Pairs { values, vectors: (0..count).map(|k| (0..n).map(|i| vectors[(i, k)]).collect()).collect() })
}

/// Lanczos with full reorthogonalisation; the basis grows until every wanted pair has converged.
fn lanczos(
    matrix: &dyn Symmetric,
    count: usize,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Pairs> {
    let n = matrix.size();
    let limit = MAX_BASIS.max(2 * count).min(n);
    let mut rng = ChaCha8Rng::seed_from_u64(0x5eed);
    let mut basis: Vec<Vec<f64>> = vec![fresh_direction(n, &[], &mut rng)];
    let (mut diagonal, mut off_diagonal) = (Vec::<f64>::new(), Vec::<f64>::new());
    let mut next_check = (2 * count + 16).min(limit);
    let mut empty_restarts = 0;
    let mut scale = 0.0f64;
    loop {
        cancel.check()?;
        let step = diagonal.len();
        progress(step, limit);
        let mut image = vec![0.0; n];
        matrix.apply(&basis[step], &mut image);
        let alpha = dot(&image, &basis[step]);
        if !alpha.is_finite() {
            return Err(not_finite());
        }
        diagonal.push(alpha);
        add(&mut image, &basis[step], -alpha);
        if let (Some(before), Some(&beta)) = (step.checked_sub(1), off_diagonal.last()) {
            add(&mut image, &basis[before], -beta);
        }
        orthogonalise(&mut image, &basis);
        let beta = dot(&image, &image).sqrt();
        scale = scale.max(alpha.abs() + beta);
        let exhausted = beta <= 1e-13 * scale;
        empty_restarts = if exhausted && alpha.abs() <= 1e-13 * scale { empty_restarts + 1 } else { 0 };
        let size = diagonal.len();
        // Several fresh directions in a row that the matrix sends to zero: the rest is its null space.
        let done = size == limit || empty_restarts >= 4;
        if done || (size >= next_check && !exhausted) {
            let small = Mat::from_fn(size, size, |i, j| match i.abs_diff(j) {
                0 => diagonal[i],
                1 => off_diagonal[i.min(j)],
                _ => 0.0,
            });
            let (values, vectors) = symmetric_eigen(small.as_ref()).ok_or_else(not_finite)?;
            let found = count.min(size);
            let accuracy = RESIDUAL * values[0].abs();
            if done || (0..found).all(|k| beta * vectors[(size - 1, k)].abs() <= accuracy) {
                let ritz = (0..found).into_par_iter().map(|k| {
                    let mut vector = vec![0.0; n];
                    for (i, direction) in basis.iter().enumerate() {
                        add(&mut vector, direction, vectors[(i, k)]);
                    }
                    vector
                });
                return Ok(Pairs { values: values[..found].to_vec(), vectors: ritz.collect() });
            }
            next_check = (size + size / 4).min(limit);
        }
        if exhausted {
            // The space so far is invariant: go on outside it.
            off_diagonal.push(0.0);
            basis.push(fresh_direction(n, &basis, &mut rng));
        } else {
            off_diagonal.push(beta);
            image.iter_mut().for_each(|x| *x /= beta);
            basis.push(image);
        }
    }
}

/// A random unit vector orthogonal to `basis`.
fn fresh_direction(n: usize, basis: &[Vec<f64>], rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut vector: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
    orthogonalise(&mut vector, basis);
    let norm = dot(&vector, &vector).sqrt().max(f64::MIN_POSITIVE);
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

/// Removes the components along an orthonormal basis; again where that took much away, because then rounding
/// errors are a large share of what is left.
fn orthogonalise(vector: &mut [f64], basis: &[Vec<f64>]) {
    let mut before = dot(vector, vector);
    for _ in 0..3 {
        let shares: Vec<f64> = basis.par_iter().map(|direction| dot(direction, vector)).collect();
        vector.par_chunks_mut(PART).enumerate().for_each(|(part, vector)| {
            for (direction, share) in basis.iter().zip(&shares) {
                add(vector, &direction[part * PART..], -share);
            }
        });
        let left = dot(vector, vector);
        if left > 0.5 * before {
            break;
        }
        before = left;
    }
}

/// Inner product, in eight partial sums so that it compiles to vector code.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in left.zip(right) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f64>() + tail
}

fn add(sum: &mut [f64], vector: &[f64], factor: f64) {
    for (s, x) in sum.iter_mut().zip(vector) {
        *s += factor * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gram matrix of `n` random vectors around a few directions of very different strength.
    struct Gram {
        n: usize,
        values: Vec<f64>,
    }

    impl Gram {
        fn new(n: usize, width: usize, decay: f64) -> Self {
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            let points: Vec<Vec<f64>> = (0..n)
                .map(|_| (0..width).map(|k| rng.random_range(-1.0..1.0) * decay.powi(k as i32)).collect())
                .collect();
            let values = (0..n * n).map(|i| dot(&points[i / n], &points[i % n])).collect();
            Self { n, values }
        }
    }

    impl Symmetric for Gram {
        fn size(&self) -> usize {
            self.n
        }
        fn entry(&self, i: usize, j: usize) -> f64 {
            self.values[i * self.n + j]
        }
        fn apply(&self, vector: &[f64], into: &mut [f64]) {
            for (i, out) in into.iter_mut().enumerate() {
                *out = dot(&self.values[i * self.n..(i + 1) * self.n], vector);
            }
        }
    }

    fn same_pairs(matrix: &Gram, count: usize) {
        let wanted = dense(matrix, count).unwrap();
        let got = lanczos(matrix, count, &mut |_, _| {}, &Cancel::new()).unwrap();
        let found = got.values.len();
        assert!(
            wanted.values[found..].iter().all(|v| v.abs() < 1e-9 * wanted.values[0]),
            "only zeros missing"
        );
        for k in 0..found {
            assert!((wanted.values[k] - got.values[k]).abs() <= 1e-9 * wanted.values[0], "value {k}");
            if wanted.values[k] > 1e-9 * wanted.values[0] {
                let cosine = dot(&wanted.vectors[k], &got.vectors[k]).abs();
                assert!(cosine > 1.0 - 1e-6, "vector {k}: {cosine}");
            }
        }
    }

    #[test]
    fn lanczos_agrees_with_the_dense_decomposition() {
        same_pairs(&Gram::new(90, 90, 0.98), 20);
        // A flat spectrum, where the last wanted pair is close to the first unwanted one.
        same_pairs(&Gram::new(120, 400, 1.0), 12);
    }

    #[test]
    fn lanczos_ends_where_the_rank_does() {
        same_pairs(&Gram::new(100, 5, 0.7), 30);
        let zero = Gram { n: 40, values: vec![0.0; 1600] };
        assert!(
            lanczos(&zero, 8, &mut |_, _| {}, &Cancel::new()).unwrap().values.iter().all(|v| v.abs() < 1e-12)
        );
    }

    #[test]
    fn lanczos_finds_every_copy_of_a_repeated_eigenvalue() {
        let n = 50;
        let identity =
            Gram { n, values: (0..n * n).map(|i| f64::from(u8::from(i % (n + 1) == 0))).collect() };
        let pairs = lanczos(&identity, 10, &mut |_, _| {}, &Cancel::new()).unwrap();
        assert_eq!(pairs.values.len(), 10);
        assert!(pairs.values.iter().all(|v| (v - 1.0).abs() < 1e-12), "{:?}", pairs.values);
    }
}

//! The largest eigenpairs of a symmetric matrix: dense while it is small, block Lanczos above.

use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dense::symmetric_eigen;
use super::krylov::Basis;
use super::vectors::dot;
use crate::{Cancel, Error, Result};

/// Up to this size the whole decomposition is cheaper.
const DENSE: usize = 512;
/// Vectors that the matrix is applied to at once: it is read once for all of them.
const BLOCK: usize = 16;
/// Krylov vectors kept at most: a bound on memory.
const MAX_BASIS: usize = 768;
/// Vectors that the matrix is applied to at most, where the spectrum hardly decays: a bound on time.
const MAX_APPLIED: usize = 24 << 10;
/// A pair has converged when its residual is below this times the largest eigenvalue.
const RESIDUAL: f64 = 1e-10;

/// A symmetric matrix that can be applied to vectors.
pub(in crate::analysis) trait Symmetric: Sync {
    /// Rows.
    fn size(&self) -> usize;
    /// Entry of row `i` and column `j`.
    fn entry(&self, i: usize, j: usize) -> f64;
    /// Each vector of `into` = matrix × that of `vectors`; both have one vector after the other.
    fn apply(&self, vectors: &[f64], into: &mut [f64]);
}

/// Eigenvalues, largest first, and their unit vectors; the sign makes the largest component positive.
pub(in crate::analysis) struct Pairs {
    pub values: Vec<f64>,
    pub vectors: Vec<Vec<f64>>,
    /// The largest residual ‖M v − λ v‖ as a share of the largest eigenvalue, where the pairs are not as exact
    /// as they should be.
    pub inexact: Option<f64>,
}

/// The `count` largest eigenpairs (all of them when the matrix is smaller). `progress` gets (done, total).
pub(in crate::analysis) fn largest(
    matrix: &dyn Symmetric,
    count: usize,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Pairs> {
    let n = matrix.size();
    let count = count.min(n);
    let mut pairs = if n <= DENSE {
        dense(matrix, count)?
    } else {
        let limits = Limits { basis: MAX_BASIS.max(4 * count), applied: MAX_APPLIED };
        lanczos(matrix, count, limits, progress, cancel)?
    };
    for vector in &mut pairs.vectors {
        let top = vector.iter().copied().fold(0.0f64, |m, x| if x.abs() > m.abs() { x } else { m });
        if top < 0.0 {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
    }
    Ok(pairs)
}

fn not_finite() -> Error {
    Error::msg("the similarity of these experts is not finite: one of them has NaN or huge weights")
}

fn dense(matrix: &dyn Symmetric, count: usize) -> Result<Pairs> {
    let n = matrix.size();
    let full = Mat::from_fn(n, n, |i, j| matrix.entry(i, j));
    let (mut values, vectors) = symmetric_eigen(full.as_ref()).ok_or_else(not_finite)?;
    values.truncate(count);
    let vectors = (0..count).map(|k| (0..n).map(|i| vectors[(i, k)]).collect()).collect();
    Ok(Pairs { values, vectors, inexact: None })
}

/// Bounds on what a decomposition may take.
#[derive(Clone, Copy)]
struct Limits {
    basis: usize,
    applied: usize,
}

/// Eigenpairs of the matrix on the basis, as far as they are known.
struct Ritz {
    values: Vec<f64>,
    vectors: Mat<f64>,
    residuals: Vec<f64>,
}

impl Ritz {
    /// `coupling` [last block, next block]: what the matrix makes of the last block outside the basis.
    fn new(basis: &Basis, coupling: &Mat<f64>) -> Result<Self> {
        let (values, vectors) = symmetric_eigen(basis.projected()).ok_or_else(not_finite)?;
        let last = basis.len() - coupling.nrows();
        let residual = |k: usize| {
            let outside = |j: usize| -> f64 {
                (0..coupling.nrows()).map(|i| vectors[(last + i, k)] * coupling[(i, j)]).sum()
            };
            (0..coupling.ncols()).map(|j| outside(j).powi(2)).sum::<f64>().sqrt()
        };
        let residuals = (0..values.len()).map(residual).collect();
        Ok(Self { values, vectors, residuals })
    }

    /// The largest magnitude of an eigenvalue.
    fn scale(&self) -> f64 {
        self.values.first().into_iter().chain(self.values.last()).fold(0.0, |m, v| m.max(v.abs()))
    }

    /// The largest residual of the first `count` pairs as a share of the largest eigenvalue.
    fn inexactness(&self, count: usize) -> f64 {
        let scale = self.scale().max(f64::MIN_POSITIVE);
        self.residuals.iter().take(count).fold(0.0f64, |m, r| m.max(*r)) / scale
    }

    /// Whether the pair after the first `count` is known well enough to be none of them.
    fn next_is_smaller(&self, count: usize) -> bool {
        let (Some(&residual), Some(&value)) = (self.residuals.get(count), self.values.get(count)) else {
            return false;
        };
        value + residual <= self.values[count - 1] || residual <= RESIDUAL * self.scale()
    }
}

/// Block Lanczos with full reorthogonalisation. The basis grows until every wanted pair has converged; where it
/// reaches its bound, it restarts from the best vectors of its span (Wu and Simon, 2000).
///
/// A Krylov space has no more copies of a repeated eigenvalue than its first block has vectors. What has
/// converged is therefore looked at again: from a random block orthogonal to it, until the largest eigenvalue
/// out there is known to be none of the wanted ones.
fn lanczos(
    matrix: &dyn Symmetric,
    count: usize,
    limits: Limits,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Pairs> {
    const STEPS: f64 = 1000.0;
    let n = matrix.size();
    let limit = limits.basis.min(n);
    let width = BLOCK.min(count).max(2).min(n);
    let mut rng = ChaCha8Rng::seed_from_u64(0x5eed);
    let mut random = move || rng.random_range(-1.0..1.0f64);
    let mut basis = Basis::new(n, limit);
    let mut next = basis.outside(Vec::new(), 0.0, width, &mut random).0;
    let (mut applied, mut next_check) = (0, 2 * count + 2 * width);
    let (mut scale, mut done) = (0.0f64, 0.0f64);
    // The values that had converged when the look around began.
    let mut settled: Option<Vec<f64>> = None;
    loop {
        cancel.check()?;
        progress(done as usize, STEPS as usize);
        let mut image = vec![0.0; next.len()];
        matrix.apply(&next, &mut image);
        applied += next.len() / n;
        if !image.iter().all(|x| x.is_finite()) {
            return Err(not_finite());
        }
        scale = image.chunks(n).map(|v| dot(v, v).sqrt()).fold(scale, f64::max);
        basis.push(&next, &mut image);
        let room = width.min(n - basis.len());
        let coupling;
        (next, coupling) = basis.outside(image, 1e-13 * scale, room, &mut random);
        let full = basis.len() + next.len() / n > limit || basis.len() == n;
        if !full && basis.len() < next_check {
            continue;
        }
        let ritz = Ritz::new(&basis, &coupling)?;
        let inexact = ritz.inexactness(count);
        let converged = inexact <= RESIDUAL || basis.len() == n;
        let same = settled.as_ref().is_some_and(|settled| {
            let most = RESIDUAL * ritz.scale();
            settled.iter().zip(&ritz.values).all(|(a, b)| (a - b).abs() <= most)
        });
        let proven = basis.len() == n || (converged && same && ritz.next_is_smaller(count));
        if proven || applied >= limits.applied {
            basis.rotate(&ritz.values, &ritz.vectors, count);
            let inexact = (!converged).then_some(inexact);
            return Ok(Pairs { values: ritz.values[..count].to_vec(), vectors: basis.vectors(), inexact });
        }
        // Most of the time passes before the first pairs converge: the slowest pair shows the progress.
        let share = (inexact.log10() / RESIDUAL.log10()).clamp(0.0, 1.0);
        done = done.max(if settled.is_some() { 0.9 } else { 0.9 * share } * STEPS);
        if converged && !same {
            basis.rotate(&ritz.values, &ritz.vectors, count);
            settled = Some(ritz.values[..count].to_vec());
            next = basis.outside(Vec::new(), 0.0, width.min(n - basis.len()), &mut random).0;
            next_check = basis.len() + 8 * width;
        } else {
            if full {
                let kept = count + (basis.len() - count) / 2;
                basis.rotate(&ritz.values, &ritz.vectors, kept);
            }
            next_check = (basis.len() + (basis.len() / 4).max(width)).min(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::linalg::{add, row_products};

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
        fn apply(&self, vectors: &[f64], into: &mut [f64]) {
            row_products(into, vectors, &self.values, self.n);
        }
    }

    /// A matrix with these eigenvalues, I − 2 u uᵀ turning them twice.
    fn with_values(values: &[f64]) -> Gram {
        let n = values.len();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut turn = || -> Vec<f64> {
            let mut u: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0f64)).collect();
            let norm = dot(&u, &u).sqrt();
            u.iter_mut().for_each(|x| *x /= norm);
            u
        };
        let mut matrix = Gram { n, values: vec![0.0; n * n] };
        (0..n).for_each(|i| matrix.values[i * n + i] = values[i]);
        for u in [turn(), turn()] {
            // H M H = M − 2 u (M u)ᵀ − 2 (M u) uᵀ + 4 (uᵀ M u) u uᵀ
            let mut image = vec![0.0; n];
            matrix.apply(&u, &mut image);
            let along = dot(&image, &u);
            for i in 0..n {
                for j in 0..n {
                    matrix.values[i * n + j] +=
                        4.0 * along * u[i] * u[j] - 2.0 * (u[i] * image[j] + image[i] * u[j]);
                }
            }
        }
        matrix
    }

    fn found(matrix: &Gram, count: usize, basis: usize) -> Pairs {
        let limits = Limits { basis, applied: usize::MAX };
        lanczos(matrix, count, limits, &mut |_, _| {}, &Cancel::new()).unwrap()
    }

    /// The matrix's pairs from a basis of at most `basis` vectors, against the dense decomposition.
    fn same_pairs(matrix: &Gram, count: usize, basis: usize) {
        let wanted = dense(matrix, count + 1).unwrap();
        let got = found(matrix, count, basis);
        assert_eq!((got.values.len(), got.inexact), (count, None));
        let scale = wanted.values[0].abs().max(dense(matrix, matrix.n).unwrap().values[matrix.n - 1].abs());
        let mut share = vec![0.0; count];
        for (k, vector) in got.vectors.iter().enumerate() {
            let value = got.values[k];
            assert!((wanted.values[k] - value).abs() <= 1e-9 * scale, "value {k}");
            let mut image = vec![0.0; matrix.n];
            matrix.apply(vector, &mut image);
            add(&mut image, vector, -value);
            assert!(dot(&image, &image).sqrt() <= 2e-10 * scale, "residual {k}");
            for (j, other) in got.vectors.iter().enumerate() {
                assert!((dot(vector, other) - f64::from(u8::from(j == k))).abs() < 1e-12, "{j}, {k}");
            }
            // Where values repeat any basis of their space will do: each wanted vector lies in what was found.
            (0..count).for_each(|j| share[j] += dot(vector, &wanted.vectors[j]).powi(2));
        }
        let last = wanted.values[count];
        for (j, share) in share.iter().enumerate().filter(|(j, _)| wanted.values[*j] - last > 1e-4 * scale) {
            assert!(*share > 1.0 - 1e-9, "vector {j}: {share}");
        }
    }

    #[test]
    fn lanczos_agrees_with_the_dense_decomposition() {
        for basis in [80, 400] {
            same_pairs(&Gram::new(90, 90, 0.98), 20, basis);
            // A flat spectrum, where the last wanted pair is close to the first unwanted one.
            same_pairs(&Gram::new(120, 400, 1.0), 12, basis);
        }
        same_pairs(&with_values(&(0..300).map(|i| 1.0 / (1.0 + i as f64)).collect::<Vec<_>>()), 30, 100);
        same_pairs(&with_values(&(0..300).map(|i| -(i as f64)).collect::<Vec<_>>()), 3, 40);
    }

    #[test]
    fn lanczos_ends_where_the_rank_does() {
        same_pairs(&Gram::new(100, 5, 0.7), 30, 70);
        let zero = Gram { n: 40, values: vec![0.0; 1600] };
        assert!(found(&zero, 8, 30).values.iter().all(|v| v.abs() < 1e-12));
    }

    #[test]
    fn lanczos_finds_every_copy_of_a_repeated_eigenvalue() {
        let of = |value: fn(usize) -> f64| with_values(&(0..300).map(value).collect::<Vec<_>>());
        same_pairs(&of(|_| 1.0), 10, 40);
        // More copies than a block has vectors, alone at the top and in the middle.
        same_pairs(&of(|i| if i < 40 { 2.0 } else { 1.0 - i as f64 / 400.0 }), 50, 150);
        same_pairs(&of(|i| ((300 - i) / 45) as f64 + 1.0), 64, 160);
        same_pairs(
            &of(|i| {
                if i < 8 {
                    3.0 - i as f64 * 0.1
                } else if i < 45 {
                    1.5
                } else {
                    0.9
                }
            }),
            64,
            160,
        );
    }

    #[test]
    fn what_has_not_converged_is_said() {
        let matrix = Gram::new(300, 2000, 1.0);
        let limits = Limits { basis: 80, applied: 120 };
        let pairs = lanczos(&matrix, 20, limits, &mut |_, _| {}, &Cancel::new()).unwrap();
        assert!(pairs.inexact.unwrap() > RESIDUAL);
    }
}

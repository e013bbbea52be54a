//! How strong an expert is: the size of ΔW, and how far one direction stands out of it.

use faer::Mat;

use super::linalg::symmetric_eigen;
use crate::library::ModuleShape;

/// Modules of which the spectrum is looked at: their median says enough.
const SPECTRA: usize = 16;

/// Above this σ₂/σ₁ a spectrum is flat: the top direction, and with it the prototype, is a matter of chance.
pub(super) const FLAT: f64 = 0.95;

/// What one look at all weights of an expert says of its strength.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Strength {
    /// Frobenius norm of ΔW over all modules, ‖s·B·A‖.
    pub norm: f64,
    /// Median of σ₂/σ₁ over some of its modules; near 1 where no direction was learnt. `None` at rank 1 and where ΔW
    /// is zero.
    pub gap: Option<f64>,
}

/// Adds up the strength of an expert module by module.
pub(super) struct Measure {
    square: f64,
    gaps: Vec<f64>,
    /// Every how many-th module's spectrum is looked at, and the number of modules so far.
    every: usize,
    seen: usize,
}

impl Measure {
    /// For an expert with so many modules.
    pub fn new(modules: usize) -> Self {
        Self { square: 0.0, gaps: Vec::new(), every: modules.div_ceil(SPECTRA).max(1), seen: 0 }
    }

    /// Adds a module: `a` rank × in, `b` out × rank, row-major.
    ///
    /// With AAᵀ and BᵀB, both rank × rank, ‖BA‖² is the sum of their products entry by entry, and the squares of the
    /// singular values of BA are the eigenvalues of (BᵀB)^½ AAᵀ (BᵀB)^½.
    pub fn add(&mut self, shape: &ModuleShape, a: &[f32], b: &[f32]) {
        let rank = shape.rank;
        let wanted = self.seen.is_multiple_of(self.every) && rank > 1;
        self.seen += 1;
        // Powers of two keep squares of any weights in the range of f64.
        let (up_a, up_b) = (scale(a), scale(b));
        let (inputs, outputs) = (a.len() / rank.max(1), b.len() / rank.max(1));
        let (a, b) = match rank <= inputs.min(outputs) {
            true => (of_rows(a, rank, 1.0 / up_a), of_columns(b, rank, 1.0 / up_b)),
            // ΔW is smaller than its factors: itself times the identity.
            false => {
                let product = product((a, 1.0 / up_a), (b, 1.0 / up_b), rank);
                let one = |size| Mat::identity(size, size);
                match outputs <= inputs {
                    true => (of_rows(&product, outputs, 1.0), one(outputs)),
                    false => (one(inputs), of_columns(&product, inputs, 1.0)),
                }
            }
        };
        let rank = a.nrows();
        let sum: f64 = (0..rank).flat_map(|i| (0..rank).map(move |j| (i, j))).map(|at| a[at] * b[at]).sum();
        let size = shape.scale * up_a * up_b;
        self.square += sum.max(0.0) * size * size;
        if wanted {
            self.gaps.extend(gap(&a, &b));
        }
    }

    /// What all modules together say.
    pub fn finish(mut self) -> Strength {
        self.gaps.sort_by(f64::total_cmp);
        Strength { norm: self.square.sqrt(), gap: self.gaps.get(self.gaps.len() / 2).copied() }
    }
}

/// The power of two near the largest value; 1 for zeros.
fn scale(values: &[f32]) -> f64 {
    let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    if largest > 0.0 { 2.0f64.powi(f64::from(largest).log2().floor() as i32) } else { 1.0 }
}

/// BA, out × in, each factor multiplied by what is beside it.
fn product((a, down_a): (&[f32], f64), (b, down_b): (&[f32], f64), rank: usize) -> Vec<f64> {
    let inputs = a.len() / rank.max(1);
    let mut made = Vec::with_capacity(inputs * (b.len() / rank.max(1)));
    let mut sums = vec![0.0f64; inputs];
    for of_output in b.chunks_exact(rank.max(1)) {
        sums.fill(0.0);
        for (row, &weight) in a.chunks_exact(inputs.max(1)).zip(of_output) {
            let weight = f64::from(weight) * down_b * down_a;
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += weight * f64::from(x));
        }
        made.extend_from_slice(&sums);
    }
    made
}

/// Inner products of `count` rows with each other, multiplied by `down` each.
fn of_rows<T: Copy + Into<f64>>(values: &[T], count: usize, down: f64) -> Mat<f64> {
    let width = values.len() / count.max(1);
    let row = |i: usize| &values[i * width..(i + 1) * width];
    let mut products = Mat::zeros(count, count);
    for i in 0..count {
        for j in 0..=i {
            let pairs = row(i).iter().zip(row(j));
            let product: f64 = pairs.map(|(&x, &y)| (x.into() * down) * (y.into() * down)).sum();
            products[(i, j)] = product;
            products[(j, i)] = product;
        }
    }
    products
}

/// Inner products of `count` columns with each other, multiplied by `down` each.
fn of_columns<T: Copy + Into<f64>>(values: &[T], count: usize, down: f64) -> Mat<f64> {
    let mut sums = vec![0.0f64; count * count];
    for row in values.chunks_exact(count.max(1)) {
        for (sums, &x) in sums.chunks_exact_mut(count).zip(row) {
            let x = x.into() * down * down;
            sums.iter_mut().zip(row).for_each(|(sum, &y)| *sum += x * y.into());
        }
    }
    Mat::from_fn(count, count, |i, j| sums[i * count + j])
}

/// σ₂/σ₁ of BA; `None` where BA is zero.
fn gap(a: &Mat<f64>, b: &Mat<f64>) -> Option<f64> {
    let rank = a.nrows();
    let (values, vectors) = symmetric_eigen(b.as_ref())?;
    let root = Mat::from_fn(rank, rank, |i, k| vectors[(i, k)] * values[k].max(0.0).sqrt());
    let (squares, _) = symmetric_eigen((root.transpose() * a * &root).as_ref())?;
    let second = squares.get(1).copied().unwrap_or(0.0);
    let (first, second) = (squares.first()?.max(0.0).sqrt(), second.max(0.0).sqrt());
    (first > 0.0).then(|| (second / first).min(1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analysis::prototype;

    proptest! {
        /// Against the exact spectrum.
        #[test]
        fn agrees_with_the_singular_values(
            rank in 1usize..9, inputs in 1usize..12, outputs in 1usize..12, size in -40i32..40, seed in 0u32..1000,
        ) {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / 8_388_608.0 - 1.0) * 2.0f32.powi(size)
            };
            let a: Vec<f32> = (0..rank * inputs).map(|_| next()).collect();
            let b: Vec<f32> = (0..rank * outputs).map(|_| next()).collect();
            let shape = ModuleShape {
                rank, in_features: inputs, out_features: outputs, scale: 2.0, ..ModuleShape::default()
            };
            let mut measure = Measure::new(1);
            measure.add(&shape, &a, &b);
            let found = measure.finish();
            let sigma = prototype(&a, &b, rank, inputs, outputs).sigma;
            let norm = 2.0 * sigma.iter().map(|s| s * s).sum::<f64>().sqrt();
            prop_assert!((found.norm - norm).abs() <= 1e-9 * norm, "{} {norm}", found.norm);
            if let Some(gap) = found.gap {
                prop_assert!((gap - sigma[1] / sigma[0]).abs() < 1e-6, "{gap} {sigma:?}");
            } else {
                prop_assert!(rank == 1 || sigma[0] == 0.0);
            }
        }
    }

    #[test]
    fn a_rank_beyond_the_size_of_a_layer_takes_no_more_memory() {
        let (rank, ones) = (60_000, vec![1.0; 60_000]);
        let shape = ModuleShape { rank, in_features: 1, out_features: 1, scale: 1.0, ..Default::default() };
        let mut measure = Measure::new(1);
        measure.add(&shape, &ones, &ones);
        assert_eq!(measure.finish(), Strength { norm: 60_000.0, gap: Some(0.0) });
    }

    #[test]
    fn nothing_learnt_has_no_size_and_no_direction() {
        let shape =
            ModuleShape { rank: 2, in_features: 3, out_features: 2, scale: 1.0, ..Default::default() };
        let mut measure = Measure::new(1);
        measure.add(&shape, &[1.0; 6], &[0.0; 4]);
        assert_eq!(measure.finish(), Strength { norm: 0.0, gap: None });
    }
}

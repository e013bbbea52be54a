//! A 2-D map of the experts.

use rayon::prelude::*;

use crate::Cancel;
use crate::analysis::linalg::eigen::{self, Symmetric};
use crate::analysis::linalg::{dot, row_products};
use crate::analysis::similarity::Similarity;

/// Name of the file that keeps one.
const FILE: &str = "map";

/// A 2-D map of the experts: classical multidimensional scaling of the distances √(2 − 2S), which for
/// cosines are those between unit vectors. Scaled so that the largest coordinate is 1; (0, 0) for all
/// where the experts do not differ, and when cancelled.
pub fn project(similarity: &Similarity, cancel: &Cancel) -> Vec<(f32, f32)> {
    let n = similarity.len();
    if let Some(known) = kept(similarity) {
        return known;
    }
    let centred = Centred::new(similarity);
    let Ok(pairs) = eigen::largest(&centred, 2, &mut |_, _| {}, cancel) else {
        return vec![(0.0, 0.0); n];
    };
    let axis = |k: usize| -> Vec<f64> {
        match (pairs.values.get(k), pairs.vectors.get(k)) {
            (Some(&value), Some(vector)) if value > 1e-9 => vector.iter().map(|x| x * value.sqrt()).collect(),
            _ => vec![0.0; n],
        }
    };
    let (x, y) = (axis(0), axis(1));
    let largest = x.iter().chain(&y).fold(0.0f64, |m, v| m.max(v.abs()));
    let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
    let map: Vec<(f32, f32)> =
        x.into_iter().zip(y).map(|(x, y)| ((x * scale) as f32, (y * scale) as f32)).collect();
    let bytes: Vec<u8> = map.iter().flat_map(|(x, y)| [x.to_le_bytes(), y.to_le_bytes()].concat()).collect();
    similarity.origin.keep(FILE, &bytes);
    map
}

/// The map that was computed before, if it makes sense.
fn kept(similarity: &Similarity) -> Option<Vec<(f32, f32)>> {
    let bytes = similarity.origin.read(FILE, 8 * similarity.len())?;
    let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let sound = bytes.len() == 8 * similarity.len() && numbers.iter().all(|x| x.abs() <= 1.0);
    sound.then(|| numbers.as_chunks::<2>().0.iter().map(|&[x, y]| (x, y)).collect())
}

/// J·S·J with J = I − 11ᵀ/N: inner products about the centre.
struct Centred<'a> {
    similarity: &'a Similarity,
    means: Vec<f64>,
    mean: f64,
}

impl<'a> Centred<'a> {
    fn new(similarity: &'a Similarity) -> Self {
        let n = similarity.len();
        let means: Vec<f64> = similarity
            .matrix
            .chunks(n.max(1))
            .map(|row| row.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64)
            .collect();
        let mean = means.iter().sum::<f64>() / n.max(1) as f64;
        Self { similarity, means, mean }
    }
}

impl Symmetric for Centred<'_> {
    fn size(&self) -> usize {
        self.similarity.len()
    }

    fn entry(&self, i: usize, j: usize) -> f64 {
        f64::from(self.similarity.get(i, j)) - self.means[i] - self.means[j] + self.mean
    }

    fn apply(&self, vectors: &[f64], into: &mut [f64]) {
        /// Rows that one thread multiplies at a time.
        const ROWS: usize = 64;
        let n = self.size();
        let count = vectors.len() / n;
        // Sum and mean-weighted sum of each vector.
        let sums: Vec<(f64, f64)> =
            vectors.chunks(n).map(|v| (v.iter().sum(), dot(&self.means, v))).collect();
        let mut product = vec![0.0; n * count];
        let blocks = self.similarity.matrix.par_chunks(ROWS * n).zip(product.par_chunks_mut(ROWS * count));
        blocks.for_each(|(rows, product)| {
            let rows: Vec<f64> = rows.iter().map(|&x| f64::from(x)).collect();
            row_products(product, &rows, vectors, n);
        });
        for (i, (row, mean)) in product.chunks(count).zip(&self.means).enumerate() {
            for (k, (x, (sum, along))) in row.iter().zip(&sums).enumerate() {
                into[k * n + i] = x - mean * sum + self.mean * sum - along;
            }
        }
    }
}

//! Directions of experts in a space of few dimensions, whose cosines are a similarity.

use rayon::prelude::*;

use super::cache::Origin;
use super::linalg::row_products;
use crate::{Cancel, Result};

/// Rows of the matrix that one thread computes at a time.
const ROWS: usize = 64;
/// Name of the file that keeps one.
const FILE: &str = "embedding";
/// Dimensions that make sense.
const MOST_WIDTH: usize = 4096;

/// A unit vector per expert, or zeros where it has no direction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Embedding {
    /// Dimensions.
    pub width: usize,
    /// Row-major experts × width.
    pub rows: Vec<f64>,
    /// The largest residual of its eigenpairs as a share of the largest eigenvalue, where they are not as exact as
    /// they should be.
    pub inexact: Option<f64>,
}

impl Embedding {
    /// Cosines of all rows, row-major N × N, symmetric; 1 on the diagonal, 0 of a row of zeros.
    pub fn cosines(&self, cancel: &Cancel) -> Result<Vec<f32>> {
        let Self { width, rows, .. } = self;
        let width = *width;
        let n = rows.len() / width.max(1);
        cancel.check()?;
        let mut matrix = vec![0.0f32; n * n];
        matrix.par_chunks_mut((ROWS * n).max(1)).enumerate().for_each(|(block, out)| {
            let first = block * ROWS;
            let count = out.len() / n;
            let mut cosines = vec![0.0f64; count * (n - first)];
            let some = &rows[first * width..(first + count) * width];
            row_products(&mut cosines, some, &rows[first * width..], width);
            for (i, (out, cosines)) in
                out.chunks_exact_mut(n).zip(cosines.chunks_exact(n - first)).enumerate()
            {
                for (value, cosine) in out[first..].iter_mut().zip(cosines) {
                    *value = cosine.clamp(-1.0, 1.0) as f32;
                }
                let own = rows[(first + i) * width..(first + i + 1) * width].iter().any(|&x| x != 0.0);
                out[first + i] = if own { 1.0 } else { 0.0 };
            }
        });
        mirror(&mut matrix, n);
        Ok(matrix)
    }

    /// The one that was kept for `experts` experts, if it makes sense.
    pub fn kept(origin: &Origin, experts: usize) -> Option<Self> {
        let bytes = origin.read(FILE, 16 + 8 * MOST_WIDTH * experts)?;
        let values: Vec<f64> =
            bytes.as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        let (&[width, inexact], rows) = values.split_first_chunk()?;
        let width = width as usize;
        let unit = |row: &[f64]| {
            let square: f64 = row.iter().map(|x| x * x).sum();
            square == 0.0 || (square - 1.0).abs() < 1e-6
        };
        let sound = 8 * values.len() == bytes.len()
            && (1..=MOST_WIDTH).contains(&width)
            && rows.len() == width * experts
            && rows.chunks_exact(width).all(unit);
        sound.then(|| Self { width, rows: rows.to_vec(), inexact: (!inexact.is_nan()).then_some(inexact) })
    }

    /// Keeps it.
    pub fn keep(&self, origin: &Origin) {
        let head = [self.width as f64, self.inexact.unwrap_or(f64::NAN)];
        let bytes: Vec<u8> = head.iter().chain(&self.rows).flat_map(|value| value.to_le_bytes()).collect();
        origin.keep(FILE, &bytes);
    }
}

/// Copies what is above the diagonal of an N × N matrix to below it, in squares that stay in the cache.
fn mirror(matrix: &mut [f32], n: usize) {
    for rows in (0..n).step_by(ROWS) {
        for columns in (0..=rows).step_by(ROWS) {
            for i in rows..(rows + ROWS).min(n) {
                for j in columns..(columns + ROWS).min(i) {
                    matrix[i * n + j] = matrix[j * n + i];
                }
            }
        }
    }
}

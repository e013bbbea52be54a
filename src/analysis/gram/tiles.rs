//! A symmetric matrix of inner products.

use std::ops::Range;

use rayon::prelude::*;

use super::rows::Rows;
use crate::analysis::linalg::eigen::Symmetric;
use crate::matrix::{self, MatMut, MatRef};

/// Groups of tile rows whose products with vectors are summed separately.
const GROUPS: usize = 16;

/// A symmetric N × N matrix in f64, kept as the square tiles of its upper half. Experts that are equal share a row.
pub(in crate::analysis) struct Gram {
    rows: Rows,
    /// First rows of the tiles, and the number of rows.
    starts: Vec<usize>,
    /// Which tile a row lies in.
    tile_of: Vec<usize>,
    pub(super) tiles: Vec<GramTile>,
}

/// Entries of `rows` × `columns`, row-major; tiles on the diagonal are whole.
pub(super) struct GramTile {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub values: Vec<f64>,
}

impl Gram {
    /// All zeros. Tiles end where the rows that are known do.
    pub(super) fn new(rows: Rows) -> Self {
        let (old, all) = (rows.old, rows.len());
        let edge = if all <= 512 { 64 } else { 128 };
        let mut starts: Vec<usize> = (0..old).step_by(edge).chain((old..all).step_by(edge)).collect();
        starts.push(all);
        let mut tiles = Vec::new();
        let mut tile_of = vec![0; all];
        for (i, row) in starts.windows(2).enumerate() {
            tile_of[row[0]..row[1]].fill(i);
            for column in starts.windows(2).skip(i) {
                let (rows, columns) = (row[0]..row[1], column[0]..column[1]);
                let values = vec![0.0; rows.len() * columns.len()];
                tiles.push(GramTile { rows, columns, values });
            }
        }
        Self { rows, starts, tile_of, tiles }
    }

    /// Which rows the experts have.
    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// First rows of the tiles, and the number of rows at the end.
    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn per_side(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where the tile of tile row `i` and tile column `j` ≥ `i` is.
    fn tile(&self, i: usize, j: usize) -> usize {
        // Rows 0..i have per_side, per_side − 1, … tiles.
        i * self.per_side() - i * i.saturating_sub(1) / 2 + j - i
    }

    /// The tile of two rows and the place in it; the tile on the diagonal has a mirrored place, too.
    fn place(&self, row: usize, column: usize) -> (usize, usize) {
        let (row, column) = (row.min(column), row.max(column));
        let at = self.tile(self.tile_of[row], self.tile_of[column]);
        let tile = &self.tiles[at];
        (at, (row - tile.rows.start) * tile.columns.len() + column - tile.columns.start)
    }

    /// The inner product of two rows.
    pub(super) fn of_rows(&self, row: usize, column: usize) -> f64 {
        let (tile, at) = self.place(row, column);
        self.tiles[tile].values[at]
    }

    /// Sets the inner product of two rows.
    pub(super) fn set(&mut self, row: usize, column: usize, value: f64) {
        let (tile, at) = self.place(row, column);
        let tile = &mut self.tiles[tile];
        tile.values[at] = value;
        if tile.rows == tile.columns {
            let (row, column) = (at / tile.columns.len(), at % tile.columns.len());
            tile.values[column * tile.columns.len() + row] = value;
        }
    }

    /// Divides all by one power of two, so that the largest inner product is about 1: what follows from their
    /// relative sizes then neither overflows nor vanishes.
    pub fn normalise(&mut self) {
        let largest = (0..self.rows.len()).map(|row| self.of_rows(row, row).abs()).fold(0.0, f64::max);
        if largest > 0.0 && largest.is_finite() {
            let factor = 2.0f64.powi(-(largest.log2().floor() as i32).clamp(-1000, 1000));
            self.tiles
                .par_iter_mut()
                .for_each(|tile| tile.values.iter_mut().for_each(|value| *value *= factor));
        }
    }

    /// Whether every entry is finite.
    pub fn is_finite(&self) -> bool {
        self.tiles.par_iter().all(|tile| tile.values.iter().all(|x| x.is_finite()))
    }

    /// Cosines, row-major N × N: entry / √(diagonal · diagonal), clamped to [−1, 1]; exactly symmetric,
    /// 1 on the diagonal; a zero vector has 0 everywhere, on the diagonal too.
    pub fn cosines(&self) -> Vec<f32> {
        let norms = self.norms();
        self.cosines_of(&norms, |i, j| self.entry(i, j))
    }

    /// Cosines of the vectors, each of length 1, less their mean; like [`Self::cosines`]. A zero vector, which has no
    /// part in the mean, and one that is the mean have 0 everywhere.
    pub fn centred_cosines(&self) -> Vec<f32> {
        let n = self.size();
        let lengths = self.norms();
        let cosine = |i: usize, j: usize| {
            let scale = lengths[i] * lengths[j];
            if scale > 0.0 { self.entry(i, j) / scale } else { 0.0 }
        };
        let count = lengths.iter().filter(|&&length| length > 0.0).count().max(1) as f64;
        let with_mean: Vec<f64> =
            (0..n).into_par_iter().map(|i| (0..n).map(|j| cosine(i, j)).sum::<f64>() / count).collect();
        let of_mean = with_mean.iter().sum::<f64>() / count;
        let centred = |i: usize, j: usize| cosine(i, j) - (with_mean[i] + with_mean[j]) + of_mean;
        // Below this a difference from the mean is rounding error.
        let norm = |i: usize| Some(centred(i, i)).filter(|&square| square > 1e-12 && lengths[i] > 0.0);
        let norms: Vec<f64> = (0..n).map(|i| norm(i).map_or(0.0, f64::sqrt)).collect();
        self.cosines_of(&norms, centred)
    }

    fn norms(&self) -> Vec<f64> {
        (0..self.size()).map(|i| self.entry(i, i).max(0.0).sqrt()).collect()
    }

    fn cosines_of(&self, norms: &[f64], entry: impl Fn(usize, usize) -> f64 + Sync) -> Vec<f32> {
        let n = self.size();
        let mut matrix = vec![0.0f32; n * n];
        matrix.par_chunks_exact_mut(n.max(1)).enumerate().for_each(|(i, row)| {
            for (j, out) in row.iter_mut().enumerate() {
                let scale = norms[i] * norms[j];
                if i == j && norms[i] > 0.0 {
                    *out = 1.0;
                } else if scale > 0.0 {
                    *out = (entry(i, j) / scale).clamp(-1.0, 1.0) as f32;
                }
            }
        });
        matrix
    }
}

impl Symmetric for Gram {
    fn size(&self) -> usize {
        self.rows.place.len()
    }

    fn entry(&self, i: usize, j: usize) -> f64 {
        self.of_rows(self.rows.place[i], self.rows.place[j])
    }

    /// Every tile is read once, for its own place and for the mirrored one: reading them is what takes the time.
    /// Groups of tile rows in parallel, their sums added in a fixed order.
    fn apply(&self, vectors: &[f64], into: &mut [f64]) {
        let n = self.size();
        let count = vectors.len() / n.max(1);
        let per_side = self.per_side();
        let place = &self.rows.place;
        // The components of all vectors next to one another, which is how a product reads and writes them fastest.
        let mut side_by_side = vec![0.0; self.rows.len() * count];
        for (k, vector) in vectors.chunks(n.max(1)).enumerate() {
            place.iter().zip(vector).for_each(|(row, x)| side_by_side[row * count + k] += x);
        }
        let of_group = |group: usize| {
            let mut sums = vec![0.0; side_by_side.len()];
            for i in (group..per_side).step_by(GROUPS) {
                for j in i..per_side {
                    let tile = &self.tiles[self.tile(i, j)];
                    let (height, width) = (tile.rows.len(), tile.columns.len());
                    let (rows, columns) = (tile.rows.start * count, tile.columns.start * count);
                    let mut add = |tile: MatRef<f64>, (height, width), from: usize, to: usize| {
                        let from = MatRef::rows(&side_by_side[from..], (width, count), count);
                        let to = MatMut::rows(&mut sums[to..], (height, count), count);
                        matrix::multiply(1.0, tile, from, 1.0, to);
                    };
                    let values = MatRef::rows(&tile.values, (height, width), width);
                    add(values, (height, width), columns, rows);
                    // On the diagonal a tile is its own mirror.
                    if i != j {
                        add(values.transposed(), (width, height), rows, columns);
                    }
                }
            }
            sums
        };
        let all: Vec<Vec<f64>> = (0..GROUPS).into_par_iter().with_max_len(1).map(of_group).collect();
        for (k, into) in into.chunks_mut(n.max(1)).enumerate() {
            into.fill(0.0);
            for sums in &all {
                into.iter_mut().zip(place).for_each(|(to, row)| *to += sums[row * count + k]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six experts of which two are equal, three rows known.
    fn filled() -> Gram {
        let mut gram =
            Gram::new(Rows { experts: vec![0, 1, 2, 3, 5], place: vec![0, 1, 2, 3, 1, 4], old: 3 });
        for i in 0..5 {
            for j in i..5 {
                gram.set(i, j, (1 + i + 10 * j) as f64);
            }
        }
        gram
    }

    #[test]
    fn equal_experts_share_a_row() {
        let gram = filled();
        assert_eq!((gram.size(), gram.starts()), (6, &[0, 3, 5][..]));
        for (i, j, value) in
            [(0, 0, 1.0), (1, 4, 12.0), (4, 4, 12.0), (5, 2, 43.0), (2, 5, 43.0), (3, 4, 32.0)]
        {
            assert_eq!((gram.entry(i, j), gram.entry(j, i)), (value, value), "{i} {j}");
        }
    }

    #[test]
    fn applying_it_is_the_product_with_its_entries() {
        let gram = filled();
        let vectors: Vec<f64> = (0..12).map(|i| f64::from(i) * 0.5 - 2.0).collect();
        let mut got = vec![9.0; 12];
        gram.apply(&vectors, &mut got);
        for (vector, got) in vectors.chunks(6).zip(got.chunks(6)) {
            for (i, got) in got.iter().enumerate() {
                let wanted: f64 = (0..6).map(|j| gram.entry(i, j) * vector[j]).sum();
                assert!((got - wanted).abs() < 1e-9, "{i}: {got} {wanted}");
            }
        }
    }

    #[test]
    fn a_common_factor_changes_no_cosine() {
        let mut gram = filled();
        let before = gram.cosines();
        gram.tiles.iter_mut().for_each(|tile| tile.values.iter_mut().for_each(|value| *value *= 1e200));
        gram.normalise();
        assert!(gram.entry(5, 5) < 2.0);
        assert!(gram.cosines().iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn centred_cosines_are_those_of_the_vectors_less_their_mean() {
        // A common part, far larger than what differs; the last is zero.
        let vectors: [[f64; 3]; 5] =
            [[9.0, 1.0, 0.5], [18.0, -1.0, 1.0], [9.0, 0.2, -2.0], [9.5, 1.0, 3.0], [0.0; 3]];
        let dot = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let mut gram = Gram::new(Rows { experts: (0..5).collect(), place: (0..5).collect(), old: 0 });
        for i in 0..5 {
            (i..5).for_each(|j| gram.set(i, j, dot(&vectors[i], &vectors[j])));
        }
        let units = vectors.map(|v| v.map(|x| x / dot(&v, &v).sqrt().max(f64::MIN_POSITIVE)));
        let mean = [0, 1, 2].map(|k| units[..4].iter().map(|v| v[k]).sum::<f64>() / 4.0);
        let centred = units.map(|v| [0, 1, 2].map(|k| v[k] - mean[k]));
        let got = gram.centred_cosines();
        for i in 0..4 {
            for j in 0..4 {
                let (a, b) = (&centred[i], &centred[j]);
                let wanted = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
                assert!((f64::from(got[i * 5 + j]) - wanted).abs() < 1e-6, "{i} {j}");
                assert_eq!(got[i * 5 + j], got[j * 5 + i]);
            }
        }
        assert!((0..5).all(|i| got[i * 5 + 4] == 0.0 && got[20 + i] == 0.0));
        let mut alone = Gram::new(Rows { experts: vec![0], place: vec![0, 0], old: 0 });
        alone.set(0, 0, 4.0);
        assert_eq!(alone.centred_cosines(), [0.0; 4], "two that are equal are their own mean");
    }
}

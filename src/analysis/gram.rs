//! Inner products between all experts, streamed: weights pass through in blocks of bounded size, only
//! the N × N result stays.

use std::ops::Range;

use rayon::prelude::*;

use super::linalg::eigen::Symmetric;
use super::weights::{Alignment, Product, Slot, WeightBlock};
use crate::matrix::{self, MatMut, MatRef};
use crate::{Cancel, Error, Result};

/// Features per f32 product: what it accumulates in f32 stays far below the accuracy needed, the sum
/// over products is in f64.
const CHUNK: usize = 2048;
/// f32 values per block of weights (64 MiB); two blocks are held at once.
const BLOCK_VALUES: usize = 16 << 20;

/// Groups of tile rows whose products with vectors are summed apart.
const GROUPS: usize = 16;

/// A symmetric N × N matrix in f64, kept as the square tiles of its upper half.
pub(super) struct Gram {
    n: usize,
    edge: usize,
    tiles: Vec<GramTile>,
}

/// Entries of `rows` × `columns`, row-major; tiles on the diagonal are whole.
struct GramTile {
    rows: Range<usize>,
    columns: Range<usize>,
    values: Vec<f64>,
}

impl Gram {
    fn new(n: usize) -> Self {
        let edge = if n <= 512 { 64 } else { 128 };
        let starts: Vec<usize> = (0..n).step_by(edge).collect();
        let range = |start: usize| start..(start + edge).min(n);
        let mut tiles = Vec::new();
        for (i, &row) in starts.iter().enumerate() {
            for &column in &starts[i..] {
                let (rows, columns) = (range(row), range(column));
                let values = vec![0.0; rows.len() * columns.len()];
                tiles.push(GramTile { rows, columns, values });
            }
        }
        Self { n, edge, tiles }
    }

    /// The tile of tile row `i` and tile column `j` ≥ `i`.
    fn tile(&self, i: usize, j: usize) -> &GramTile {
        let per_side = self.n.div_ceil(self.edge);
        // Rows 0..i hold per_side, per_side − 1, … tiles.
        &self.tiles[i * per_side - i * i.saturating_sub(1) / 2 + j - i]
    }

    /// Multiplies row i and column i by `factors[i]`.
    pub fn rescale(&mut self, factors: &[f64]) {
        self.tiles.par_iter_mut().for_each(|tile| {
            let columns = tile.columns.clone();
            for (row, values) in tile.rows.clone().zip(tile.values.chunks_exact_mut(columns.len())) {
                for (column, value) in columns.clone().zip(values) {
                    *value *= factors[row] * factors[column];
                }
            }
        });
    }

    /// Whether every entry is finite.
    pub fn is_finite(&self) -> bool {
        self.tiles.par_iter().all(|tile| tile.values.iter().all(|x| x.is_finite()))
    }

    /// Cosines, row-major N × N: entry / √(diagonal · diagonal), clamped to [−1, 1]; exactly symmetric,
    /// 1 on the diagonal; a zero vector has 0 everywhere, on the diagonal too.
    pub fn cosines(&self) -> Vec<f32> {
        let norms: Vec<f64> = (0..self.n).map(|i| self.entry(i, i).max(0.0).sqrt()).collect();
        let mut matrix = vec![0.0f32; self.n * self.n];
        matrix.par_chunks_exact_mut(self.n.max(1)).enumerate().for_each(|(i, row)| {
            for (j, out) in row.iter_mut().enumerate() {
                let scale = norms[i] * norms[j];
                if i == j && norms[i] > 0.0 {
                    *out = 1.0;
                } else if scale > 0.0 {
                    *out = (self.entry(i, j) / scale).clamp(-1.0, 1.0) as f32;
                }
            }
        });
        matrix
    }
}

impl Symmetric for Gram {
    fn size(&self) -> usize {
        self.n
    }

    fn entry(&self, i: usize, j: usize) -> f64 {
        let (i, j) = (i.min(j), i.max(j));
        let tile = self.tile(i / self.edge, j / self.edge);
        tile.values[(i - tile.rows.start) * tile.columns.len() + j - tile.columns.start]
    }

    /// Every tile is read once, for its own place and for the mirrored one: reading them is what takes the time.
    /// Groups of tile rows in parallel, their sums added in a fixed order.
    fn apply(&self, vectors: &[f64], into: &mut [f64]) {
        let n = self.n;
        let count = vectors.len() / n.max(1);
        let per_side = n.div_ceil(self.edge);
        // The components of all vectors next to one another, which is how a product reads and writes them fastest.
        let mut side_by_side = vec![0.0; n * count];
        for (k, vector) in vectors.chunks(n.max(1)).enumerate() {
            side_by_side.iter_mut().skip(k).step_by(count).zip(vector).for_each(|(to, x)| *to = *x);
        }
        let of_group = |group: usize| {
            let mut sums = vec![0.0; n * count];
            for i in (group..per_side).step_by(GROUPS) {
                for j in i..per_side {
                    let tile = self.tile(i, j);
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
                into.iter_mut().zip(sums.iter().skip(k).step_by(count)).for_each(|(to, x)| *to += x);
            }
        }
    }
}

/// Streams all weights once (per pair of blocks of experts) and sums the products.
/// `progress` gets (done, total) in units of groups of modules.
pub(super) fn gram(
    layout: &Alignment<'_>,
    product: Product,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Gram> {
    let n = layout.len();
    let mut gram = Gram::new(n);
    let groups = layout.groups(BLOCK_VALUES / n.max(1));
    for (done, slots) in groups.iter().enumerate() {
        progress(done, groups.len());
        let per_expert: usize = layout.slots[slots.clone()].iter().map(Slot::values).sum();
        // Whole tiles per block, as many as the bound allows.
        let block = (BLOCK_VALUES / per_expert.max(1)).max(1).div_ceil(gram.edge) * gram.edge;
        let starts: Vec<usize> = (0..n).step_by(block).collect();
        for (i, &first) in starts.iter().enumerate() {
            let rows = layout.load(slots.clone(), first..(first + block).min(n), product, cancel)?;
            multiply(&mut gram, layout, slots, product, &rows, &rows, cancel)?;
            for &other in &starts[i + 1..] {
                let columns = layout.load(slots.clone(), other..(other + block).min(n), product, cancel)?;
                multiply(&mut gram, layout, slots, product, &rows, &columns, cancel)?;
            }
        }
    }
    progress(groups.len(), groups.len());
    Ok(gram)
}

/// Adds the products of two blocks to the tiles that they cover.
fn multiply(
    gram: &mut Gram,
    layout: &Alignment<'_>,
    slots: &Range<usize>,
    product: Product,
    rows: &WeightBlock,
    columns: &WeightBlock,
    cancel: &Cancel,
) -> Result<()> {
    let inside = |tile: &Range<usize>, block: &WeightBlock| {
        block.experts.start <= tile.start && tile.end <= block.experts.end
    };
    gram.tiles
        .par_iter_mut()
        .filter(|tile| inside(&tile.rows, rows) && inside(&tile.columns, columns))
        .try_for_each(|tile| {
            cancel.check()?;
            match product {
                Product::Flat => flat_tile(tile, rows, columns),
                Product::Delta => {
                    let mut offset = Offsets::new(tile, rows, columns);
                    for slot in &layout.slots[slots.clone()] {
                        delta_tile(tile, slot, rows, columns, &mut offset);
                    }
                }
            }
            Ok::<(), Error>(())
        })
}

/// Adds X_rows · X_columnsᵀ, `CHUNK` features at a time.
fn flat_tile(tile: &mut GramTile, rows: &WeightBlock, columns: &WeightBlock) {
    let (m, n) = (tile.rows.len(), tile.columns.len());
    // Every expert has the same features in this layout, so that segments lie at a fixed stride.
    let features = rows.segment(tile.rows.start).len();
    let left = rows.span(&tile.rows);
    let right = columns.span(&tile.columns);
    let mut scratch = vec![0.0f32; m * n];
    for start in (0..features).step_by(CHUNK) {
        let width = CHUNK.min(features - start);
        let left = MatRef::rows(&left[start..], (m, width), features);
        let right = MatRef::rows(&right[start..], (n, width), features);
        matrix::multiply(1.0, left, right.transposed(), 0.0, MatMut::rows(&mut scratch, (m, n), n));
        for (sum, &x) in tile.values.iter_mut().zip(&scratch) {
            *sum += f64::from(x);
        }
    }
}

/// How far into each expert's segment the current module begins.
struct Offsets {
    rows: Vec<usize>,
    columns: Vec<usize>,
}

impl Offsets {
    fn new(tile: &GramTile, rows: &WeightBlock, columns: &WeightBlock) -> Self {
        Self {
            rows: tile.rows.clone().map(|e| rows.start(e)).collect(),
            columns: tile.columns.clone().map(|e| columns.start(e)).collect(),
        }
    }
}

/// One side of a tile at one module: the rows of A and of Bᵀ of its experts, stacked.
struct StackedFactors {
    a: Vec<f32>,
    b: Vec<f32>,
    /// Per expert: first row, number of rows (its rank), scale.
    experts: Vec<(usize, usize, f64)>,
    rank: usize,
}

impl StackedFactors {
    fn new(slot: &Slot, experts: Range<usize>, block: &WeightBlock, offsets: &mut [usize]) -> Self {
        let mut stack = Self { a: Vec::new(), b: Vec::new(), experts: Vec::new(), rank: 0 };
        for (expert, offset) in experts.zip(offsets) {
            let (rank, scale) = slot.factor[expert].map_or((0, 0.0), |f| (f.rank, f.scale));
            let (a, b) = (rank * slot.inputs, rank * slot.outputs);
            stack.a.extend_from_slice(&block.data[*offset..*offset + a]);
            stack.b.extend_from_slice(&block.data[*offset + a..*offset + a + b]);
            *offset += a + b;
            stack.experts.push((stack.rank, rank, scale));
            stack.rank += rank;
        }
        stack
    }
}

/// Adds one module's Σ (B₁ᵀB₂ ∘ A₁A₂ᵀ) · s₁s₂ for every pair of the tile.
fn delta_tile(
    tile: &mut GramTile,
    slot: &Slot,
    rows: &WeightBlock,
    columns: &WeightBlock,
    offsets: &mut Offsets,
) {
    let left = StackedFactors::new(slot, tile.rows.clone(), rows, &mut offsets.rows);
    let right = StackedFactors::new(slot, tile.columns.clone(), columns, &mut offsets.columns);
    let (m, n) = (left.rank, right.rank);
    if m == 0 || n == 0 {
        return;
    }
    let (mut of_a, mut of_b) = (vec![0.0f32; m * n], vec![0.0f32; m * n]);
    for (of, width, left, right) in
        [(&mut of_a, slot.inputs, &left.a, &right.a), (&mut of_b, slot.outputs, &left.b, &right.b)]
    {
        let (left, right) = (MatRef::rows(left, (m, width), width), MatRef::rows(right, (n, width), width));
        matrix::multiply(1.0, left, right.transposed(), 0.0, MatMut::rows(of, (m, n), n));
    }
    let width = tile.columns.len();
    for (&(row, rank, scale), sums) in left.experts.iter().zip(tile.values.chunks_exact_mut(width)) {
        for (&(column, other_rank, other_scale), sum) in right.experts.iter().zip(sums) {
            let mut term = 0.0f64;
            for r in row..row + rank {
                let range = r * n + column..r * n + column + other_rank;
                let pairs = of_a[range.clone()].iter().zip(&of_b[range]);
                term += pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
            }
            *sum += scale * other_scale * term;
        }
    }
}

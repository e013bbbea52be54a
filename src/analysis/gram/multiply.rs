//! Inner products between experts, streamed: weights pass through in blocks of bounded size, only the result stays.

use std::ops::Range;

use rayon::prelude::*;

use super::tiles::{Gram, GramTile};
use crate::analysis::weights::{Alignment, Product, Slot, WeightBlock};
use crate::matrix::{self, MatMut, MatRef};
use crate::{Cancel, Error, Result};

/// Features per f32 product: what it accumulates in f32 stays far below the accuracy needed, the sum
/// over products is in f64.
const CHUNK: usize = 2048;
/// f32 values per block of weights (64 MiB); two blocks are in memory at once.
const BLOCK_VALUES: usize = 16 << 20;

/// Fills in the inner products of all rows that are not known. Every expert's weights are read once, or once per pair
/// of blocks where they do not all fit. `progress` gets (done, total) in units of groups of modules.
pub(super) fn fill(
    gram: &mut Gram,
    alignment: &Alignment<'_>,
    product: Product,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<()> {
    let order = gram.rows().experts.clone();
    let (n, old) = (order.len(), gram.rows().old);
    if old == n {
        return Ok(());
    }
    let groups = alignment.groups(BLOCK_VALUES / n.max(1));
    for (done, slots) in groups.iter().enumerate() {
        progress(done, groups.len());
        let per_expert: usize = alignment.slots[slots.clone()].iter().map(Slot::values).sum();
        let blocks = blocks(gram.starts(), BLOCK_VALUES / per_expert.max(1));
        let load = |rows: &Range<usize>| alignment.load(slots.clone(), &order, rows.clone(), product, cancel);
        let multiply = |gram: &mut Gram, rows: &WeightBlock, columns: &WeightBlock| {
            let some = Step { order: &order, slots: &alignment.slots[slots.clone()], product, old };
            some.multiply(gram, rows, columns, cancel)
        };
        for (i, first) in blocks.iter().enumerate() {
            let rows = load(first)?;
            if first.end > old {
                multiply(gram, &rows, &rows)?;
            }
            for other in blocks[i + 1..].iter().filter(|other| other.end > old) {
                multiply(gram, &rows, &load(other)?)?;
            }
        }
    }
    // Undoes the scaling by powers of two.
    let power = |&expert: &usize| 2.0f64.powi(alignment.experts[expert].scan.exponent(product));
    let powers: Vec<f64> = order.iter().map(power).collect();
    let new = gram.tiles.par_iter_mut().filter(|tile| tile.columns.start >= old);
    new.for_each(|tile| {
        let columns = tile.columns.clone();
        for (row, values) in tile.rows.clone().zip(tile.values.chunks_exact_mut(columns.len())) {
            for (column, value) in columns.clone().zip(values) {
                *value *= powers[row] * powers[column];
            }
        }
    });
    progress(groups.len(), groups.len());
    Ok(())
}

/// Runs of whole tiles with at most `most` rows, or of one tile.
fn blocks(starts: &[usize], most: usize) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    for tile in starts.windows(2) {
        match blocks.last_mut() {
            Some(block) if tile[1] - block.start <= most => block.end = tile[1],
            _ => blocks.push(tile[0]..tile[1]),
        }
    }
    blocks
}

/// The products at some slots.
struct Step<'a> {
    order: &'a [usize],
    slots: &'a [Slot],
    product: Product,
    old: usize,
}

impl Step<'_> {
    /// Adds the products of two blocks to the tiles that they cover and that are not known.
    fn multiply(
        &self,
        gram: &mut Gram,
        rows: &WeightBlock,
        columns: &WeightBlock,
        cancel: &Cancel,
    ) -> Result<()> {
        let inside = |tile: &Range<usize>, block: &WeightBlock| {
            block.rows.start <= tile.start && tile.end <= block.rows.end
        };
        let wanted = |tile: &&mut GramTile| {
            tile.columns.start >= self.old && inside(&tile.rows, rows) && inside(&tile.columns, columns)
        };
        let tiles = gram.tiles.par_iter_mut().filter(wanted);
        match self.product {
            Product::Flat => {
                let mut runs = column_runs(tiles.collect());
                runs.par_iter_mut().with_max_len(1).try_for_each(|run| {
                    cancel.check()?;
                    flat_run(run, rows, columns);
                    Ok(())
                })
            }
            Product::Delta => tiles.try_for_each(|tile| {
                cancel.check()?;
                let mut offset = Offsets::new(tile, rows, columns);
                for slot in self.slots {
                    delta_tile(tile, slot, self.order, rows, columns, &mut offset);
                }
                Ok::<(), Error>(())
            }),
        }
    }
}

/// Tiles below one another, a few in each run: the columns that they share are rearranged for a product once.
fn column_runs(mut tiles: Vec<&mut GramTile>) -> Vec<Vec<&mut GramTile>> {
    /// Rows of a run that are enough for that to cost little.
    const ROWS: usize = 512;
    tiles.sort_by_key(|tile| (tile.columns.start, tile.rows.start));
    let mut runs: Vec<Vec<&mut GramTile>> = Vec::new();
    for tile in tiles {
        match runs.last_mut() {
            Some(run)
                if run[0].columns == tile.columns
                    && run[run.len() - 1].rows.end == tile.rows.start
                    && tile.rows.end - run[0].rows.start <= ROWS =>
            {
                run.push(tile)
            }
            _ => runs.push(vec![tile]),
        }
    }
    runs
}

/// Adds X_rows · X_columnsᵀ to tiles below one another, `CHUNK` features at a time.
fn flat_run(run: &mut [&mut GramTile], rows: &WeightBlock, columns: &WeightBlock) {
    let of_rows = run[0].rows.start..run[run.len() - 1].rows.end;
    let of_columns = run[0].columns.clone();
    let (m, n) = (of_rows.len(), of_columns.len());
    // Every expert has the same features in this layout, so that segments lie at a fixed stride.
    let features = rows.segment(of_rows.start).len();
    let (left, right) = (rows.span(&of_rows), columns.span(&of_columns));
    let mut scratch = vec![0.0f32; m * n];
    for start in (0..features).step_by(CHUNK) {
        let width = CHUNK.min(features - start);
        let left = MatRef::rows(&left[start..], (m, width), features);
        let right = MatRef::rows(&right[start..], (n, width), features);
        matrix::multiply(1.0, left, right.transposed(), 0.0, MatMut::rows(&mut scratch, (m, n), n));
        for (sum, &x) in run.iter_mut().flat_map(|tile| &mut tile.values).zip(&scratch) {
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
            rows: tile.rows.clone().map(|row| rows.start(row)).collect(),
            columns: tile.columns.clone().map(|row| columns.start(row)).collect(),
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
    fn new(slot: &Slot, experts: &[usize], block: &WeightBlock, offsets: &mut [usize]) -> Self {
        let mut stack = Self { a: Vec::new(), b: Vec::new(), experts: Vec::new(), rank: 0 };
        for (&expert, offset) in experts.iter().zip(offsets) {
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
    order: &[usize],
    rows: &WeightBlock,
    columns: &WeightBlock,
    offsets: &mut Offsets,
) {
    let left = StackedFactors::new(slot, &order[tile.rows.clone()], rows, &mut offsets.rows);
    let right = StackedFactors::new(slot, &order[tile.columns.clone()], columns, &mut offsets.columns);
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

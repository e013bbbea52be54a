//! Matrices that tasks compute together: each task owns some rows of 32 columns.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::layout::{Out, TILE_ROWS, WIDTH};
use crate::model::tensor::room;

/// Least rows of a task: fewer would not pay for dequantising or transposing a panel again.
const TASK_ROWS: usize = 8 * TILE_ROWS;

/// How the work on matrices is split into tasks.
#[derive(Clone, Copy)]
pub(super) struct Split {
    /// The rows of a task are whole tiles of so many, but for its last.
    pub tile: usize,
    /// So many rows or fewer only wait for memory: about a task per core. More rows: small tasks balance the cores.
    pub few: usize,
}

/// Computes a matrix of `rows` rows for each of `widths`, row-major. `work` is called with every part of every
/// matrix once, on the threads of the pool, and with what `scratch` made for the thread. What it does not write is
/// zero.
///
/// Nothing goes over the memory beforehand: that would take a good part of the time of a product.
pub(super) fn compute<const N: usize, S>(
    rows: usize,
    widths: [usize; N],
    split: Split,
    scratch: impl Fn() -> S + Send + Sync,
    work: impl Fn(&mut S, &mut PanelMut) + Send + Sync,
) -> [Vec<f32>; N] {
    let mut all = widths.map(|width| room::<f32>(rows * width));
    let starts = Starts(all.each_mut().map(|values| values.as_mut_ptr()));
    let panels: usize = widths.iter().map(|width| width.div_ceil(WIDTH)).sum();
    let least = if rows > split.few { 1 } else { panels.div_ceil(2 * rayon::current_num_threads()) };
    tasks(rows, split.tile, panels).with_min_len(least).for_each_init(scratch, |scratch, (panel, rows)| {
        let (matrix, panel) = place(&widths, panel);
        // The parts that `tasks` gives are disjoint, and no other reference to the memory exists meanwhile.
        let mut part = PanelMut::new(starts.of(matrix), widths[matrix], (matrix, panel), rows);
        work(scratch, &mut part);
        part.finish();
    });
    for (values, width) in all.iter_mut().zip(widths) {
        // SAFETY: there is room for so many values. Every row of every panel was part of a task, and a finished
        // part has all its values written; a task that panics ends this function before it comes here.
        unsafe { values.set_len(rows * width) };
    }
    all
}

/// Where matrices begin.
struct Starts<const N: usize>([*mut f32; N]);

// SAFETY: tasks write disjoint parts of what is behind the pointers.
unsafe impl<const N: usize> Sync for Starts<N> {}

impl<const N: usize> Starts<N> {
    fn of(&self, matrix: usize) -> *mut f32 {
        self.0[matrix]
    }
}

/// The matrix that panel `panel` of all belongs to, and which of its panels that is.
fn place(widths: &[usize], mut panel: usize) -> (usize, usize) {
    for (matrix, width) in widths.iter().enumerate() {
        let panels = width.div_ceil(WIDTH);
        if panel < panels {
            return (matrix, panel);
        }
        panel -= panels;
    }
    unreachable!("there are fewer panels than tasks")
}

/// Splits `panels` panels of `count` rows: each with all rows, or with parts of them, whole tiles, where there are
/// more cores than panels to keep them busy. Every row of every panel is in one part.
fn tasks(
    count: usize,
    tile: usize,
    panels: usize,
) -> impl IndexedParallelIterator<Item = (usize, Range<usize>)> {
    let wanted = (4 * rayon::current_num_threads()).div_ceil(panels.max(1));
    let parts = wanted.min(count / TASK_ROWS).max(1);
    let size = count.div_ceil(parts).next_multiple_of(tile);
    let parts = count.div_ceil(size.max(1)).max(1);
    (0..panels * parts).into_par_iter().map(move |task| {
        let first = task % parts * size;
        (task / parts, first..(first + size).min(count))
    })
}

/// Some rows of up to 32 neighbouring columns of a matrix, which nothing else reads or writes meanwhile. Rows are
/// written in order, from the first on; sums for rows that were written are added to them.
pub(super) struct PanelMut<'a> {
    matrix: usize,
    panel: usize,
    rows: Range<usize>,
    /// The first column of `rows.start`.
    start: *mut f32,
    /// The matrix's columns.
    stride: usize,
    /// The panel's columns.
    width: usize,
    /// Rows before this one are written.
    done: usize,
    owns: PhantomData<&'a mut f32>,
}

impl PanelMut<'_> {
    /// Rows of a panel of the matrix [.., stride] that begins at `matrix_start` and has room for them.
    fn new(
        matrix_start: *mut f32,
        stride: usize,
        (matrix, panel): (usize, usize),
        rows: Range<usize>,
    ) -> Self {
        let start = matrix_start.wrapping_add(rows.start * stride + panel * WIDTH);
        let width = WIDTH.min(stride - panel * WIDTH);
        Self { matrix, panel, start, stride, width, done: rows.start, rows, owns: PhantomData }
    }

    /// Which of the matrices.
    pub fn matrix(&self) -> usize {
        self.matrix
    }

    /// Which of the matrix's panels of columns.
    pub fn panel(&self) -> usize {
        self.panel
    }

    /// Which of the matrix's rows.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Whether sums for `count` rows from `row` on are to be added to what is there. Afterwards they are there.
    fn adds(&mut self, row: usize, count: usize) -> bool {
        assert!(self.rows.start <= row && row + count <= self.rows.end, "a tile reaches past its output");
        if row + count <= self.done {
            return true;
        }
        assert_eq!(row, self.done, "rows are written in order");
        self.done = row + count;
        false
    }

    /// The first column of `row`, which is one of this part's.
    fn at(&self, row: usize) -> *mut f32 {
        self.start.wrapping_add((row - self.rows.start) * self.stride)
    }

    /// Has `write` compute the sums of a tile: `count` rows from `row` on, and 32 columns, in their place, or, where
    /// the panel has fewer columns, beside it.
    ///
    /// # Safety
    /// `write` writes all sums of the tile, and nothing outside it; where its [`Out`] does not add, it reads none.
    pub unsafe fn tile(&mut self, row: usize, count: usize, write: impl FnOnce(Out)) {
        if self.width < WIDTH {
            let mut spare = vec![0f32; count * WIDTH];
            write(Out { start: spare.as_mut_ptr(), stride: WIDTH, add: false });
            for (i, sums) in spare.as_chunks().0.iter().enumerate() {
                self.put(row + i, sums);
            }
            return;
        }
        let add = self.adds(row, count);
        write(Out { start: self.at(row), stride: self.stride, add });
    }

    /// Writes the sums of one row, or adds them to it; of a panel with fewer columns than 32, the first.
    pub fn put(&mut self, row: usize, sums: &[f32; WIDTH]) {
        let add = self.adds(row, 1);
        for (i, sum) in sums.iter().take(self.width).enumerate() {
            // SAFETY: the row and the column are this part's, and what is added to was written before.
            unsafe {
                let to = self.at(row).add(i);
                to.write(if add { to.read() + sum } else { *sum });
            }
        }
    }

    /// Sets rows to zero that nothing was written to.
    fn finish(&mut self) {
        for row in self.done..self.rows.end {
            self.put(row, &[0.0; WIDTH]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_cover_every_row_of_every_panel_once() {
        for (panels, count) in [(1, 1), (3, 12), (6, 512), (1, 1000), (40, 200), (2, 97), (0, 5), (3, 0)] {
            for tile in [6, 12, 32] {
                let mut seen = vec![0; panels * count];
                for (panel, rows) in tasks(count, tile, panels).collect::<Vec<_>>() {
                    assert!(rows.is_empty() || rows.start.is_multiple_of(tile));
                    rows.for_each(|row| seen[panel * count + row] += 1);
                }
                assert!(seen.iter().all(|&times| times == 1), "{panels} {count}");
            }
        }
    }

    #[test]
    fn matrices_hold_what_was_written_added_and_left() {
        for rows in [0, 1, 7, 400] {
            let widths = [33, 0, 32, 5];
            let split = Split { tile: 3, few: 1 };
            let all = compute(
                rows,
                widths,
                split,
                || [0f32; WIDTH],
                |sums, part| {
                    let name = (10 * part.matrix + part.panel) as f32;
                    // The last row of a part stays as it is.
                    let rows = part.rows();
                    let last = rows.end.max(1) - 1;
                    for (row, turn) in (0..2).flat_map(|turn| rows.clone().map(move |row| (row, turn))) {
                        sums.iter_mut().enumerate().for_each(|(i, sum)| *sum = name + i as f32);
                        match turn {
                            _ if row == last => {}
                            0 => part.put(row, sums),
                            // SAFETY: the tile is written.
                            _ => unsafe {
                                part.tile(row, 1, |out| {
                                    for (i, sum) in sums.iter().enumerate() {
                                        let to = out.start.add(i);
                                        to.write(if out.add { to.read() } else { 0.0 } + sum);
                                    }
                                });
                            },
                        }
                    }
                },
            );
            for (matrix, (values, width)) in all.iter().zip(widths).enumerate() {
                assert_eq!(values.len(), rows * width);
                let zero = |row: &[f32]| row.iter().all(|v| *v == 0.0);
                for row in values.chunks(width.max(1)) {
                    let want = |c: usize| 2.0 * ((10 * matrix + c / WIDTH) as f32 + (c % WIDTH) as f32);
                    let whole = row.iter().enumerate().all(|(c, v)| *v == want(c));
                    // Panels may be split at different rows.
                    assert!(whole || row.chunks(WIDTH).any(zero), "{matrix}: {row:?}");
                }
            }
            assert!(all[3].iter().rev().take(5).all(|v| *v == 0.0));
        }
    }

    #[test]
    #[should_panic(expected = "rows are written in order")]
    fn a_row_that_was_left_out_is_not_taken_for_written() {
        compute(3, [4], Split { tile: 3, few: 1 }, || (), |(), part| part.put(1, &[0.0; WIDTH]));
    }
}

//! Matrices that are read strip by strip, straight into the layout in which they are held, so that no second
//! copy of one is ever in memory.

use std::ops::Range;

use super::tensor::{filled, room};
use crate::Result;

/// Rows that are read at once.
pub(crate) const STRIP: usize = 32;

/// Writes some rows of a matrix in f32, one after the other; there is room for just these.
pub(crate) type Read<'a> = dyn Fn(Range<usize>, &mut [f32]) -> Result<()> + Sync + 'a;

/// The matrix [rows, columns] as it is.
pub(super) fn whole((rows, columns): (usize, usize), read: &Read) -> Result<Vec<f32>> {
    filled(rows * columns, STRIP * columns, 0.0, |strip, out| {
        let first = strip * STRIP;
        read(first..(first + STRIP).min(rows), out)
    })
}

/// Where a tile of sums goes: its first value, and the distance of its rows.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub start: *mut f32,
    pub stride: usize,
    /// Onto what is there.
    pub add: bool,
}

/// A matrix that tasks fill together: each writes columns of its own.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    start: *mut f32,
    len: usize,
    pub stride: usize,
}
// SAFETY: tasks write disjoint columns.
unsafe impl Send for Columns {}
unsafe impl Sync for Columns {}

impl Columns {
    /// Matrices of `rows` rows of these `strides`, row-major, which `fill` writes: going over the memory beforehand
    /// would take a good part of the time of a product.
    ///
    /// # Safety
    /// `fill` puts every value of every row of every matrix.
    pub unsafe fn filled<const N: usize>(
        rows: usize,
        strides: [usize; N],
        fill: impl FnOnce([Columns; N]),
    ) -> [Vec<f32>; N] {
        let mut all = strides.map(|stride| room::<f32>(rows * stride));
        let starts = all.each_mut().map(|values| values.as_mut_ptr());
        fill(std::array::from_fn(|i| Self { start: starts[i], len: rows * strides[i], stride: strides[i] }));
        for (values, stride) in all.iter_mut().zip(strides) {
            // SAFETY: there is room for so many values, all of which are written now.
            unsafe { values.set_len(rows * stride) };
        }
        all
    }

    /// Has a tile of `rows` rows and up to `N` columns written: in its place, or, where the matrix has fewer
    /// columns left, beside it and then put.
    ///
    /// # Safety
    /// As of [`Self::put`].
    pub unsafe fn tile<const N: usize>(
        &self,
        (row, rows): (usize, usize),
        column: usize,
        add: bool,
        write: impl FnOnce(Out),
    ) {
        let width = N.min(self.stride - column);
        assert!(
            (row + rows - 1) * self.stride + column + width <= self.len,
            "a tile reaches past its output"
        );
        if width == N {
            // SAFETY: the range was checked just above.
            let start = unsafe { self.start.add(row * self.stride + column) };
            return write(Out { start, stride: self.stride, add });
        }
        let mut spare = vec![0f32; rows * N];
        write(Out { start: spare.as_mut_ptr(), stride: N, add: false });
        for (i, sums) in spare.chunks_exact(N).enumerate() {
            // SAFETY: as the caller promises.
            unsafe { self.put(row + i, column, &sums[..width], add) };
        }
    }

    /// Adds `sums`, or writes them, at `row` from `column` on.
    ///
    /// # Safety
    /// No other task touches these columns; what is added to was written before.
    pub unsafe fn put(&self, row: usize, column: usize, sums: &[f32], add: bool) {
        let at = row * self.stride + column;
        assert!(at + sums.len() <= self.len, "a tile reaches past its output");
        for (i, s) in sums.iter().enumerate() {
            // SAFETY: the range was checked just above, and the caller owns these columns.
            unsafe {
                let to = self.start.add(at + i);
                *to = if add { *to + s } else { *s };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn a_whole_matrix_holds_every_row() {
        for (rows, columns) in [(1, 1), (31, 3), (32, 5), (33, 64), (100, 7), (5, 0)] {
            let read = |wanted: Range<usize>, out: &mut [f32]| {
                assert_eq!(out.len(), wanted.len() * columns);
                let from = wanted.start * columns;
                out.iter_mut().enumerate().for_each(|(i, v)| *v = (from + i) as f32);
                Ok(())
            };
            let all = whole((rows, columns), &read).unwrap();
            assert_eq!(all, (0..rows * columns).map(|i| i as f32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let read = |wanted: Range<usize>, _: &mut [f32]| match wanted.start {
            64.. => Err(Error::msg("unreadable")),
            _ => Ok(()),
        };
        assert!(whole((100, 4), &read).is_err());
        assert_eq!(whole((64, 4), &read).unwrap(), [0.0; 256]);
    }
}

//! Matrices that tasks fill together, each a part of its own.

use super::layout::Out;
use crate::model::tensor::room;

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

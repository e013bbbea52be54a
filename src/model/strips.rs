//! Matrices that are read strip by strip, straight into the layout in which they are held, so that no second
//! copy of one is ever in memory.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::Result;

/// Rows that are read at once.
pub(crate) const STRIP: usize = 32;

/// Writes some rows of a matrix in f32, one after the other; there is room for just these.
pub(crate) type Read<'a> = dyn Fn(Range<usize>, &mut [f32]) -> Result<()> + Sync + 'a;

/// `chunks` · `size` items, each chunk filled by `fill`, which finds it full of `empty`. Chunks are written by
/// the thread that fills them: going over gigabytes beforehand would take as long.
pub(super) fn filled<T: Copy + Send + Sync>(
    (chunks, size): (usize, usize),
    empty: T,
    fill: impl Fn(usize, &mut [T]) -> Result<()> + Sync,
) -> Result<Vec<T>> {
    let count = chunks * size;
    let mut all: Vec<T> = Vec::with_capacity(count);
    let room = &mut all.spare_capacity_mut()[..count];
    room.par_chunks_mut(size.max(1)).enumerate().try_for_each(|(index, chunk)| {
        chunk.iter_mut().for_each(|item| {
            item.write(empty);
        });
        // SAFETY: every item of the chunk was written just above.
        let chunk = unsafe { &mut *(chunk as *mut [MaybeUninit<T>] as *mut [T]) };
        fill(index, chunk)
    })?;
    // SAFETY: the chunks cover all `count` items, and each was written.
    unsafe { all.set_len(count) };
    Ok(all)
}

/// The matrix [rows, columns] as it is.
pub(super) fn whole((rows, columns): (usize, usize), read: &Read) -> Result<Vec<f32>> {
    let mut all = vec![0f32; rows * columns];
    all.par_chunks_mut((STRIP * columns).max(1)).enumerate().try_for_each(|(strip, out)| {
        let first = strip * STRIP;
        read(first..(first + STRIP).min(rows), out)
    })?;
    Ok(all)
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
    /// Of `values`, row-major, `stride` to a row.
    pub fn new(values: &mut [f32], stride: usize) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), stride }
    }

    /// Adds `sums`, or writes them, at `row` from `column` on.
    ///
    /// # Safety
    /// No other task touches these columns.
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
        let some = filled((3, 2), 1u8, |at, chunk| {
            chunk[at % 2] = at as u8 + 5;
            Ok(())
        });
        assert_eq!(some.unwrap(), [5, 1, 1, 6, 7, 1]);
        assert!(filled((3, 2), 1u8, |_, _| Err(Error::msg("no"))).is_err());
    }
}

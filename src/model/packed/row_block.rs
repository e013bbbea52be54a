//! Matrices that are read by blocks of rows, straight into the layout in which they are stored, so that no second
//! copy of one is ever in memory.

use std::ops::Range;

use super::layout::WIDTH;
use crate::Result;
use crate::model::tensor::filled;

/// Rows that are read at once.
pub(in crate::model) const ROW_BLOCK: usize = WIDTH;

/// Writes some rows of a matrix in f32, one after the other; there is room for just these.
pub(in crate::model) type ReadRows<'a> = dyn Fn(Range<usize>, &mut [f32]) -> Result<()> + Sync + 'a;

/// The matrix [rows, columns] as it is.
pub(in crate::model) fn read_whole((rows, columns): (usize, usize), read: &ReadRows) -> Result<Vec<f32>> {
    filled(rows * columns, ROW_BLOCK * columns, 0.0, |block, out| {
        let first = block * ROW_BLOCK;
        read(first..(first + ROW_BLOCK).min(rows), out)
    })
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
            let all = read_whole((rows, columns), &read).unwrap();
            assert_eq!(all, (0..rows * columns).map(|i| i as f32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let read = |wanted: Range<usize>, _: &mut [f32]| match wanted.start {
            64.. => Err(Error::msg("unreadable")),
            _ => Ok(()),
        };
        assert!(read_whole((100, 4), &read).is_err());
        assert_eq!(read_whole((64, 4), &read).unwrap(), [0.0; 256]);
    }
}

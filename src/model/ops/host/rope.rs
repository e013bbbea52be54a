//! Rotation by positions.

use rayon::prelude::*;

use crate::model::rope::RopeTable;

/// Rotates every head of rows of `width` values.
pub fn rotate(values: &mut [f32], width: usize, table: &RopeTable, sign: f32) {
    let (half, head_dim) = (table.half, table.head_dim);
    if half == 0 {
        return;
    }
    values
        .par_chunks_mut(width)
        .zip(table.cos.par_chunks(half).zip(table.sin.par_chunks(half)))
        .with_min_len(8)
        .for_each(|(row, (cos, sin))| {
            for head in row.chunks_mut(head_dim) {
                let (first, rest) = head.split_at_mut(half);
                for (((a, b), c), s) in first.iter_mut().zip(rest).zip(cos).zip(sin) {
                    let (x, y, s) = (*a, *b, s * sign);
                    *a = x * c - y * s;
                    *b = y * c + x * s;
                }
            }
        });
}

//! Sums, and rows and columns by number.

use std::ops::Range;

use rayon::prelude::*;

use crate::model::simd;

/// Values worked on by one task, where each is worked on alone.
pub const CHUNK: usize = 8192;
/// Rows worked on by one task.
const ROWS: usize = 8;

/// y += x.
pub fn add(y: &mut [f32], x: &[f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| simd::axpy(1.0, x, y));
}

/// Adds a vector to every row.
pub fn add_bias(y: &mut [f32], bias: &[f32]) {
    y.par_chunks_mut(bias.len() * ROWS).for_each(|rows| {
        for row in rows.chunks_mut(bias.len()) {
            simd::axpy(1.0, bias, row);
        }
    });
}

/// s → cap · tanh(s / cap).
pub fn softcap(y: &mut [f32], cap: f32) {
    y.par_chunks_mut(CHUNK).for_each(|c| c.iter_mut().for_each(|v| *v = cap * simd::tanh(*v / cap)));
}

/// Some columns of rows of `width` values.
pub fn columns(x: &[f32], width: usize, columns: Range<usize>) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len() / width * columns.len());
    x.chunks_exact(width).for_each(|row| out.extend_from_slice(&row[columns.clone()]));
    out
}

/// The columns of all parts, each with its width, side by side.
pub fn concat_columns(parts: &[(&[f32], usize)], rows: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(parts.iter().map(|(values, _)| values.len()).sum());
    for row in 0..rows {
        parts
            .iter()
            .for_each(|(values, width)| out.extend_from_slice(&values[row * width..(row + 1) * width]));
    }
    out
}

/// Rows by number.
pub fn select(x: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len() * width);
    rows.iter().for_each(|&row| out.extend_from_slice(&x[row * width..(row + 1) * width]));
    out
}

/// Puts rows at their numbers.
pub fn put(y: &mut [f32], part: &[f32], width: usize, rows: &[usize]) {
    for (part, &row) in part.chunks_exact(width).zip(rows) {
        y[row * width..(row + 1) * width].copy_from_slice(part);
    }
}

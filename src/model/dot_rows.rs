//! Inner products of rows with rows, without packing either: for few rows, or for those that are used once.

use super::simd::dot;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{self, Level};

/// `out` [rows of a, rows of b] = a · bᵀ for rows of `width` > 0 values.
pub(crate) fn dot_rows(a: &[f32], b: &[f32], width: usize, out: &mut [f32]) {
    let columns = b.len() / width;
    assert!(out.len() >= a.len() / width * columns, "room for the products");
    #[cfg(target_arch = "x86_64")]
    if cpu::uses(Level::Avx512) {
        // SAFETY: the CPU has the instructions.
        unsafe { avx512::products(a, b, width, out) };
        return;
    }
    by_pairs(a, b, width, out);
}

fn by_pairs(a: &[f32], b: &[f32], width: usize, out: &mut [f32]) {
    let columns = (b.len() / width).max(1);
    for (a, out) in a.chunks_exact(width).zip(out.chunks_mut(columns)) {
        b.chunks_exact(width).zip(out).for_each(|(b, out)| *out = dot(a, b));
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    const LANES: usize = 16;
    /// Rows of either side that are multiplied at once: their sums stay in registers.
    const TILE: usize = 4;

    #[target_feature(enable = "avx512f")]
    pub fn products(a: &[f32], b: &[f32], width: usize, out: &mut [f32]) {
        let (rows, columns) = (a.len() / width, b.len() / width);
        for c in (0..columns).step_by(TILE) {
            for r in (0..rows).step_by(TILE) {
                let (a, b) = (&a[r * width..], &b[c * width..]);
                let out = &mut out[r * columns + c..];
                match ((rows - r).min(TILE), (columns - c).min(TILE)) {
                    (TILE, TILE) => tile::<TILE, TILE>(a, b, width, out, columns),
                    (height, TILE) => {
                        for r in 0..height {
                            tile::<1, TILE>(&a[r * width..], b, width, &mut out[r * columns..], columns);
                        }
                    }
                    (height, some) => {
                        for r in 0..height {
                            for c in 0..some {
                                let out = &mut out[r * columns + c..];
                                tile::<1, 1>(&a[r * width..], &b[c * width..], width, out, columns);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The first `R` rows of `a` with the first `C` of `b`; rows of `out` are `stride` apart.
    #[target_feature(enable = "avx512f")]
    fn tile<const R: usize, const C: usize>(
        a: &[f32],
        b: &[f32],
        width: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        assert!(a.len() >= R * width && b.len() >= C * width, "whole rows");
        let mut sums = [[_mm512_setzero_ps(); C]; R];
        for at in (0..width).step_by(LANES) {
            let left = width - at;
            let mask = if left >= LANES { !0 } else { (1u16 << left) - 1 };
            // SAFETY: the rows were counted above, and the mask leaves out what is behind their end.
            let load = |side: &[f32], row: usize| unsafe {
                _mm512_maskz_loadu_ps(mask, side.as_ptr().add(row * width + at))
            };
            let mut right = [_mm512_setzero_ps(); C];
            right.iter_mut().enumerate().for_each(|(c, right)| *right = load(b, c));
            for (r, sums) in sums.iter_mut().enumerate() {
                let left = load(a, r);
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = _mm512_fmadd_ps(left, right, *sum);
                }
            }
        }
        for (out, sums) in out.chunks_mut(stride).zip(sums) {
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = _mm512_reduce_add_ps(sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::each::level_runs;

    #[test]
    fn products_are_those_of_each_pair_in_every_way() {
        let value = |i: usize| ((i * 37 % 23) as f32 - 11.0) * 0.25;
        let shapes = [(1, 1, 1), (1, 9, 16), (4, 4, 48), (5, 7, 35), (9, 12, 17), (8, 0, 3)];
        level_runs(|level| {
            for (rows, columns, width) in shapes {
                let a: Vec<f32> = (0..rows * width).map(value).collect();
                let b: Vec<f32> = (0..columns * width).map(|i| value(i + 5)).collect();
                for way in [dot_rows, by_pairs] {
                    let mut out = vec![f32::NAN; rows * columns];
                    way(&a, &b, width, &mut out);
                    for (at, got) in out.iter().enumerate() {
                        let (r, c) = (at / columns, at % columns);
                        let pairs = a[r * width..(r + 1) * width].iter().zip(&b[c * width..(c + 1) * width]);
                        let want: f32 = pairs.map(|(x, y)| x * y).sum();
                        let name = format!("{level}, {rows} × {columns} × {width}");
                        assert!((got - want).abs() < 1e-3, "{name}: {got}, not {want}");
                    }
                }
            }
        });
    }
}

//! Products of a tile of rows with lines, in AVX-512.

use std::arch::x86_64::*;

use super::rows::TILE;
use super::{Kind, Line, WIDTH};

/// Whether this CPU multiplies lines of this kind.
pub fn available(kind: Kind) -> bool {
    let f32 = std::arch::is_x86_feature_detected!("avx512f");
    match kind {
        Kind::F32 => f32,
        Kind::Bf16 => {
            f32 && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512vl")
                && std::arch::is_x86_feature_detected!("avx512bf16")
        }
    }
}

/// Defines a function for the sums of M rows of `operands` (each of `lines.len()`, `stride` apart) with the
/// lines; `$add` is a sum plus the product of two registers.
macro_rules! kernel {
    ($name:ident, $features:literal, $add:ident) => {
        #[target_feature(enable = $features)]
        fn $name<const M: usize>(
            lines: &[Line],
            operands: &[u32],
            stride: usize,
            out: &mut [[f32; WIDTH]; TILE],
        ) {
            assert!(operands.len() >= (M - 1) * stride + lines.len(), "a tile reads past its rows");
            let mut sums = [[_mm512_setzero_ps(); 2]; M];
            for (k, line) in lines.iter().enumerate() {
                // SAFETY: a line is 128 bytes, aligned to 64; the operands' reach was checked above.
                unsafe {
                    let at = line.0.as_ptr();
                    let b0 = _mm512_load_si512(at.cast());
                    let b1 = _mm512_load_si512(at.add(16).cast());
                    for (m, sum) in sums.iter_mut().enumerate() {
                        let a = _mm512_set1_epi32(*operands.as_ptr().add(m * stride + k) as i32);
                        sum[0] = $add(sum[0], a, b0);
                        sum[1] = $add(sum[1], a, b1);
                    }
                }
            }
            for (sum, out) in sums.iter().zip(out) {
                // SAFETY: a row of the output holds 32 numbers.
                unsafe {
                    _mm512_storeu_ps(out.as_mut_ptr(), sum[0]);
                    _mm512_storeu_ps(out.as_mut_ptr().add(16), sum[1]);
                }
            }
        }
    };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_f32(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add_bf16(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: the vector types have the same size and any bits are valid.
    let pairs = |v: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(v) };
    _mm512_dpbf16_ps(sum, pairs(a), pairs(b))
}

kernel!(f32_rows, "avx512f", add_f32);
kernel!(bf16_rows, "avx512f,avx512bw,avx512vl,avx512bf16", add_bf16);

/// A square of 32 × 32 with rows and columns swapped, in four of 16 × 16.
#[target_feature(enable = "avx512f")]
pub fn turn(from: &[Line; WIDTH], to: &mut [Line; WIDTH]) {
    for (down, across) in [(0, 0), (0, 16), (16, 0), (16, 16)] {
        // SAFETY: half a line is 64 bytes, aligned to as many.
        let load = |i: usize| unsafe { _mm512_load_si512(from[down + i].0[across..].as_ptr().cast()) };
        // Rows to pairs, pairs to fours, fours to eights, eights to columns.
        let mut a = [_mm512_setzero_si512(); 16];
        for i in 0..8 {
            let (x, y) = (load(2 * i), load(2 * i + 1));
            a[2 * i] = _mm512_unpacklo_epi32(x, y);
            a[2 * i + 1] = _mm512_unpackhi_epi32(x, y);
        }
        let mut b = [_mm512_setzero_si512(); 16];
        for i in 0..4 {
            for half in 0..2 {
                let (x, y) = (a[4 * i + half], a[4 * i + half + 2]);
                b[4 * i + 2 * half] = _mm512_unpacklo_epi64(x, y);
                b[4 * i + 2 * half + 1] = _mm512_unpackhi_epi64(x, y);
            }
        }
        // b[4 i + c] holds, in its quarters q, columns 4 q + c of rows 4 i .. 4 i + 4.
        for c in 0..4 {
            let low01 = _mm512_shuffle_i32x4::<0b01_00_01_00>(b[c], b[4 + c]);
            let high01 = _mm512_shuffle_i32x4::<0b11_10_11_10>(b[c], b[4 + c]);
            let low23 = _mm512_shuffle_i32x4::<0b01_00_01_00>(b[8 + c], b[12 + c]);
            let high23 = _mm512_shuffle_i32x4::<0b11_10_11_10>(b[8 + c], b[12 + c]);
            let columns = [
                _mm512_shuffle_i32x4::<0b10_00_10_00>(low01, low23),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(low01, low23),
                _mm512_shuffle_i32x4::<0b10_00_10_00>(high01, high23),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(high01, high23),
            ];
            for (q, column) in columns.into_iter().enumerate() {
                let line = &mut to[across + 4 * q + c].0[down..down + 16];
                // SAFETY: half a line is 64 bytes, aligned to as many.
                unsafe { _mm512_store_si512(line.as_mut_ptr().cast(), column) };
            }
        }
    }
}

/// The sums of 1 to [`TILE`] rows.
///
/// # Safety
/// [`available`] said yes.
pub unsafe fn tile(
    kind: Kind,
    count: usize,
    lines: &[Line],
    operands: &[u32],
    stride: usize,
    out: &mut [[f32; WIDTH]; TILE],
) {
    macro_rules! of { ($($m:literal)*) => {
        // SAFETY: as the caller promises.
        unsafe { match (kind, count) {
            $((Kind::F32, $m) => f32_rows::<$m>(lines, operands, stride, out),
            (Kind::Bf16, $m) => bf16_rows::<$m>(lines, operands, stride, out),)*
            (Kind::F32, _) => f32_rows::<TILE>(lines, operands, stride, out),
            (Kind::Bf16, _) => bf16_rows::<TILE>(lines, operands, stride, out),
        } }
    } }
    of!(1 2 3 4 5 6 7 8 9 10 11)
}

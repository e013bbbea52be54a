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

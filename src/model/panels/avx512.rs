//! Products of bf16 pairs with AVX-512 BF16.

use std::arch::x86_64::*;

use super::{Line, TILE, WIDTH};

/// Whether this CPU multiplies bf16.
pub fn available() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && std::arch::is_x86_feature_detected!("avx512bf16")
}

/// Sums of M rows of `pairs` (each of `lines.len()` pairs, `stride` apart) with the lines.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn rows<const M: usize>(lines: &[Line], pairs: &[u32], stride: usize, out: &mut [[f32; WIDTH]; TILE]) {
    assert!(pairs.len() >= (M - 1) * stride + lines.len(), "a tile reads past its rows");
    let mut sums = [[_mm512_setzero_ps(); 2]; M];
    for (k, line) in lines.iter().enumerate() {
        // SAFETY: a line is 128 bytes, aligned to 64; the pairs' reach was checked above; the vector types
        // have the same size and any bits are valid.
        unsafe {
            let at = line.0.as_ptr();
            let b0: __m512bh = std::mem::transmute(_mm512_load_si512(at.cast()));
            let b1: __m512bh = std::mem::transmute(_mm512_load_si512(at.add(16).cast()));
            for (m, sum) in sums.iter_mut().enumerate() {
                let a = *pairs.as_ptr().add(m * stride + k);
                let a: __m512bh = std::mem::transmute(_mm512_set1_epi32(a as i32));
                sum[0] = _mm512_dpbf16_ps(sum[0], a, b0);
                sum[1] = _mm512_dpbf16_ps(sum[1], a, b1);
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

/// [`rows`] for 1 to [`TILE`] rows.
///
/// # Safety
/// [`available`] said yes.
pub unsafe fn tile(
    count: usize,
    lines: &[Line],
    pairs: &[u32],
    stride: usize,
    out: &mut [[f32; WIDTH]; TILE],
) {
    // SAFETY: as the caller promises.
    unsafe {
        match count {
            1 => rows::<1>(lines, pairs, stride, out),
            2 => rows::<2>(lines, pairs, stride, out),
            3 => rows::<3>(lines, pairs, stride, out),
            4 => rows::<4>(lines, pairs, stride, out),
            5 => rows::<5>(lines, pairs, stride, out),
            6 => rows::<6>(lines, pairs, stride, out),
            7 => rows::<7>(lines, pairs, stride, out),
            8 => rows::<8>(lines, pairs, stride, out),
            9 => rows::<9>(lines, pairs, stride, out),
            10 => rows::<10>(lines, pairs, stride, out),
            11 => rows::<11>(lines, pairs, stride, out),
            _ => rows::<12>(lines, pairs, stride, out),
        }
    }
}

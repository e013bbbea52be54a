//! Products of a tile of rows with slices, in AVX-512.

use std::arch::x86_64::*;

use super::layout::{
    BLOCK, Element, KSlice, Out, Q8_TILE_ROWS, Q8Block, Q8Chunk, STANDS_OUT, TILE_ROWS, WIDTH,
};

/// Writes the sums of rows, or adds them to what is there.
///
/// # Safety
/// `out` has 32 columns of M rows.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn write<const M: usize>(sums: &[[__m512; 2]; M], out: Out) {
    for (m, sum) in sums.iter().enumerate() {
        for (h, sum) in sum.iter().enumerate() {
            // SAFETY: as the caller promises.
            unsafe {
                let to = out.start.add(m * out.stride + 16 * h);
                let before = if out.add { _mm512_loadu_ps(to) } else { _mm512_setzero_ps() };
                _mm512_storeu_ps(to, _mm512_add_ps(before, *sum));
            }
        }
    }
}

/// Defines a function for the sums of M rows of `operands` (each of `slices.len()`, `stride` apart) with the
/// slices; `$add` is a sum plus the product of two registers. Unsafe because `out` has to have 32 columns of M rows.
macro_rules! kernel {
    ($name:ident, $features:literal, $add:ident) => {
        #[target_feature(enable = $features)]
        unsafe fn $name<const M: usize>(slices: &[KSlice], operands: &[u32], stride: usize, out: Out) {
            assert!(operands.len() >= (M - 1) * stride + slices.len(), "a tile reads past its rows");
            let mut sums = [[_mm512_setzero_ps(); 2]; M];
            for (k, slice) in slices.iter().enumerate() {
                // SAFETY: a slice is 128 bytes, aligned to 64; the operands' reach was checked above.
                unsafe {
                    let at = slice.0.as_ptr();
                    let b0 = _mm512_load_si512(at.cast());
                    let b1 = _mm512_load_si512(at.add(16).cast());
                    for (m, sum) in sums.iter_mut().enumerate() {
                        let a = _mm512_set1_epi32(*operands.as_ptr().add(m * stride + k) as i32);
                        sum[0] = $add(sum[0], a, b0);
                        sum[1] = $add(sum[1], a, b1);
                    }
                }
            }
            // SAFETY: as the caller promises.
            unsafe { write(&sums, out) };
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

/// A square of 32 × 32, transposed in four of 16 × 16.
#[target_feature(enable = "avx512f")]
pub fn transpose(from: &[KSlice; WIDTH], to: &mut [KSlice; WIDTH]) {
    for (down, across) in [(0, 0), (0, 16), (16, 0), (16, 16)] {
        // SAFETY: half a slice is 64 bytes, aligned to as many.
        let load = |i: usize| unsafe { _mm512_load_si512(from[down + i].0[across..].as_ptr().cast()) };
        // Rows to pairs, pairs to fours, fours to q8_rows, q8_rows to columns.
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
        // b[4 i + c] has, in its quarters q, columns 4 q + c of rows 4 i .. 4 i + 4.
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
                let slice = &mut to[across + 4 * q + c].0[down..down + 16];
                // SAFETY: half a slice is 64 bytes, aligned to as many.
                unsafe { _mm512_store_si512(slice.as_mut_ptr().cast(), column) };
            }
        }
    }
}

/// The sums of 1 to [`TILE_ROWS`] rows.
///
/// # Safety
/// [`cpu::uses`](crate::cpu::uses) AVX-512, for bf16 [`cpu::bf16`](crate::cpu::bf16); `out` has 32 columns of as many rows.
pub unsafe fn tile(
    element: Element,
    count: usize,
    slices: &[KSlice],
    operands: &[u32],
    stride: usize,
    out: Out,
) {
    macro_rules! of { ($($m:literal)*) => {
        // SAFETY: as the caller promises.
        unsafe { match (element, count) {
            $((Element::F32, $m) => f32_rows::<$m>(slices, operands, stride, out),
            (Element::Bf16, $m) => bf16_rows::<$m>(slices, operands, stride, out),)*
            (Element::F32, _) => f32_rows::<TILE_ROWS>(slices, operands, stride, out),
            (Element::Bf16, _) => bf16_rows::<TILE_ROWS>(slices, operands, stride, out),
        } }
    } }
    of!(1 2 3 4 5 6 7 8 9 10 11)
}

/// The nearest bf16 of 32 values, in their order.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub fn to_bf16(values: [__m512; 2]) -> __m512i {
    // SAFETY: the vector types have the same size and any bits are valid.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(values[1], values[0])) }
}

/// A block as slices of bf16: as many as half its inputs.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub fn widen_block(block: &Q8Block, slices: &mut [KSlice; BLOCK / 2]) {
    // Of [16 of one input, 16 of the next] pairs.
    const PAIRS: [u16; 32] = {
        let mut order = [0; 32];
        let mut i = 0;
        while i < 32 {
            order[i] = (i / 2 + i % 2 * 16) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: the order is 64 bytes.
    let order = unsafe { _mm512_loadu_si512(PAIRS.as_ptr().cast()) };
    for half in [0, 16] {
        // SAFETY: scales of 16 outputs are 32 bytes.
        let scales = unsafe { _mm256_loadu_si256(block.scales[half..].as_ptr().cast()) };
        let scales = _mm512_cvtph_ps(scales);
        let shift = _mm512_mul_ps(scales, _mm512_set1_ps(128.0));
        for (words, two) in block.words.iter().zip(slices.chunks_exact_mut(2)) {
            // SAFETY: half a slice is 64 bytes, aligned to as many.
            let words = unsafe { _mm512_load_si512(words[half..].as_ptr().cast()) };
            let byte = |words| _mm512_and_si512(words, _mm512_set1_epi32(255));
            let bytes = [
                byte(words),
                byte(_mm512_srli_epi32::<8>(words)),
                byte(_mm512_srli_epi32::<16>(words)),
                _mm512_srli_epi32::<24>(words),
            ];
            let values = bytes.map(|b| _mm512_fmsub_ps(_mm512_cvtepi32_ps(b), scales, shift));
            for (slice, values) in two.iter_mut().zip([[values[0], values[1]], [values[2], values[3]]]) {
                let pairs = _mm512_permutexvar_epi16(order, to_bf16(values));
                // SAFETY: as above.
                unsafe { _mm512_store_si512(slice.0[half..].as_mut_ptr().cast(), pairs) };
            }
        }
    }
}

/// The two halves of up to 32 values, zeros after them.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn halves(x: &[f32]) -> [__m512; 2] {
    [0, 16].map(|from| {
        let left = x.len().saturating_sub(from).min(16);
        // SAFETY: only the values that are there are read.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << left) - 1) as u16, x.as_ptr().wrapping_add(from)) }
    })
}

/// Writes whole numbers as bytes; the result is −128 times their sum.
#[inline]
#[target_feature(enable = "avx512f")]
fn to_words(whole: [__m512i; 2], words: &mut [u32; 8]) -> i32 {
    for (words, whole) in words.chunks_exact_mut(4).zip(whole) {
        // SAFETY: four words are 16 bytes.
        unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), _mm512_cvtsepi32_epi8(whole)) };
    }
    // Values that are not finite make whole numbers of any size; their scale marks them.
    _mm512_reduce_add_epi32(_mm512_add_epi32(whole[0], whole[1])).wrapping_mul(-128)
}

/// A row in 8 bits, or 16 in chunks that stand out: scale = max |x| / 127 for each 32 values.
#[target_feature(enable = "avx512f")]
pub fn to_chunks(x: &[f32], chunks: &mut [Q8Chunk]) {
    let mut squares = 0.0;
    for (x, chunk) in x.chunks(BLOCK).zip(chunks.iter_mut()) {
        // As bits, magnitudes are ordered as whole numbers; NaN is more than all, and comes out as the scale.
        let sizes = halves(x).map(|v| _mm512_castps_si512(_mm512_abs_ps(v)));
        let most = f32::from_bits(_mm512_reduce_max_epu32(_mm512_max_epu32(sizes[0], sizes[1])));
        chunk.scale = most / 127.0;
        squares += chunk.scale * chunk.scale;
    }
    let usual = STANDS_OUT * squares / chunks.len() as f32;
    for (x, chunk) in x.chunks(BLOCK).zip(chunks) {
        let inverse = _mm512_set1_ps(if chunk.scale >= f32::MIN_POSITIVE { 1.0 / chunk.scale } else { 0.0 });
        let scaled = halves(x).map(|v| _mm512_mul_ps(v, inverse));
        let whole = scaled.map(|v| _mm512_cvtps_epi32(v));
        chunk.shifts[0] = to_words(whole, &mut chunk.high);
        chunk.fine = chunk.scale * chunk.scale > usual;
        if chunk.fine {
            let rest = [0, 1].map(|h| {
                let rest = _mm512_sub_ps(scaled[h], _mm512_cvtepi32_ps(whole[h]));
                let low = _mm512_cvtps_epi32(_mm512_mul_ps(rest, _mm512_set1_ps(256.0)));
                _mm512_min_epi32(low, _mm512_set1_epi32(127))
            });
            chunk.shifts[1] = to_words(rest, &mut chunk.low);
        }
    }
}

/// Adds to the whole numbers of M rows their products with one block, `word` g of row m being of inputs 4 g and
/// on.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add_block<const M: usize>(
    whole: &mut [[__m512i; 2]; M],
    block: &Q8Block,
    word: impl Fn(usize, usize) -> u32,
) {
    for (g, weights) in block.words.iter().enumerate() {
        // SAFETY: words of 32 outputs are 128 bytes, aligned to 64.
        let w = [0, 16].map(|j| unsafe { _mm512_load_si512(weights[j..].as_ptr().cast()) });
        for (m, whole) in whole.iter_mut().enumerate() {
            let x = _mm512_set1_epi32(word(m, g) as i32);
            whole[0] = _mm512_dpbusd_epi32(whole[0], w[0], x);
            whole[1] = _mm512_dpbusd_epi32(whole[1], w[1], x);
        }
    }
}

/// The sums of M rows of `chunks` (each of `blocks.len()`, `stride` apart) with the blocks: whole numbers over the
/// inputs of a block, f32 over the blocks.
///
/// # Safety
/// `out` has 32 columns of M rows.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn q8_rows<const M: usize>(blocks: &[Q8Block], chunks: &[Q8Chunk], stride: usize, out: Out) {
    assert!(chunks.len() >= (M - 1) * stride + blocks.len(), "a tile reads past its rows");
    let mut sums = [[_mm512_setzero_ps(); 2]; M];
    for (b, block) in blocks.iter().enumerate() {
        // SAFETY: the reach of the chunks was checked above.
        let chunk = |m: usize| unsafe { chunks.get_unchecked(m * stride + b) };
        // SAFETY: scales of 16 outputs are 32 bytes.
        let mut scales = [0, 16]
            .map(|j| unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(block.scales[j..].as_ptr().cast())) });
        let mut whole: [[__m512i; 2]; M] =
            std::array::from_fn(|m| [_mm512_set1_epi32(chunk(m).shifts[0]); 2]);
        add_block(&mut whole, block, |m, g| chunk(m).high[g]);
        if (0..M).any(|m| chunk(m).fine) {
            // Rows that are not fine here have zeros: the same sums at another scale, both of them powers of two.
            for (m, whole) in whole.iter_mut().enumerate() {
                let shift = _mm512_set1_epi32(chunk(m).shifts[1]);
                *whole = whole.map(|w| _mm512_add_epi32(_mm512_slli_epi32::<8>(w), shift));
            }
            add_block(&mut whole, block, |m, g| chunk(m).low[g]);
            scales = scales.map(|s| _mm512_mul_ps(s, _mm512_set1_ps(1.0 / 256.0)));
        }
        for (m, (sum, whole)) in sums.iter_mut().zip(whole).enumerate() {
            let scale = _mm512_set1_ps(chunk(m).scale);
            for h in 0..2 {
                sum[h] =
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[h]), _mm512_mul_ps(scales[h], scale), sum[h]);
            }
        }
    }
    // SAFETY: as the caller promises.
    unsafe { write(&sums, out) };
}

/// The sums of 1 to [`Q8_TILE_ROWS`] rows in 8 bits.
///
/// # Safety
/// [`cpu::vnni`](crate::cpu::vnni); `out` has 32 columns of as many rows.
pub unsafe fn q8_tile(count: usize, blocks: &[Q8Block], chunks: &[Q8Chunk], stride: usize, out: Out) {
    // SAFETY: as the caller promises.
    unsafe {
        match count {
            1 => q8_rows::<1>(blocks, chunks, stride, out),
            2 => q8_rows::<2>(blocks, chunks, stride, out),
            3 => q8_rows::<3>(blocks, chunks, stride, out),
            4 => q8_rows::<4>(blocks, chunks, stride, out),
            5 => q8_rows::<5>(blocks, chunks, stride, out),
            _ => q8_rows::<Q8_TILE_ROWS>(blocks, chunks, stride, out),
        }
    }
}

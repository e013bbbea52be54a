//! How packed weights and the rows that they are multiplied with lie in memory: what every kernel agrees on.

use half::f16;

/// Outputs of a panel.
pub(in crate::model) const WIDTH: usize = 32;
/// Slices that are worked on before the next rows' turn: 96 KiB, which stay in the second cache.
pub(super) const SLICES: usize = 768;
/// Inputs that share a scale in 8 bits.
pub(super) const BLOCK: usize = 32;
/// Inputs whose 8-bit values are in one word.
pub(super) const WORD: usize = 4;
/// Rows of a tile of f32 or bf16: 24 sums in registers.
pub(super) const TILE_ROWS: usize = 12;
/// Rows of a tile of 8 bits: 12 sums in whole numbers and 12 in f32 in registers.
pub(super) const Q8_TILE_ROWS: usize = 6;

/// What a [`KSlice`] has for each of its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// One input's weight in f32.
    F32,
    /// Two neighbouring inputs' in bf16, the lower input in the lower half.
    Bf16,
}

impl Element {
    /// Inputs per slice.
    pub fn inputs(self) -> usize {
        match self {
            Element::F32 => 1,
            Element::Bf16 => 2,
        }
    }
}

/// A slice of a panel along its inputs (the K of a matrix product): the weights of one or two inputs for 32
/// outputs, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct KSlice(pub [u32; WIDTH]);

impl KSlice {
    pub const ZERO: KSlice = KSlice([0; WIDTH]);
}

/// 32 inputs' weights for 32 outputs in 8 bits, with their scales.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Q8Block {
    /// By four inputs and output: the values plus 128, that of the first input in the lowest byte.
    pub words: [[u32; WIDTH]; BLOCK / WORD],
    pub scales: [f16; WIDTH],
}

impl Q8Block {
    pub const ZERO: Q8Block =
        Q8Block { words: [[0x8080_8080; WIDTH]; BLOCK / WORD], scales: [f16::ZERO; WIDTH] };

    /// The weights of output `j` for the block's inputs in f32.
    pub fn weights(&self, j: usize) -> impl Iterator<Item = f32> {
        let scale = widen(self.scales[j]);
        (0..BLOCK).map(move |i| byte(self.words[i / WORD][j], i % WORD) * scale)
    }
}

/// 32 values of a row: scale · (high + low / 256).
///
/// Chunks whose largest value stands out lose most to rounding, and a few chunks of a row do: the low bytes of
/// these are kept too. Products come nearly as close as those of bf16, at a fifth more work.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Q8Chunk {
    /// Four values each, the first in the lowest byte.
    pub high: [u32; BLOCK / WORD],
    /// The same; zeros in a chunk that is not `fine`.
    pub low: [u32; BLOCK / WORD],
    pub scale: f32,
    /// −128 · Σ high, −128 · Σ low: what the weights' own 128 adds to a product, taken off.
    pub shifts: [i32; 2],
    pub fine: bool,
}

/// A chunk is fine where the square of its largest value is this many times the mean of such squares in its row.
pub(super) const STANDS_OUT: f32 = 2.0;

/// Weight `i` of a word, without its scale.
#[inline(always)]
pub(super) fn byte(word: u32, i: usize) -> f32 {
    ((word >> (8 * i) & 255) as i32 - 128) as f32
}

/// The value of a finite f16 by arithmetic that vectorises.
#[inline(always)]
pub(super) fn widen(v: f16) -> f32 {
    let bits = u32::from(v.to_bits());
    // 2¹¹² moves the exponent's bias from 15 to 127; subnormal numbers come out right too.
    const MOVE: f32 = f32::from_bits((112 + 127) << 23);
    f32::from_bits(((bits & 0x7fff) << 13) | ((bits & 0x8000) << 16)) * MOVE
}

/// Nearest bf16 in the upper half of the result; NaN stays NaN.
#[inline(always)]
pub(super) fn round(v: f32) -> u32 {
    let bits = v.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    if v.is_nan() { 0x7fc0_0000 } else { rounded & 0xffff_0000 }
}

/// Two values as bf16, `low` in the lower half.
#[inline(always)]
pub(super) fn pair(low: f32, high: f32) -> u32 {
    (round(low) >> 16) | round(high)
}

/// The sums of a tile of rows with 32 columns in memory: the first, and the distance between rows in values.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub start: *mut f32,
    pub stride: usize,
    /// Whether the sums are added to what is there, which is not read otherwise.
    pub add: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even_and_keeps_nan() {
        for v in [0.0f32, 1.0, -1.003_906_3, 1.011_718_8, f32::INFINITY, 3.0e38, -7.3e-40] {
            assert_eq!((round(v) >> 16) as u16, half::bf16::from_f32(v).to_bits(), "{v}");
        }
        assert!(f32::from_bits(round(f32::NAN)).is_nan());
        for bits in [0u16, 1, 0x03ff, 0x3c00, 0x7bff, 0x8001, 0xc123] {
            assert_eq!(widen(f16::from_bits(bits)), f16::from_bits(bits).to_f32());
        }
    }
}

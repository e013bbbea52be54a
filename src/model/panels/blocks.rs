//! 8 bits in blocks of 32: of a panel's weights, and of the rows that are multiplied with them.

use half::f16;
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::rows::tasks;
use super::{Kind, Line, WIDTH, pair};
use crate::model::simd::multiversion;
use crate::model::strips::Columns;

/// Inputs that share a scale.
pub(super) const BLOCK: usize = 32;
/// Inputs whose values are in one word.
const WORD: usize = 4;
/// Rows of one tile: 12 sums in whole numbers and 12 in f32 in registers.
pub(super) const TILE: usize = 6;

/// 32 inputs' weights for 32 outputs, with their scales.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Block {
    /// By four inputs and output: the values plus 128, that of the first input in the lowest byte.
    pub words: [[u32; WIDTH]; BLOCK / WORD],
    pub scales: [f16; WIDTH],
}

/// 32 values of a row: scale · (high + low / 256).
///
/// Blocks whose largest value stands out lose most to rounding, and a few blocks of a row do: the low bytes of
/// these are kept too. Products come nearly as close as those of bf16, at a fifth more work.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Part {
    /// Four values each, the first in the lowest byte.
    pub high: [u32; BLOCK / WORD],
    /// The same; zeros in a part that is not `fine`.
    pub low: [u32; BLOCK / WORD],
    pub scale: f32,
    /// −128 · Σ high, −128 · Σ low: what the weights' own 128 adds to a product, taken off.
    pub shifts: [i32; 2],
    pub fine: bool,
}

/// A part is fine where the square of its largest value is this many times the mean of such squares in its row.
pub(super) const STANDS_OUT: f32 = 2.0;

/// The value of a finite f16 by arithmetic that vectorises.
#[inline(always)]
pub(super) fn widen(v: f16) -> f32 {
    let bits = u32::from(v.to_bits());
    // 2¹¹² moves the exponent's bias from 15 to 127; subnormal numbers come out right too.
    const MOVE: f32 = f32::from_bits((112 + 127) << 23);
    f32::from_bits(((bits & 0x7fff) << 13) | ((bits & 0x8000) << 16)) * MOVE
}

impl Block {
    pub const ZERO: Block = Block { words: [[0x8080_8080; WIDTH]; BLOCK / WORD], scales: [f16::ZERO; WIDTH] };

    /// Writes it as lines of bf16.
    pub fn widen(&self, lines: &mut [Line; BLOCK / 2]) {
        #[cfg(target_arch = "x86_64")]
        if avx512::available(Kind::Bf16) {
            // SAFETY: the CPU has the instructions.
            return unsafe { avx512::widen_block(self, lines) };
        }
        block_to_lines(self, lines);
    }

    /// The weights of output `j` for the block's inputs in f32.
    pub fn weights(&self, j: usize) -> impl Iterator<Item = f32> {
        let scale = widen(self.scales[j]);
        (0..BLOCK).map(move |i| value(self.words[i / WORD][j], i % WORD) * scale)
    }
}

/// Weight `i` of a word, without its scale.
#[inline(always)]
fn value(word: u32, i: usize) -> f32 {
    ((word >> (8 * i) & 255) as i32 - 128) as f32
}

multiversion! {
    /// A strip of rows as the blocks of a panel: scale = max |w| / 127 in f16 for each output and 32 inputs.
    pub(super) fn pack_q8(strip: &[f32], inputs: usize, panel: &mut [Block]) {
        for (b, block) in panel.iter_mut().enumerate() {
            for (j, row) in strip.chunks_exact(inputs).enumerate() {
                let x = &row[b * BLOCK..((b + 1) * BLOCK).min(inputs)];
                // As bits, magnitudes are ordered as whole numbers, whose maximum compiles to vector code.
                let most = x.iter().fold(0, |most, v| most.max(v.to_bits() & 0x7fff_ffff));
                block.scales[j] = f16::from_f32(f32::from_bits(most) / 127.0);
                let scale = widen(block.scales[j]);
                let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                let mut rounded = [128u8; BLOCK];
                for (r, x) in rounded.iter_mut().zip(x) {
                    // The lowest byte of such a sum is the whole number; a cast would go value by value.
                    let sum = (x * inverse).round_ties_even().clamp(-127.0, 127.0) + 12_582_912.0 + 128.0;
                    *r = sum.to_bits() as u8;
                }
                for (words, four) in block.words.iter_mut().zip(rounded.chunks_exact(WORD)) {
                    words[j] = four.iter().rev().fold(0, |word, v| word << 8 | u32::from(*v));
                }
            }
        }
    }
}

multiversion! {
    // A block as lines of bf16.
    fn block_to_lines(block: &Block, lines: &mut [Line; BLOCK / 2]) {
        let mut scales = [0f32; WIDTH];
        for (s, h) in scales.iter_mut().zip(&block.scales) {
            *s = widen(*h);
        }
        for (words, lines) in block.words.iter().zip(lines.chunks_mut(2)) {
            for (two, line) in lines.iter_mut().enumerate() {
                for j in 0..WIDTH {
                    let v = |i| value(words[j], 2 * two + i) * scales[j];
                    line.0[j] = pair(v(0), v(1));
                }
            }
        }
    }
}

multiversion! {
    /// out[j] += Σ x[k] · w[k][j] over the inputs of the blocks, in f32.
    pub(super) fn q8_row(blocks: &[Block], x: &[f32], out: &mut [f32; WIDTH]) {
        let mut total = [0f32; WIDTH];
        for (block, x) in blocks.iter().zip(x.chunks(BLOCK)) {
            let mut sum = [0f32; WIDTH];
            for (words, x) in block.words.iter().zip(x.chunks(WORD)) {
                for (i, x) in x.iter().enumerate() {
                    for j in 0..WIDTH {
                        sum[j] += value(words[j], i) * x;
                    }
                }
            }
            for j in 0..WIDTH {
                total[j] += sum[j] * widen(block.scales[j]);
            }
        }
        for j in 0..WIDTH {
            out[j] += total[j];
        }
    }
}

/// The rows of a product in 8 bits: [rows, ⌈width / 32⌉].
pub(super) struct Eights {
    pub parts: Vec<Part>,
    stride: usize,
    count: usize,
}

impl Eights {
    /// Of `values` [rows, width]; none where the CPU has no kernel for them.
    pub fn new(values: &[f32], width: usize) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if avx512::multiplies_eights() {
            let (stride, count) = (width.div_ceil(BLOCK), values.len() / width.max(1));
            let mut parts = vec![Part::default(); count * stride];
            // Rows of a task; one row is not worth one.
            const ROWS: usize = 4;
            parts.par_chunks_mut(ROWS * stride).zip(values.par_chunks(ROWS * width)).for_each(
                |(parts, values)| {
                    parts
                        .chunks_mut(stride)
                        .zip(values.chunks(width))
                        // SAFETY: the CPU has the instructions.
                        .for_each(|(parts, x)| unsafe { avx512::to_parts(x, parts) });
                },
            );
            return Some(Self { parts, stride, count });
        }
        None
    }

    /// The products of all rows with `panels`; `panel` gives one's blocks, as many as a row has parts, and the
    /// matrix and the column of it that its products are put to.
    pub fn times<'a>(&self, panels: usize, panel: impl Fn(usize) -> (&'a [Block], Columns, usize) + Sync) {
        // One tile waits for memory: about a task a core. More: small tasks balance the cores.
        let least = if self.count > TILE { 1 } else { panels.div_ceil(2 * rayon::current_num_threads()) };
        tasks(self.count, TILE, panels).with_min_len(least).for_each(|(p, rows)| {
            let (blocks, out, column) = panel(p);
            for row in rows.clone().step_by(TILE) {
                let count = TILE.min(rows.end - row);
                #[cfg(target_arch = "x86_64")]
                // SAFETY: there are parts only where the instructions are; these rows of a panel's columns belong
                // to one task.
                unsafe {
                    out.tile::<WIDTH>((row, count), column, false, |out| {
                        let parts = &self.parts[row * self.stride..];
                        avx512::tile_of_eights(count, blocks, parts, self.stride, out);
                    });
                }
            }
        });
    }
}

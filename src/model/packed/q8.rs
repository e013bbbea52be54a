//! 8 bits in blocks of 32: of a panel's weights, and of the rows that are multiplied with them.

use half::f16;
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::columns::{PanelMut, Split};
use super::layout::{BLOCK, KSlice, Q8_TILE_ROWS as TILE, Q8Block, Q8Chunk, WIDTH, WORD, byte, pair, widen};
#[cfg(target_arch = "x86_64")]
use crate::cpu;
use crate::model::simd::multiversion;

multiversion! {
    /// A block of rows as the blocks of a panel: scale = max |w| / 127 in f16 for each output and 32 inputs.
    pub(super) fn pack_q8(rows: &[f32], inputs: usize, panel: &mut [Q8Block]) {
        for (b, block) in panel.iter_mut().enumerate() {
            for (j, row) in rows.chunks_exact(inputs).enumerate() {
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

/// Writes `block` as slices of bf16.
pub(super) fn widen_block(block: &Q8Block, slices: &mut [KSlice; BLOCK / 2]) {
    #[cfg(target_arch = "x86_64")]
    if cpu::bf16() {
        // SAFETY: the CPU has the instructions.
        return unsafe { avx512::widen_block(block, slices) };
    }
    block_to_slices(block, slices);
}

multiversion! {
    // A block as slices of bf16.
    fn block_to_slices(block: &Q8Block, slices: &mut [KSlice; BLOCK / 2]) {
        let mut scales = [0f32; WIDTH];
        for (s, h) in scales.iter_mut().zip(&block.scales) {
            *s = widen(*h);
        }
        for (words, slices) in block.words.iter().zip(slices.chunks_mut(2)) {
            for (two, slice) in slices.iter_mut().enumerate() {
                for j in 0..WIDTH {
                    let v = |i| byte(words[j], 2 * two + i) * scales[j];
                    slice.0[j] = pair(v(0), v(1));
                }
            }
        }
    }
}

multiversion! {
    /// out[j] += Σ x[k] · w[k][j] over the inputs of the blocks, in f32.
    pub(super) fn q8_row(blocks: &[Q8Block], x: &[f32], out: &mut [f32; WIDTH]) {
        let mut total = [0f32; WIDTH];
        for (block, x) in blocks.iter().zip(x.chunks(BLOCK)) {
            let mut sum = [0f32; WIDTH];
            for (words, x) in block.words.iter().zip(x.chunks(WORD)) {
                for (i, x) in x.iter().enumerate() {
                    for j in 0..WIDTH {
                        sum[j] += byte(words[j], i) * x;
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
pub(super) struct Q8Rows {
    pub chunks: Vec<Q8Chunk>,
    stride: usize,
}

impl Q8Rows {
    /// Of `values` [rows, width]; none where the CPU has no kernel for them.
    pub fn new(values: &[f32], width: usize) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if cpu::vnni() {
            let (stride, count) = (width.div_ceil(BLOCK), values.len() / width.max(1));
            let mut chunks = vec![Q8Chunk::default(); count * stride];
            // Rows of a task; one row is not worth one.
            const ROWS: usize = 4;
            chunks.par_chunks_mut(ROWS * stride).zip(values.par_chunks(ROWS * width)).for_each(
                |(chunks, values)| {
                    chunks
                        .chunks_mut(stride)
                        .zip(values.chunks(width))
                        // SAFETY: the CPU has the instructions.
                        .for_each(|(chunks, x)| unsafe { avx512::to_chunks(x, chunks) });
                },
            );
            return Some(Self { chunks, stride });
        }
        None
    }

    /// How products of these rows are split. One tile waits for memory.
    pub const SPLIT: Split = Split { tile: TILE, few: TILE };

    /// The products of the rows of `out` with the blocks of a panel, as many as a row has chunks.
    pub fn times(&self, blocks: &[Q8Block], out: &mut PanelMut) {
        for row in out.rows().step_by(TILE) {
            let count = TILE.min(out.rows().end - row);
            #[cfg(target_arch = "x86_64")]
            // SAFETY: there are chunks only where the instructions are; the kernel writes the tile.
            unsafe {
                out.tile(row, count, |out| {
                    let chunks = &self.chunks[row * self.stride..];
                    avx512::q8_tile(count, blocks, chunks, self.stride, out);
                });
            }
        }
    }
}

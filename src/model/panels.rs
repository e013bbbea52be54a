//! Frozen weights packed for products with few or many rows: bf16, or 8 bits in blocks of 32.
//!
//! A weight [out, in] is cut into panels of 32 outputs. A panel of bf16 holds one [`Line`] for two
//! neighbouring inputs: what one AVX-512 BF16 instruction takes. A panel of 8 bits holds, input by input, the
//! 32 outputs' values, and for 32 inputs at a time one scale an output (the arithmetic of GGUF's Q8_0, whose
//! values it keeps exactly).
//!
//! Products with many rows run in bf16 with f32 sums, 8-bit weights being widened panel by panel; where the
//! CPU lacks the instruction, panels are widened to f32 instead. Products with one or two rows, which only
//! wait for memory, take 8-bit weights times f32 inputs.

#[cfg(target_arch = "x86_64")]
mod avx512;

use half::f16;
use rayon::prelude::*;

use super::simd::multiversion;
use super::strips::{Columns, Read, STRIP, filled};
use super::tensor::gemm;
use crate::Result;

/// Outputs of a panel.
const WIDTH: usize = STRIP;
/// Inputs that share a scale.
const BLOCK: usize = 32;
/// Lines that are worked on before the next rows' turn: 64 KiB.
const LINES: usize = 512;
/// Rows of one tile: 24 sums in registers.
const TILE: usize = 12;

/// Two neighbouring inputs' weights for 32 outputs: bf16 pairs, the lower input in the lower half.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u32; WIDTH]);

/// 32 inputs' 8-bit weights for 32 outputs, input by input, with their scales.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Block {
    values: [[i8; WIDTH]; BLOCK],
    scales: [f16; WIDTH],
}

#[derive(Debug)]
enum Store {
    /// [panel][in / 2].
    Bf16(Vec<Line>),
    /// [panel][in / 32].
    Q8(Vec<Block>),
}

/// A packed weight [out, in].
#[derive(Debug)]
pub(crate) struct Panels {
    pub inputs: usize,
    pub outputs: usize,
    store: Store,
}

/// Nearest bf16 in the upper half of the result; NaN stays NaN.
#[inline(always)]
fn round(v: f32) -> u32 {
    let bits = v.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    if v.is_nan() { 0x7fc0_0000 } else { rounded & 0xffff_0000 }
}

#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    (round(low) >> 16) | round(high)
}

/// The value of a finite f16 by arithmetic that vectorises.
#[inline(always)]
fn widen(v: f16) -> f32 {
    let bits = u32::from(v.to_bits());
    // 2¹¹² moves the exponent's bias from 15 to 127; subnormal numbers come out right too.
    const MOVE: f32 = f32::from_bits((112 + 127) << 23);
    f32::from_bits(((bits & 0x7fff) << 13) | ((bits & 0x8000) << 16)) * MOVE
}

multiversion! {
    /// Rows of f32 [.., width] as bf16 pairs [.., ⌈width / 2⌉].
    fn to_pairs(x: &[f32], width: usize, out: &mut [u32]) {
        let half = width.div_ceil(2);
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(half)) {
            let even = x.chunks_exact(2);
            if let [last] = even.remainder() {
                out[half - 1] = pair(*last, 0.0);
            }
            for (p, out) in even.zip(out.iter_mut()) {
                *out = pair(p[0], p[1]);
            }
        }
    }
}

multiversion! {
    // A strip of rows as the lines of a panel.
    fn pack_bf16(strip: &[f32], inputs: usize, panel: &mut [Line]) {
        for (j, row) in strip.chunks_exact(inputs).enumerate() {
            for (line, two) in panel.iter_mut().zip(row.chunks(2)) {
                line.0[j] = pair(two[0], two.get(1).copied().unwrap_or(0.0));
            }
        }
    }
}

multiversion! {
    // A strip of rows as the blocks of a panel.
    fn pack_q8(strip: &[f32], inputs: usize, panel: &mut [Block]) {
        for (b, block) in panel.iter_mut().enumerate() {
            for (j, row) in strip.chunks_exact(inputs).enumerate() {
                let x = &row[b * BLOCK..((b + 1) * BLOCK).min(inputs)];
                // As bits, magnitudes are ordered as whole numbers, whose maximum compiles to vector code.
                let most = x.iter().fold(0, |most, v| most.max(v.to_bits() & 0x7fff_ffff));
                block.scales[j] = f16::from_f32(f32::from_bits(most) / 127.0);
                let scale = widen(block.scales[j]);
                let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                let mut rounded = [0i8; BLOCK];
                for (r, x) in rounded.iter_mut().zip(x) {
                    // The lowest byte of such a sum is the whole number; a cast would go value by value.
                    *r = ((x * inverse).round().clamp(-127.0, 127.0) + 12_582_912.0).to_bits() as i8;
                }
                for (values, r) in block.values.iter_mut().zip(rounded) {
                    values[j] = r;
                }
            }
        }
    }
}

/// The rows of panel `p`.
fn strip(p: usize, outputs: usize, inputs: usize, read: &Read) -> Result<Vec<f32>> {
    let first = p * WIDTH;
    let rows = first..(first + WIDTH).min(outputs);
    let mut strip = vec![0f32; rows.len() * inputs];
    read(rows, &mut strip)?;
    Ok(strip)
}

multiversion! {
    fn block_to_lines(block: &Block, lines: &mut [Line]) {
        let mut scales = [0f32; WIDTH];
        for (s, h) in scales.iter_mut().zip(&block.scales) {
            *s = widen(*h);
        }
        for (two, line) in block.values.chunks_exact(2).zip(lines) {
            for j in 0..WIDTH {
                line.0[j] = pair(f32::from(two[0][j]) * scales[j], f32::from(two[1][j]) * scales[j]);
            }
        }
    }
}

multiversion! {
    // out[j] += Σ x[k] · w[k][j] over the inputs of the blocks.
    fn q8_row(blocks: &[Block], x: &[f32], out: &mut [f32; WIDTH]) {
        let mut total = [0f32; WIDTH];
        for (block, x) in blocks.iter().zip(x.chunks(BLOCK)) {
            let mut sum = [0f32; WIDTH];
            for (values, x) in block.values.iter().zip(x) {
                for j in 0..WIDTH {
                    sum[j] += f32::from(values[j]) * x;
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

multiversion! {
    // Lines as f32: [2 · lines, 32].
    fn lines_to_f32(lines: &[Line], out: &mut [f32]) {
        for (line, out) in lines.iter().zip(out.chunks_exact_mut(2 * WIDTH)) {
            for j in 0..WIDTH {
                out[j] = f32::from_bits(line.0[j] << 16);
                out[WIDTH + j] = f32::from_bits(line.0[j] & 0xffff_0000);
            }
        }
    }
}

multiversion! {
    #[allow(clippy::needless_range_loop)] // both places of an index in one line
    // 16 lines are 32 inputs × 32 outputs; the same square with the parts swapped.
    fn turn(from: &[Line], to: &mut [Line]) {
        let mut square = [[0u16; 32]; 32];
        for (i, line) in from.iter().enumerate() {
            for j in 0..32 {
                square[2 * i][j] = line.0[j] as u16;
                square[2 * i + 1][j] = (line.0[j] >> 16) as u16;
            }
        }
        for (t, line) in to.iter_mut().enumerate() {
            for i in 0..32 {
                line.0[i] = u32::from(square[i][2 * t]) | u32::from(square[i][2 * t + 1]) << 16;
            }
        }
    }
}

/// Whether products run in bf16 on this CPU.
fn native() -> bool {
    #[cfg(target_arch = "x86_64")]
    return avx512::available();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The rows of a product, once as bf16 pairs where the CPU takes them.
struct Rows<'a> {
    values: &'a [f32],
    width: usize,
    count: usize,
    pairs: Option<Vec<u32>>,
}

impl<'a> Rows<'a> {
    fn new(values: &'a [f32], width: usize) -> Self {
        let count = values.len() / width.max(1);
        let half = width.div_ceil(2);
        let pairs = native().then(|| {
            let mut pairs = vec![0u32; count * half];
            pairs
                .par_chunks_mut(half * 8)
                .zip(values.par_chunks(width * 8))
                .for_each(|(pairs, x)| to_pairs(x, width, pairs));
            pairs
        });
        Self { values, width, count, pairs }
    }

    /// Output columns `column ..` of one panel: adds the products with `lines`, which stand for inputs from
    /// `2 · first` on.
    fn times(&self, lines: &[Line], first: usize, out: Columns, column: usize, scratch: &mut Vec<f32>) {
        let width = WIDTH.min(out.stride - column);
        #[cfg(target_arch = "x86_64")]
        if let Some(pairs) = &self.pairs {
            let half = self.width.div_ceil(2);
            let mut sums = [[0f32; WIDTH]; TILE];
            for row in (0..self.count).step_by(TILE) {
                let count = TILE.min(self.count - row);
                // SAFETY: the pairs exist only where the instructions do.
                unsafe { avx512::tile(count, lines, &pairs[row * half + first..], half, &mut sums) };
                for (i, sums) in sums[..count].iter().enumerate() {
                    // SAFETY: a panel's columns belong to one task.
                    unsafe { out.put(row + i, column, &sums[..width], first > 0) };
                }
            }
            return;
        }
        scratch.resize(lines.len() * 2 * WIDTH, 0.0);
        lines_to_f32(lines, scratch);
        let inputs = (2 * lines.len()).min(self.width - 2 * first);
        let mut sums = [0f32; TILE * WIDTH];
        for row in (0..self.count).step_by(TILE) {
            let count = TILE.min(self.count - row);
            let x = &self.values[row * self.width + 2 * first..];
            gemm(
                (count, WIDTH, inputs),
                1.0,
                x,
                (self.width, 1),
                scratch,
                (WIDTH, 1),
                0.0,
                &mut sums,
                (WIDTH, 1),
            );
            for (i, sums) in sums.chunks(WIDTH).take(count).enumerate() {
                // SAFETY: as above.
                unsafe { out.put(row + i, column, &sums[..width], first > 0) };
            }
        }
    }
}

impl Panels {
    /// Whether the weights have 8 bits.
    pub fn is_q8(&self) -> bool {
        matches!(self.store, Store::Q8(_))
    }

    fn panels(&self) -> usize {
        self.outputs.div_ceil(WIDTH)
    }

    /// Packs the weight [out, in] that `read` gives in bf16.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn bf16(outputs: usize, inputs: usize, read: &Read) -> Result<Self> {
        let lines = inputs.div_ceil(2);
        let store = filled((outputs.div_ceil(WIDTH), lines), Line([0; WIDTH]), |p, panel| {
            pack_bf16(&strip(p, outputs, inputs, read)?, inputs, panel);
            Ok(())
        })?;
        Ok(Self { inputs, outputs, store: Store::Bf16(store) })
    }

    /// Packs the weight [out, in] that `read` gives in 8 bits: per output and 32 inputs, scale = max |w| / 127
    /// in f16.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn q8(outputs: usize, inputs: usize, read: &Read) -> Result<Self> {
        let blocks = inputs.div_ceil(BLOCK);
        let empty = Block { values: [[0; WIDTH]; BLOCK], scales: [f16::ZERO; WIDTH] };
        let store = filled((outputs.div_ceil(WIDTH), blocks), empty, |p, panel| {
            pack_q8(&strip(p, outputs, inputs, read)?, inputs, panel);
            Ok(())
        })?;
        Ok(Self { inputs, outputs, store: Store::Q8(store) })
    }

    /// Lines `from .. to` of a panel; 8-bit ones are widened into `scratch`.
    fn lines<'a>(
        &'a self,
        panel: usize,
        (from, to): (usize, usize),
        scratch: &'a mut Vec<Line>,
    ) -> &'a [Line] {
        match &self.store {
            Store::Bf16(lines) => {
                let all = self.inputs.div_ceil(2);
                &lines[panel * all + from..panel * all + to]
            }
            Store::Q8(blocks) => {
                const HALF: usize = BLOCK / 2;
                let all = self.inputs.div_ceil(BLOCK);
                let blocks = &blocks[panel * all + from / HALF..panel * all + to.div_ceil(HALF)];
                scratch.resize(blocks.len() * HALF, Line([0; WIDTH]));
                for (block, lines) in blocks.iter().zip(scratch.chunks_mut(HALF)) {
                    block_to_lines(block, lines);
                }
                &scratch[..to - from]
            }
        }
    }

    /// y [rows, out] = x [rows, in] · Wᵀ.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        let rows = x.len() / self.inputs.max(1);
        assert_eq!(y.len(), rows * self.outputs, "the output has other rows than the input");
        let out = Columns::new(y, self.outputs);
        // Few rows wait for memory: about a task a core. Many rows: small tasks balance the cores.
        let least = if rows > 2 { 1 } else { self.panels().div_ceil(2 * rayon::current_num_threads()) };
        if let (Store::Q8(blocks), 1 | 2) = (&self.store, rows) {
            let all = self.inputs.div_ceil(BLOCK);
            (0..self.panels()).into_par_iter().with_min_len(least).for_each(|p| {
                let blocks = &blocks[p * all..(p + 1) * all];
                for (row, x) in x.chunks(self.inputs).enumerate() {
                    let mut sums = [0f32; WIDTH];
                    q8_row(blocks, x, &mut sums);
                    let width = WIDTH.min(self.outputs - p * WIDTH);
                    // SAFETY: a panel's columns belong to one task.
                    unsafe { out.put(row, p * WIDTH, &sums[..width], false) };
                }
            });
            return;
        }
        let rows = Rows::new(x, self.inputs);
        let all = self.inputs.div_ceil(2);
        (0..self.panels()).into_par_iter().with_min_len(least).for_each_init(
            || (Vec::new(), Vec::new()),
            |(lines, scratch), p| {
                for from in (0..all).step_by(LINES) {
                    let lines = self.lines(p, (from, (from + LINES).min(all)), lines);
                    rows.times(lines, from, out, p * WIDTH, scratch);
                }
            },
        );
    }

    /// dx [rows, in] = dy [rows, out] · W.
    pub fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        assert_eq!(dx.len() * self.outputs, dy.len() * self.inputs, "gradients of different rows");
        let out = Columns::new(dx, self.inputs);
        let rows = Rows::new(dy, self.outputs);
        let all = self.inputs.div_ceil(2);
        const HALF: usize = WIDTH / 2;
        // 32 inputs are the panel's columns now; outputs are summed over, 32 from each stored panel.
        let panels: Vec<usize> = (0..self.panels()).collect();
        (0..self.inputs.div_ceil(WIDTH)).into_par_iter().for_each_init(
            || (Vec::new(), vec![Line([0; WIDTH]); LINES], Vec::new()),
            |(lines, turned, scratch), q| {
                for (group, panels) in panels.chunks(LINES / HALF).enumerate() {
                    let first = group * LINES;
                    for (&p, turned) in panels.iter().zip(turned.chunks_mut(HALF)) {
                        let (from, to) = (q * HALF, ((q + 1) * HALF).min(all));
                        turn(self.lines(p, (from, to), lines), turned);
                    }
                    let count = (panels.len() * HALF).min(self.outputs.div_ceil(2) - first);
                    rows.times(&turned[..count], first, out, q * WIDTH, scratch);
                }
            },
        );
    }

    /// The weights [out, in] in f32, as they are stored.
    pub fn unpack(&self) -> Vec<f32> {
        let mut all = Vec::with_capacity(self.outputs * self.inputs);
        (0..self.outputs).for_each(|output| self.row(output, &mut all));
        all
    }

    /// Appends the weights of one output [in] in f32, as they are stored.
    pub fn row(&self, output: usize, out: &mut Vec<f32>) {
        let (panel, j) = (output / WIDTH, output % WIDTH);
        match &self.store {
            Store::Bf16(lines) => {
                let all = self.inputs.div_ceil(2);
                out.extend(
                    lines[panel * all..(panel + 1) * all]
                        .iter()
                        .flat_map(|l| [f32::from_bits(l.0[j] << 16), f32::from_bits(l.0[j] & 0xffff_0000)]),
                );
                out.truncate(out.len() - self.inputs % 2);
            }
            Store::Q8(blocks) => {
                let all = self.inputs.div_ceil(BLOCK);
                let end = out.len() + self.inputs;
                for block in &blocks[panel * all..(panel + 1) * all] {
                    let scale = widen(block.scales[j]);
                    out.extend(block.values.iter().map(|v| f32::from(v[j]) * scale));
                }
                out.truncate(end);
            }
        }
    }
}

#[cfg(test)]
mod tests;

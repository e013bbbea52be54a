//! Frozen weights packed for products with few or many rows: f32, bf16, or 8 bits in blocks of 32.
//!
//! A weight [out, in] is cut into panels of 32 outputs. A panel of f32 has one [`KSlice`] per input, one of bf16
//! a slice for two neighbouring inputs: what one AVX-512 BF16 instruction takes. A panel of 8 bits has [`Q8Block`]s
//! of 32 inputs: the outputs' values, four inputs a word, and one scale an output (the arithmetic of GGUF's Q8_0,
//! whose values it keeps exactly).
//!
//! Products of f32 panels run in f32, those of bf16 in bf16 with f32 sums. Rows that are multiplied with 8-bit
//! weights are rounded to 8 bits too, 16 where that matters ([`Q8Chunk`](layout::Q8Chunk)), and the products are whole
//! numbers: twice as fast again where the CPU has AVX-512 VNNI. Elsewhere, in training, and for many rows where
//! the CPU has [AMX](amx), 8-bit panels are dequantised to bf16 one by one, and bf16 to f32 where the CPU lacks that
//! instruction. There, products with one or two rows, which only wait for memory, take f32 inputs times f32 or
//! 8-bit weights as they are.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod columns;
mod layout;
mod q8;
pub(super) mod row_block;
mod rows;

use self::columns::{Split, compute};
use self::layout::{BLOCK, Element, KSlice, Q8Block, SLICES, TILE_ROWS, WIDTH, pair};
use self::q8::{Q8Rows, pack_q8, q8_row};
use self::row_block::ReadRows;
use self::rows::{Rows, Scratch, prefers_bf16};
use super::precision::Precision;
use super::simd::multiversion;
use super::tensor::filled;
use crate::Result;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{self, Level};

#[derive(Debug)]
enum Store {
    /// [panel][in].
    F32(Vec<KSlice>),
    /// [panel][in / 2].
    Bf16(Vec<KSlice>),
    /// [panel][in / 32].
    Q8(Vec<Q8Block>),
}

/// A packed weight [out, in].
#[derive(Debug)]
pub(crate) struct PackedWeight {
    pub inputs: usize,
    pub outputs: usize,
    /// Whether rows that are multiplied with 8-bit weights may be rounded to 8 bits.
    pub rounds_inputs: bool,
    store: Store,
}

multiversion! {
    // A block of rows as the slices of a panel.
    fn pack_bf16(rows: &[f32], inputs: usize, panel: &mut [KSlice]) {
        for (j, row) in rows.chunks_exact(inputs).enumerate() {
            for (slice, two) in panel.iter_mut().zip(row.chunks(2)) {
                slice.0[j] = pair(two[0], two.get(1).copied().unwrap_or(0.0));
            }
        }
    }
}

multiversion! {
    // A block of rows as the slices of a panel of f32.
    fn pack_f32(rows: &[f32], inputs: usize, panel: &mut [KSlice]) {
        for (j, row) in rows.chunks_exact(inputs).enumerate() {
            for (slice, x) in panel.iter_mut().zip(row) {
                slice.0[j] = x.to_bits();
            }
        }
    }
}

/// Products with up to so many rows only wait for memory, and take another way, in which sums round otherwise.
pub(crate) const FEW_ROWS: usize = 2;

/// The rows of panel `p`.
fn row_block(p: usize, outputs: usize, inputs: usize, read: &ReadRows) -> Result<Vec<f32>> {
    let first = p * WIDTH;
    let rows = first..(first + WIDTH).min(outputs);
    let mut values = vec![0f32; rows.len() * inputs];
    read(rows, &mut values)?;
    Ok(values)
}

multiversion! {
    // out[j] += Σ x[k] · w[k][j].
    fn f32_row(slices: &[KSlice], x: &[f32], out: &mut [f32; WIDTH]) {
        let mut sum = [0f32; WIDTH];
        for (slice, x) in slices.iter().zip(x) {
            for (sum, bits) in sum.iter_mut().zip(slice.0) {
                *sum += f32::from_bits(bits) * x;
            }
        }
        for (out, sum) in out.iter_mut().zip(sum) {
            *out += sum;
        }
    }
}

/// 32 slices of f32 are 32 inputs × 32 outputs; transposed.
fn transpose_f32(from: &[KSlice], to: &mut [KSlice]) {
    #[cfg(target_arch = "x86_64")]
    if let (Some(from), Some(to), true) =
        (from.first_chunk::<WIDTH>(), to.first_chunk_mut::<WIDTH>(), cpu::uses(Level::Avx512))
    {
        // SAFETY: the CPU has the instructions.
        return unsafe { avx512::transpose(from, to) };
    }
    for (i, slice) in from.iter().enumerate() {
        for (to, bits) in to.iter_mut().zip(slice.0) {
            to.0[i] = bits;
        }
    }
}

multiversion! {
    #[allow(clippy::needless_range_loop)] // both places of an index in one line
    // 16 slices of bf16 are 32 inputs × 32 outputs; transposed.
    fn transpose_bf16(from: &[KSlice], to: &mut [KSlice]) {
        let mut square = [[0u16; 32]; 32];
        for (i, slice) in from.iter().enumerate() {
            for j in 0..32 {
                square[2 * i][j] = slice.0[j] as u16;
                square[2 * i + 1][j] = (slice.0[j] >> 16) as u16;
            }
        }
        for (t, slice) in to.iter_mut().enumerate() {
            for i in 0..32 {
                slice.0[i] = u32::from(square[i][2 * t]) | u32::from(square[i][2 * t + 1]) << 16;
            }
        }
    }
}

impl PackedWeight {
    /// How the weights are stored.
    pub fn precision(&self) -> Precision {
        match &self.store {
            Store::F32(_) => Precision::F32,
            Store::Bf16(_) => Precision::Bf16,
            Store::Q8(_) => Precision::Q8,
        }
    }

    /// What the slices contain that products work on.
    fn element(&self) -> Element {
        match &self.store {
            Store::F32(_) => Element::F32,
            Store::Bf16(_) | Store::Q8(_) => Element::Bf16,
        }
    }

    fn panels(&self) -> usize {
        self.outputs.div_ceil(WIDTH)
    }

    /// Packs the weight [out, in] that `read` gives.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn new(precision: Precision, (outputs, inputs): (usize, usize), read: &ReadRows) -> Result<Self> {
        let slices = |element: Element, pack: fn(&[f32], usize, &mut [KSlice])| {
            let slices = inputs.div_ceil(element.inputs());
            filled(outputs.div_ceil(WIDTH) * slices, slices, KSlice::ZERO, |p, panel| {
                pack(&row_block(p, outputs, inputs, read)?, inputs, panel);
                Ok(())
            })
        };
        let store = match precision {
            Precision::F32 => Store::F32(slices(Element::F32, pack_f32)?),
            Precision::Bf16 => Store::Bf16(slices(Element::Bf16, pack_bf16)?),
            Precision::Q8 => {
                let blocks = inputs.div_ceil(BLOCK);
                Store::Q8(filled(outputs.div_ceil(WIDTH) * blocks, blocks, Q8Block::ZERO, |p, panel| {
                    pack_q8(&row_block(p, outputs, inputs, read)?, inputs, panel);
                    Ok(())
                })?)
            }
        };
        Ok(Self { inputs, outputs, rounds_inputs: true, store })
    }

    /// Lines `from .. to` of a panel; 8-bit ones are dequantised into `scratch`.
    fn slices<'a>(
        &'a self,
        panel: usize,
        (from, to): (usize, usize),
        scratch: &'a mut Vec<KSlice>,
    ) -> &'a [KSlice] {
        match &self.store {
            Store::F32(slices) | Store::Bf16(slices) => {
                let all = self.inputs.div_ceil(self.element().inputs());
                &slices[panel * all + from..panel * all + to]
            }
            Store::Q8(blocks) => {
                const HALF: usize = BLOCK / 2;
                let all = self.inputs.div_ceil(BLOCK);
                let blocks = &blocks[panel * all + from / HALF..panel * all + to.div_ceil(HALF)];
                scratch.resize(blocks.len() * HALF, KSlice::ZERO);
                for (block, slices) in blocks.iter().zip(scratch.as_chunks_mut::<HALF>().0) {
                    q8::widen_block(block, slices);
                }
                &scratch[..to - from]
            }
        }
    }

    /// The blocks of a panel; none unless the weight is stored in 8 bits.
    fn blocks(&self, panel: usize) -> &[Q8Block] {
        let Store::Q8(blocks) = &self.store else { return &[] };
        let all = self.inputs.div_ceil(BLOCK);
        &blocks[panel * all..(panel + 1) * all]
    }

    /// Adds to `sums` the products of one row [in] with a panel, in f32; false where that has no kernel.
    fn row_times(&self, panel: usize, x: &[f32], sums: &mut [f32; WIDTH]) -> bool {
        match &self.store {
            Store::F32(slices) => f32_row(&slices[panel * self.inputs..(panel + 1) * self.inputs], x, sums),
            Store::Q8(_) => q8_row(self.blocks(panel), x, sums),
            Store::Bf16(_) => return false,
        }
        true
    }

    /// y [rows, out] = x [rows, in] · Wᵀ for each of `weights`, which take the same inputs and are stored in the same
    /// precision. Together, because threads wait for each other after every product.
    pub fn forward<const N: usize>(weights: [&PackedWeight; N], x: &[f32], rows: usize) -> [Vec<f32>; N] {
        const FEW: usize = FEW_ROWS;
        let widths = weights.map(|w| w.outputs);
        let Some(first) = weights.first() else { return widths.map(|_| Vec::new()) };
        let (inputs, precision, element) = (first.inputs, first.precision(), first.element());
        assert!(weights.iter().all(|w| w.inputs == inputs && w.precision() == precision), "weights differ");
        assert_eq!(x.len(), rows * inputs, "the input has other columns than the weight");
        if precision == Precision::Q8
            && weights.iter().all(|w| w.rounds_inputs)
            && !prefers_bf16(rows)
            && let Some(q8_rows) = Q8Rows::new(x, inputs)
        {
            return compute(
                rows,
                widths,
                Q8Rows::SPLIT,
                || (),
                |(), out| {
                    q8_rows.times(weights[out.matrix()].blocks(out.panel()), out);
                },
            );
        }
        if rows <= FEW && precision != Precision::Bf16 {
            let split = Split { tile: TILE_ROWS, few: FEW };
            return compute(
                rows,
                widths,
                split,
                || (),
                |(), out| {
                    let weight = weights[out.matrix()];
                    for (row, x) in x.chunks(inputs.max(1)).enumerate() {
                        let mut sums = [0f32; WIDTH];
                        weight.row_times(out.panel(), x, &mut sums);
                        out.put(row, &sums);
                    }
                },
            );
        }
        let x = Rows::new(x, inputs, element);
        let all = inputs.div_ceil(element.inputs());
        let scratch = || (Vec::new(), Scratch::default());
        compute(rows, widths, x.split(FEW), scratch, |(slices, scratch), out| {
            let (weight, panel) = (weights[out.matrix()], out.panel());
            for from in (0..all).step_by(SLICES) {
                let slices = weight.slices(panel, (from, (from + SLICES).min(all)), slices);
                x.times(slices, from, out, scratch);
            }
        })
    }

    /// dx [rows, in] = dy [rows, out] · W.
    pub fn backward(&self, dy: &[f32], rows: usize) -> Vec<f32> {
        assert_eq!(dy.len(), rows * self.outputs, "the gradient has other columns than the weight");
        let (element, per) = (self.element(), self.element().inputs());
        let dy = Rows::new(dy, self.outputs, element);
        let all = self.inputs.div_ceil(per);
        // Slices of a square of 32 inputs × 32 outputs.
        let square = WIDTH / per;
        // 32 inputs are the panel's columns now; outputs are summed over, 32 from each stored panel.
        let panels: Vec<usize> = (0..self.panels()).collect();
        let scratch = || (Vec::new(), vec![KSlice::ZERO; SLICES], Scratch::default());
        let [dx] =
            compute(rows, [self.inputs], dy.split(0), scratch, |(slices, transposed, scratch), out| {
                for (group, panels) in panels.chunks(SLICES / square).enumerate() {
                    let first = group * SLICES;
                    for (&p, transposed) in panels.iter().zip(transposed.chunks_mut(square)) {
                        let (from, to) = (out.panel() * square, ((out.panel() + 1) * square).min(all));
                        let slices = self.slices(p, (from, to), slices);
                        match element {
                            Element::F32 => transpose_f32(slices, transposed),
                            Element::Bf16 => transpose_bf16(slices, transposed),
                        }
                    }
                    let count = (panels.len() * square).min(self.outputs.div_ceil(per) - first);
                    dy.times(&transposed[..count], first, out, scratch);
                }
            });
        dx
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
            Store::F32(slices) => {
                let slices = &slices[panel * self.inputs..(panel + 1) * self.inputs];
                out.extend(slices.iter().map(|slice| f32::from_bits(slice.0[j])));
            }
            Store::Bf16(slices) => {
                let all = self.inputs.div_ceil(2);
                out.extend(
                    slices[panel * all..(panel + 1) * all]
                        .iter()
                        .flat_map(|l| [f32::from_bits(l.0[j] << 16), f32::from_bits(l.0[j] & 0xffff_0000)]),
                );
                out.truncate(out.len() - self.inputs % 2);
            }
            Store::Q8(_) => {
                let end = out.len() + self.inputs;
                for block in self.blocks(panel) {
                    out.extend(block.weights(j));
                }
                out.truncate(end);
            }
        }
    }
}

#[cfg(test)]
mod tests;

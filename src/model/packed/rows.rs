//! The rows of a product, and their products with the slices of one panel.

use std::borrow::Cow;

use rayon::prelude::*;

use super::columns::{PanelMut, Split};
use super::layout::{Element, KSlice, TILE_ROWS as TILE, WIDTH, pair};
#[cfg(target_arch = "x86_64")]
use super::{amx, avx512};
use crate::cpu::{self, Level};
use crate::matrix::{MatMut, MatRef, multiply};
use crate::model::simd::multiversion;

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
    // Lines of bf16 as f32: [2 · slices, 32].
    fn widen_slices(slices: &[KSlice], out: &mut [f32]) {
        for (slice, out) in slices.iter().zip(out.chunks_exact_mut(2 * WIDTH)) {
            for j in 0..WIDTH {
                out[j] = f32::from_bits(slice.0[j] << 16);
                out[WIDTH + j] = f32::from_bits(slice.0[j] & 0xffff_0000);
            }
        }
    }
}

/// Whether there is a kernel for slices of this element.
fn native(element: Element) -> bool {
    match element {
        Element::F32 => cpu::uses(Level::Avx512),
        Element::Bf16 => cpu::bf16(),
    }
}

/// The bits of f32 values.
fn bits(values: &[f32]) -> &[u32] {
    // SAFETY: f32 and u32 have the same size and alignment, and any bits are a u32.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// Whether so many rows are multiplied faster in bf16 than in 8 bits: with tiles, once dequantising the weights pays.
pub(super) fn prefers_bf16(rows: usize) -> bool {
    rows >= 96 && cpu::uses(Level::Amx)
}

/// Rows as a kernel takes them.
pub(super) enum Operands<'a> {
    /// There is no kernel for them.
    None,
    /// [rows, ⌈width / inputs of a slice⌉].
    Words(Cow<'a, [u32]>),
    #[cfg(target_arch = "x86_64")]
    Tiles(amx::Tiles),
}

impl<'a> Operands<'a> {
    /// Of `values` [rows, width], the fastest there are.
    fn new(values: &'a [f32], width: usize, element: Element) -> Self {
        #[cfg(target_arch = "x86_64")]
        if element == Element::Bf16
            && let Some(tiles) = amx::Tiles::new(values, width)
        {
            return Self::Tiles(tiles);
        }
        Self::words(values, width, element)
    }

    /// As words, where the CPU has a kernel for them.
    pub fn words(values: &'a [f32], width: usize, element: Element) -> Self {
        if !native(element) {
            return Self::None;
        }
        Self::Words(match element {
            Element::F32 => Cow::Borrowed(bits(values)),
            Element::Bf16 => {
                let half = width.div_ceil(2);
                let mut pairs = vec![0u32; values.len() / width.max(1) * half];
                pairs
                    .par_chunks_mut(half * 8)
                    .zip(values.par_chunks(width * 8))
                    .for_each(|(pairs, x)| to_pairs(x, width, pairs));
                Cow::Owned(pairs)
            }
        })
    }
}

/// What a task keeps from one product to the next.
#[derive(Default)]
pub(super) struct Scratch {
    values: Vec<f32>,
    #[cfg(target_arch = "x86_64")]
    slices: Vec<KSlice>,
}

/// The rows of a product.
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    pub width: usize,
    pub element: Element,
    pub operands: Operands<'a>,
}

impl<'a> Rows<'a> {
    /// Of `values` [rows, width].
    pub fn new(values: &'a [f32], width: usize, element: Element) -> Self {
        let operands = Operands::new(values, width, element);
        Self { values, width, element, operands }
    }

    /// How products of these rows are split.
    pub fn split(&self, few: usize) -> Split {
        let tile = match &self.operands {
            #[cfg(target_arch = "x86_64")]
            Operands::Tiles(_) => amx::ROWS,
            _ => TILE,
        };
        Split { tile, few }
    }

    /// Adds to the rows of `out` the products with `slices`, the first of which is slice `first` of its panel. A
    /// panel is gone through from its first slice on.
    pub fn times(&self, slices: &[KSlice], first: usize, out: &mut PanelMut, scratch: &mut Scratch) {
        match &self.operands {
            #[cfg(target_arch = "x86_64")]
            Operands::Tiles(tiles) => tiles.times(slices, first, out, &mut scratch.slices),
            #[cfg(target_arch = "x86_64")]
            Operands::Words(operands) => {
                let (element, stride) = (self.element, self.width.div_ceil(self.element.inputs()));
                for row in out.rows().step_by(TILE) {
                    let count = TILE.min(out.rows().end - row);
                    let operands = &operands[row * stride + first..];
                    // SAFETY: there are operands only where there is a kernel; it writes the tile.
                    unsafe {
                        out.tile(row, count, |out| {
                            avx512::tile(element, count, slices, operands, stride, out);
                        });
                    }
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            Operands::Words(_) => self.times_widened(slices, first, out, &mut scratch.values),
            Operands::None => self.times_widened(slices, first, out, &mut scratch.values),
        }
    }

    /// As [`Self::times`] without a kernel: in f32, by gemm.
    fn times_widened(&self, slices: &[KSlice], first: usize, out: &mut PanelMut, scratch: &mut Vec<f32>) {
        let per = self.element.inputs();
        let inputs = (per * slices.len()).min(self.width - per * first);
        let (count, size) = (out.rows().len(), per * slices.len() * WIDTH);
        scratch.resize(size + count * WIDTH, 0.0);
        let (wide, sums) = scratch.split_at_mut(size);
        match self.element {
            Element::F32 => wide.chunks_exact_mut(WIDTH).zip(slices).for_each(|(wide, slice)| {
                wide.iter_mut().zip(slice.0).for_each(|(wide, bits)| *wide = f32::from_bits(bits));
            }),
            Element::Bf16 => widen_slices(slices, wide),
        }
        let x = &self.values[out.rows().start * self.width + per * first..];
        let (x, wide) =
            (MatRef::rows(x, (count, inputs), self.width), MatRef::rows(wide, (inputs, WIDTH), WIDTH));
        multiply(1.0, x, wide, 0.0, MatMut::rows(sums, (count, WIDTH), WIDTH));
        for (row, sums) in out.rows().zip(sums.as_chunks().0) {
            out.put(row, sums);
        }
    }
}

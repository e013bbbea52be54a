//! The rows of a product, and their products with the slices of one panel.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::columns::Columns;
use super::layout::{Element, KSlice, TILE_ROWS as TILE, WIDTH, pair};
use super::multiplies_tiles;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx512};
use crate::model::simd::multiversion;
use crate::model::tensor::gemm;

/// Least rows of a task: fewer would not pay for widening or transposing a panel again.
const PART: usize = 8 * TILE;

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

/// Whether this CPU has a kernel for slices of this element.
fn native(element: Element) -> bool {
    #[cfg(target_arch = "x86_64")]
    return avx512::available(element);
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The bits of f32 values.
fn bits(values: &[f32]) -> &[u32] {
    // SAFETY: f32 and u32 have the same size and alignment, and any bits are a u32.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// What is to be done for `panels` of a product of `count` rows: each with all rows, or with parts of them, whole
/// tiles, where there are more cores than panels to keep them busy.
pub(super) fn tasks(
    count: usize,
    tile: usize,
    panels: usize,
) -> impl IndexedParallelIterator<Item = (usize, Range<usize>)> {
    let wanted = (4 * rayon::current_num_threads()).div_ceil(panels.max(1));
    let parts = wanted.min(count / PART).max(1);
    let size = count.div_ceil(parts).next_multiple_of(tile);
    let parts = count.div_ceil(size.max(1)).max(1);
    (0..panels * parts).into_par_iter().map(move |task| {
        let first = task % parts * size;
        (task / parts, first..(first + size).min(count))
    })
}

/// Whether so many rows are multiplied faster in bf16 than in 8 bits: with tiles, once widening the weights pays.
pub(super) fn prefers_bf16(rows: usize) -> bool {
    rows >= 96 && multiplies_tiles()
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
    pub count: usize,
    pub element: Element,
    pub operands: Operands<'a>,
}

impl<'a> Rows<'a> {
    /// Of `values` [rows, width].
    pub fn new(values: &'a [f32], width: usize, element: Element) -> Self {
        let count = values.len() / width.max(1);
        let operands = Operands::new(values, width, element);
        Self { values, width, count, element, operands }
    }

    /// What is to be done for `panels`.
    pub fn tasks(&self, panels: usize) -> impl IndexedParallelIterator<Item = (usize, Range<usize>)> + use<> {
        let tile = match &self.operands {
            #[cfg(target_arch = "x86_64")]
            Operands::Tiles(_) => amx::ROWS,
            _ => TILE,
        };
        tasks(self.count, tile, panels)
    }

    /// Columns `column ..` of `out` for some rows: adds the products with `slices`, the first of which is slice
    /// `first` of its panel.
    pub fn times(
        &self,
        rows: Range<usize>,
        slices: &[KSlice],
        first: usize,
        out: Columns,
        column: usize,
        scratch: &mut Scratch,
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Operands::Tiles(tiles) = &self.operands {
            return tiles.times(rows, slices, first, (out, column), &mut scratch.slices);
        }
        #[cfg(target_arch = "x86_64")]
        if let Operands::Words(operands) = &self.operands {
            let stride = self.width.div_ceil(self.element.inputs());
            for row in rows.clone().step_by(TILE) {
                let count = TILE.min(rows.end - row);
                let operands = &operands[row * stride + first..];
                // SAFETY: the operands exist only where the instructions do; these rows of a panel's columns belong
                // to one task.
                unsafe {
                    out.tile::<WIDTH>((row, count), column, first > 0, |out| {
                        avx512::tile(self.element, count, slices, operands, stride, out);
                    });
                }
            }
            return;
        }
        let (per, width) = (self.element.inputs(), WIDTH.min(out.stride - column));
        let inputs = (per * slices.len()).min(self.width - per * first);
        let (count, size) = (rows.len(), per * slices.len() * WIDTH);
        scratch.values.resize(size + count * WIDTH, 0.0);
        let (wide, sums) = scratch.values.split_at_mut(size);
        match self.element {
            Element::F32 => wide.chunks_exact_mut(WIDTH).zip(slices).for_each(|(wide, slice)| {
                wide.iter_mut().zip(slice.0).for_each(|(wide, bits)| *wide = f32::from_bits(bits));
            }),
            Element::Bf16 => widen_slices(slices, wide),
        }
        let x = &self.values[rows.start * self.width + per * first..];
        gemm((count, WIDTH, inputs), 1.0, x, (self.width, 1), wide, (WIDTH, 1), 0.0, sums, (WIDTH, 1));
        for (row, sums) in rows.zip(sums.chunks(WIDTH)) {
            // SAFETY: as above.
            unsafe { out.put(row, column, &sums[..width], first > 0) };
        }
    }
}

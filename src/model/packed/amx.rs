//! Products of rows with slices of bf16 in AMX, tile by tile.
//!
//! A tile is 16 rows of 64 bytes. One instruction adds to 16 × 16 sums in f32 the products of 16 rows and 16
//! columns of 32 bf16 values: what 256 instructions of AVX-512 do, in the time of 16. Then memory is what it waits
//! for, so that a task keeps the slices in the second cache and goes over the rows.

use std::arch::asm;
use std::arch::x86_64::*;

use rayon::prelude::*;

use super::avx512;
use super::columns::PanelMut;
use super::layout::{KSlice, Out, WIDTH};
use crate::cpu::{self, Level};

/// Rows of a tile, its columns of sums, and the slices that it adds up.
const SIDE: usize = 16;
/// Inputs of a step: what a tile adds up.
const STEP: usize = 2 * SIDE;
/// Rows that are worked on together.
pub const ROWS: usize = 2 * SIDE;
/// Fewer rows only wait for memory, where AVX-512 is as fast.
const LEAST: usize = 8;

/// A tile of bf16 pairs.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Tile([[u32; SIDE]; SIDE]);

/// The shapes of the eight tiles: four of sums, two of operands, two of slices.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

impl Config {
    /// For so many rows in the upper and in the lower half.
    fn new([upper, lower]: [usize; 2]) -> Self {
        let (mut bytes, mut rows) = ([0; 16], [0; 16]);
        bytes[..8].fill(64);
        for (tile, count) in [upper, upper, lower, lower, upper, lower, SIDE, SIDE].into_iter().enumerate() {
            rows[tile] = count as u8;
        }
        Self { palette: 1, start: 0, reserved: [0; 14], bytes, rows }
    }
}

/// The sums of two halves of rows with slices.
///
/// # Safety
/// Operands and slices have `steps` steps, more than none; the outs have room for 32 columns of the rows that the
/// tiles are [set up](set_up) for.
unsafe fn kernel(steps: usize, operands: [*const Tile; 2], slices: *const KSlice, outs: [Out; 2]) {
    // SAFETY: as the caller promises; no register but those named is touched.
    unsafe {
        asm!(
            "test {add}, {add}",
            "jz 3f",
            "tileloadd tmm0, [{out0} + {stride0}]",
            "tileloadd tmm1, [{out0} + {stride0} + 64]",
            "tileloadd tmm2, [{out1} + {stride1}]",
            "tileloadd tmm3, [{out1} + {stride1} + 64]",
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {narrow}]",
            "tileloadd tmm6, [{slices} + {wide}]",
            "tileloadd tmm5, [{lower} + {narrow}]",
            "tileloadd tmm7, [{slices} + {wide} + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {upper}, 1024",
            "add {lower}, 1024",
            "add {slices}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{out0} + {stride0}], tmm0",
            "tilestored [{out0} + {stride0} + 64], tmm1",
            "tilestored [{out1} + {stride1}], tmm2",
            "tilestored [{out1} + {stride1} + 64], tmm3",
            steps = inout(reg) steps => _,
            upper = inout(reg) operands[0] => _,
            lower = inout(reg) operands[1] => _,
            slices = inout(reg) slices => _,
            add = in(reg) usize::from(outs[0].add),
            out0 = in(reg) outs[0].start,
            out1 = in(reg) outs[1].start,
            stride0 = in(reg) 4 * outs[0].stride,
            stride1 = in(reg) 4 * outs[1].stride,
            narrow = in(reg) size_of::<[u32; SIDE]>(),
            wide = in(reg) size_of::<KSlice>(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Sets the tiles up for the sums of 1 to 32 rows; takes as long as several steps.
///
/// # Safety
/// [`cpu::uses`] AMX.
unsafe fn set_up(count: usize) {
    // A lower half without rows has to be something.
    let config = Config::new([count.min(SIDE), count.saturating_sub(SIDE).max(1)]);
    // SAFETY: the tiles are what the kernels take.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &config, options(nostack, readonly)) };
}

/// Leaves the tiles empty: the system need not keep them when threads take turns.
///
/// # Safety
/// [`cpu::uses`] AMX.
unsafe fn release() {
    // SAFETY: nothing but the tiles is touched.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// The sums of 1 to 32 rows: `operands` are the steps of the first 16 and of the rest, `slices` 16 a step.
///
/// # Safety
/// The tiles are [set up](set_up) for so many rows; `out` has 32 columns of as many.
unsafe fn tile(count: usize, slices: &[KSlice], operands: [&[Tile]; 2], out: Out) {
    let steps = slices.len() / SIDE;
    let enough = slices.len().is_multiple_of(SIDE) && operands.iter().all(|tiles| tiles.len() >= steps);
    assert!(steps > 0 && enough && count <= ROWS, "a tile reads past its rows or slices");
    let mut spare = [0f32; WIDTH];
    // Nobody looks at the row of a lower half without rows.
    let lower = match count > SIDE {
        true => Out { start: out.start.wrapping_add(SIDE * out.stride), ..out },
        false => Out { start: spare.as_mut_ptr(), stride: WIDTH, ..out },
    };
    // SAFETY: the reach was checked, and the caller promises the rest.
    unsafe { kernel(steps, operands.map(<[Tile]>::as_ptr), slices.as_ptr(), [out, lower]) }
}

/// Up to 16 rows [.., width] as the tiles of their steps.
#[target_feature(enable = "avx512f,avx512bf16")]
fn to_tiles(x: &[f32], width: usize, tiles: &mut [Tile]) {
    for (row, x) in x.chunks_exact(width).enumerate() {
        for (x, tile) in x.chunks(STEP).zip(tiles.iter_mut()) {
            let pairs = avx512::to_bf16(avx512::halves(x));
            // SAFETY: a row of a tile is 64 bytes, aligned to as many.
            unsafe { _mm512_store_si512(tile.0[row].as_mut_ptr().cast(), pairs) };
        }
    }
}

/// Rows as tiles.
pub struct Tiles {
    /// By 16 rows and step.
    tiles: Vec<Tile>,
    /// Steps of a row.
    steps: usize,
}

impl Tiles {
    /// Of `values` [rows, width]; none where products of so many rows do not take them.
    pub fn new(values: &[f32], width: usize) -> Option<Self> {
        let count = values.len() / width.max(1);
        if count < LEAST || !cpu::uses(Level::Amx) {
            return None;
        }
        let steps = width.div_ceil(STEP);
        let mut tiles = vec![Tile([[0; SIDE]; SIDE]); count.div_ceil(SIDE) * steps];
        tiles.par_chunks_mut(steps).zip(values.par_chunks(SIDE * width)).for_each(|(tiles, x)| {
            // SAFETY: the CPU has the instructions.
            unsafe { to_tiles(x, width, tiles) }
        });
        Some(Self { tiles, steps })
    }

    /// As [`Rows::times`](super::rows::Rows::times), for rows from a multiple of [`ROWS`] and slices from a multiple
    /// of 16 on.
    pub fn times(&self, slices: &[KSlice], first: usize, out: &mut PanelMut, scratch: &mut Vec<KSlice>) {
        let whole = first.is_multiple_of(SIDE) && out.rows().start.is_multiple_of(ROWS);
        assert!(whole, "a product begins within a tile");
        let slices = match slices.len() % SIDE {
            0 => slices,
            _ => {
                scratch.clear();
                scratch.extend(slices);
                scratch.resize(slices.len().next_multiple_of(SIDE), KSlice::ZERO);
                scratch
            }
        };
        let (step, mut set_up_for) = (first / SIDE, 0);
        for row in out.rows().step_by(ROWS) {
            let count = ROWS.min(out.rows().end - row);
            let half = |half: usize| &self.tiles[half * self.steps..][step..self.steps];
            let upper = row / SIDE;
            let operands = [half(upper), half(if count > SIDE { upper + 1 } else { upper })];
            // SAFETY: there are tiles only where the instructions are; the kernel writes the tile.
            unsafe {
                if count != set_up_for {
                    set_up(count);
                    set_up_for = count;
                }
                out.tile(row, count, |out| tile(count, slices, operands, out));
            }
        }
        // SAFETY: as above.
        unsafe { release() };
    }
}

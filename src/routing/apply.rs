//! Adding the chosen experts' LoRA to what a layer computed.

use candle_core::Tensor;
use rayon::prelude::*;

use super::device;
use super::experts::StackedModule;
use super::lora::{Factors, Lora};
use super::mix::Mix;
use crate::Result;
use crate::model::Delta;
use crate::model::dot_rows::dot_rows;
use crate::model::simd::{add_rows, axpy};
use crate::threads::rows_per_task;

/// What a module reads: rows of numbers, or tokens as one-hot vectors.
pub(crate) trait Input {
    /// Makes an expert's A ready, in `scratch` where it has to be.
    fn prepare<'s>(&self, a: Factors<'s>, scratch: &'s mut Vec<f32>) -> &'s [f32];

    /// A x for the input of `row`; `ready` is what was prepared.
    fn project(&self, a: Factors, ready: &[f32], row: usize, z: &mut [f32]);

    /// Number of rows.
    fn rows(&self) -> usize;
}

/// x [rows, in].
pub(super) struct Rows<'a> {
    pub x: &'a [f32],
    pub width: usize,
}

impl Input for Rows<'_> {
    fn prepare<'s>(&self, a: Factors<'s>, scratch: &'s mut Vec<f32>) -> &'s [f32] {
        a.wide(scratch)
    }

    fn project(&self, _a: Factors, ready: &[f32], row: usize, z: &mut [f32]) {
        let width = self.width;
        dot_rows(&self.x[row * width..(row + 1) * width], ready, width, z);
    }

    fn rows(&self) -> usize {
        self.x.len() / self.width
    }
}

/// Tokens of an embedding of `vocab` rows.
pub(super) struct Tokens<'a> {
    pub ids: &'a [u32],
    pub vocab: usize,
}

impl Input for Tokens<'_> {
    fn prepare<'s>(&self, _a: Factors<'s>, _scratch: &'s mut Vec<f32>) -> &'s [f32] {
        &[]
    }

    fn project(&self, a: Factors, _ready: &[f32], row: usize, z: &mut [f32]) {
        for (r, z) in z.iter_mut().enumerate() {
            *z = a.at(r * self.vocab + self.ids[row] as usize);
        }
    }

    fn rows(&self) -> usize {
        self.ids.len()
    }
}

/// The LoRA of the experts that the rows of an input chose at a module.
#[derive(Clone, Copy)]
pub(super) struct ChosenLora<'a> {
    pub module: &'a StackedModule,
    pub mix: Mix,
    /// (expert, weight) [rows, width].
    pub chosen: &'a [(u32, f32)],
    pub width: usize,
}

impl ChosenLora<'_> {
    /// Adds to the rows `y` of any input, on the calling thread.
    pub fn add(&self, input: &impl Input, y: &mut [f32]) {
        let &Self { module, mix, chosen, width } = self;
        if module.extras {
            add_extras(module, y, chosen, width);
        }
        match mix {
            Mix::Outputs => add_outputs(module, input, y, chosen, width),
            Mix::Factors => add_factors(module, input, y, chosen, width),
        }
    }
}

impl Delta for ChosenLora<'_> {
    fn on_host(&self, x: &[f32], y: &mut [f32]) {
        let (i, out) = self.module.size();
        let rows = rows_per_task(x.len() / i);
        y.par_chunks_mut(out * rows)
            .zip(x.par_chunks(i * rows).zip(self.chosen.par_chunks(self.width * rows)))
            .for_each(|(y, (x, chosen))| Self { chosen, ..*self }.add(&Rows { x, width: i }, y));
    }

    fn on_device(&self, x: &Tensor, y: &Tensor) -> Result<Option<Tensor>> {
        // DoRA and biases of B have no body for devices.
        if self.module.extras {
            return Ok(None);
        }
        device::add(self.module, self.mix, x, y, self.chosen, self.width).map(Some)
    }
}

/// A row that chose an expert with a weight other than 0.
struct Use {
    expert: u32,
    row: usize,
    weight: f32,
}

/// All uses of experts in some rows, by expert and then by row.
fn uses(chosen: &[(u32, f32)], width: usize) -> Vec<Use> {
    let rows = chosen.chunks(width).enumerate();
    let of_row = |(row, chosen): (usize, &[(u32, f32)])| {
        let speaking = chosen.iter().filter(|c| c.1 != 0.0);
        speaking.map(move |&(expert, weight)| Use { expert, row, weight }).collect::<Vec<_>>()
    };
    let mut uses: Vec<Use> = rows.flat_map(of_row).collect();
    uses.sort_unstable_by_key(|u| (u.expert, u.row));
    uses
}

/// Each expert in use that has the module, with its uses.
fn speakers<'a>(module: &'a StackedModule, uses: &'a [Use]) -> impl Iterator<Item = (&'a Lora, &'a [Use])> {
    let of_one = |uses: &'a [Use]| Some((module.loras.get(uses.first()?.expert as usize)?.as_ref()?, uses));
    uses.chunk_by(|a, b| a.expert == b.expert).filter_map(of_one)
}

/// Σ w s B A x: each expert's factors are made ready once and used for all rows that chose it.
pub(super) fn add_outputs(
    module: &StackedModule,
    input: &impl Input,
    y: &mut [f32],
    chosen: &[(u32, f32)],
    width: usize,
) {
    let out = module.out_features;
    let (mut wide_a, mut wide_b, mut z) = (Vec::new(), Vec::new(), Vec::new());
    for (lora, uses) in speakers(module, &uses(chosen, width)) {
        let a = module.a(lora);
        let ready = input.prepare(a, &mut wide_a);
        let bt = lora.wide_b(module.bt(lora), &mut wide_b);
        z.resize(lora.rank, 0.0);
        for Use { row, weight, .. } in uses {
            input.project(a, ready, *row, &mut z);
            z.iter_mut().for_each(|z| *z *= weight * lora.scale);
            add_rows(&z, bt, &mut y[row * out..(row + 1) * out]);
        }
    }
}

/// s (Σ w B)(Σ w A) x, without forming the mixed factors: z = Σ w (A x), then y += s Σ w (B z).
pub(super) fn add_factors(
    module: &StackedModule,
    input: &impl Input,
    y: &mut [f32],
    chosen: &[(u32, f32)],
    width: usize,
) {
    let out = module.out_features;
    let uses = uses(chosen, width);
    let rank = speakers(module, &uses).next().map_or(0, |(lora, _)| lora.rank);
    let mut sums = vec![0f32; input.rows() * rank];
    let (mut scratch, mut z) = (Vec::new(), vec![0f32; rank]);
    for (lora, uses) in speakers(module, &uses) {
        let a = module.a(lora);
        let ready = input.prepare(a, &mut scratch);
        for Use { row, weight, .. } in uses {
            input.project(a, ready, *row, &mut z);
            axpy(*weight, &z, &mut sums[row * rank..(row + 1) * rank]);
        }
    }
    for (lora, uses) in speakers(module, &uses) {
        let bt = lora.wide_b(module.bt(lora), &mut scratch);
        for Use { row, weight, .. } in uses {
            z.copy_from_slice(&sums[row * rank..(row + 1) * rank]);
            z.iter_mut().for_each(|z| *z *= weight * lora.scale);
            add_rows(&z, bt, &mut y[row * out..(row + 1) * out]);
        }
    }
}

/// Σ w ((gain − 1) ⊙ W x + shift), from y = W x + b as the base model computed it: before anything else is
/// added to it.
fn add_extras(module: &StackedModule, y: &mut [f32], chosen: &[(u32, f32)], width: usize) {
    let mut stretch = vec![0f32; module.out_features];
    for (y, chosen) in y.chunks_mut(module.out_features).zip(chosen.chunks(width)) {
        let speaking = chosen
            .iter()
            .filter(|c| c.1 != 0.0)
            .filter_map(|&(e, w)| Some((module.loras.get(e as usize)?.as_ref()?.extras.as_deref()?, w)));
        let mut stretched = false;
        stretch.fill(0.0);
        for (extras, w) in speaking.clone().filter(|(extras, _)| !extras.gain.is_empty()) {
            stretch.iter_mut().zip(&extras.gain).for_each(|(s, g)| *s += w * (g - 1.0));
            stretched = true;
        }
        if stretched {
            match module.bias.as_slice() {
                [] => y.iter_mut().zip(&stretch).for_each(|(y, s)| *y += s * *y),
                bias => {
                    y.iter_mut().zip(&stretch).zip(bias).for_each(|((y, s), b)| *y += s * (*y - b));
                }
            }
        }
        for (extras, w) in speaking.filter(|(extras, _)| !extras.shift.is_empty()) {
            axpy(w, &extras.shift, y);
        }
    }
}

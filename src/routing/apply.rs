//! Adding the chosen experts' LoRA to what a layer computed.

use super::experts::StackedModule;
use super::lora::{Factors, Lora};
use crate::model::simd::{axpy, dot};

/// What a module reads: rows of numbers, or tokens as one-hot vectors.
pub(crate) trait Input {
    /// Makes an expert's A ready in `scratch`.
    fn prepare(&self, a: Factors, scratch: &mut Vec<f32>);

    /// Entry `r` of A x for the input of `row`.
    fn project(&self, a: Factors, scratch: &[f32], row: usize, r: usize) -> f32;

    /// Number of rows.
    fn rows(&self) -> usize;
}

/// x [rows, in].
pub(super) struct Rows<'a> {
    pub x: &'a [f32],
    pub width: usize,
}

impl Input for Rows<'_> {
    fn prepare(&self, a: Factors, scratch: &mut Vec<f32>) {
        a.widen(scratch);
    }

    fn project(&self, _a: Factors, scratch: &[f32], row: usize, r: usize) -> f32 {
        let width = self.width;
        dot(&scratch[r * width..(r + 1) * width], &self.x[row * width..(row + 1) * width])
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
    fn prepare(&self, _a: Factors, _scratch: &mut Vec<f32>) {}

    fn project(&self, a: Factors, _scratch: &[f32], row: usize, r: usize) -> f32 {
        a.at(r * self.vocab + self.ids[row] as usize)
    }

    fn rows(&self) -> usize {
        self.ids.len()
    }
}

/// Every expert that some row of the chunk chose, once.
fn spoken(chosen: &[(u32, f32)]) -> Vec<u32> {
    let mut experts: Vec<u32> = chosen.iter().filter(|c| c.1 != 0.0).map(|c| c.0).collect();
    experts.sort_unstable();
    experts.dedup();
    experts
}

fn weight(row: &[(u32, f32)], e: u32) -> f32 {
    row.iter().find(|c| c.0 == e && c.1 != 0.0).map_or(0.0, |c| c.1)
}

/// Σ w s B A x: each expert's factors are widened once and used for all rows that chose it.
pub(super) fn add_outputs(
    module: &StackedModule,
    input: &impl Input,
    y: &mut [f32],
    chosen: &[(u32, f32)],
    width: usize,
) {
    let out = module.out_features;
    let (mut a, mut bt) = (Vec::new(), Vec::new());
    for e in spoken(chosen) {
        let Some(lora) = &module.loras[e as usize] else { continue };
        let factors = module.a(lora);
        input.prepare(factors, &mut a);
        lora.widen_b(module.bt(lora), &mut bt);
        for (row, (y, chosen)) in y.chunks_mut(out).zip(chosen.chunks(width)).enumerate() {
            let w = weight(chosen, e);
            if w == 0.0 {
                continue;
            }
            for (r, b) in bt.chunks(out).enumerate() {
                axpy(w * lora.scale * input.project(factors, &a, row, r), b, y);
            }
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
    let experts = spoken(chosen);
    let loras: Vec<(u32, &Lora)> =
        experts.iter().filter_map(|&e| Some((e, module.loras[e as usize].as_ref()?))).collect();
    let rank = loras.first().map_or(0, |(_, l)| l.rank);
    if rank == 0 {
        return;
    }
    let mut z = vec![0f32; input.rows() * rank];
    let mut scratch = Vec::new();
    for (e, lora) in &loras {
        let a = module.a(lora);
        input.prepare(a, &mut scratch);
        for (row, (z, chosen)) in z.chunks_mut(rank).zip(chosen.chunks(width)).enumerate() {
            let w = weight(chosen, *e);
            for (r, z) in z.iter_mut().enumerate() {
                *z += w * input.project(a, &scratch, row, r);
            }
        }
    }
    for (e, lora) in &loras {
        lora.widen_b(module.bt(lora), &mut scratch);
        for ((z, y), chosen) in z.chunks(rank).zip(y.chunks_mut(out)).zip(chosen.chunks(width)) {
            let w = weight(chosen, *e) * lora.scale;
            z.iter().zip(scratch.chunks(out)).for_each(|(z, b)| axpy(w * z, b, y));
        }
    }
}

/// Σ w ((gain − 1) ⊙ W x + shift), from y = W x + b as the base model computed it: before anything else is
/// added to it.
pub(super) fn add_extras(module: &StackedModule, y: &mut [f32], chosen: &[(u32, f32)], width: usize) {
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

//! Choosing experts and adding their LoRA at every module.

use candle_core::Tensor;
use rayon::prelude::*;

use super::config::{Mix, RouterConfig, RouterKind};
use super::experts::{ExpertSet, Lora, StackedModule};
use crate::library::{find_name, nearest};
use crate::model::LinearHook;
use crate::model::simd::{axpy, dot};
use crate::model::tensor::{edit, gemm, values};
use crate::{Error, Result};

/// Tokens of one task.
const ROWS: usize = 16;

/// How weights come about, with names resolved to indices.
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    Arrow {
        top_k: usize,
        temperature: f32,
    },
    /// The same weight for every expert that may speak.
    Uniform,
    Single(usize),
    Base,
}

/// A router over an [`ExpertSet`].
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    choice: Choice,
    mix: Mix,
    /// Experts that may speak.
    active: Vec<bool>,
}

impl Router {
    /// Resolves a configuration.
    ///
    /// # Errors
    /// Temperature not positive, unknown names, factors that cannot be mixed, no expert at all.
    pub fn new(config: &RouterConfig, experts: &ExpertSet) -> Result<Self> {
        if !(config.temperature > 0.0 && config.temperature.is_finite()) {
            return Err(Error::usage("the temperature must be a positive number"));
        }
        let index = |name: &str| {
            find_name(experts.names.iter().map(String::as_str), name).ok_or_else(|| {
                if let Some((_, reason)) = experts.skipped.iter().find(|(n, _)| n == name) {
                    return Error::msg(format!("{name} cannot be used: {reason}"));
                }
                let near = nearest(name, experts.names.iter().map(String::as_str), 3);
                let hint =
                    if near.is_empty() { String::new() } else { format!("; near: {}", near.join(", ")) };
                Error::usage(format!("there is no expert \"{name}\"{hint}"))
            })
        };
        let mut active = vec![true; experts.len()];
        for name in &config.muted {
            active[index(name)?] = false;
        }
        let mut mix = config.mix;
        let choice = match &config.kind {
            RouterKind::Base => Choice::Base,
            RouterKind::Single(name) => Choice::Single(index(name)?),
            RouterKind::Uniform => Choice::Uniform,
            RouterKind::UniformFactors => {
                mix = Mix::Factors;
                Choice::Uniform
            }
            RouterKind::Arrow => {
                Choice::Arrow { top_k: config.top_k, temperature: config.temperature as f32 }
            }
        };
        if choice != Choice::Base {
            experts.require_any()?;
        }
        if mix == Mix::Factors && !matches!(choice, Choice::Base | Choice::Single(_)) {
            experts.check_equal_factors()?;
        }
        Ok(Self { choice, mix, active })
    }

    /// Experts that can have weight at one token and module: the width of a trace.
    pub fn width(&self) -> usize {
        let active = self.active.iter().filter(|a| **a).count();
        match self.choice {
            Choice::Base => 0,
            Choice::Single(_) => 1,
            Choice::Uniform | Choice::Arrow { top_k: 0, .. } => active,
            Choice::Arrow { top_k, .. } => top_k.min(active),
        }
    }

    /// (expert, weight) of every row of `x` [rows, in], `width` a row, heaviest first, padded with weight 0.
    fn choose(&self, module: &StackedModule, x: &[f32], rows: usize, width: usize) -> Vec<(u32, f32)> {
        let mut chosen = vec![(0u32, 0f32); rows * width];
        match self.choice {
            Choice::Base => {}
            Choice::Single(e) => {
                let weight = if module.loras[e].is_some() { 1.0 } else { 0.0 };
                chosen.fill((e as u32, weight));
            }
            Choice::Uniform => {
                // The mean divides by all experts, also where one lacks the module.
                let weight = 1.0 / self.active.iter().filter(|a| **a).count().max(1) as f32;
                for row in chosen.chunks_mut(width.max(1)) {
                    let speak =
                        (0..self.active.len()).filter(|&e| self.active[e] && module.loras[e].is_some());
                    for (slot, e) in row.iter_mut().zip(speak) {
                        *slot = (e as u32, weight);
                    }
                }
            }
            Choice::Arrow { temperature, .. } => {
                let scores = scores(module, x, rows);
                let experts = module.candidate.len();
                chosen.par_chunks_mut((width * ROWS).max(1)).zip(scores.par_chunks(experts * ROWS)).for_each(
                    |(chosen, scores)| {
                        for (row, scores) in chosen.chunks_mut(width).zip(scores.chunks(experts)) {
                            self.arrow_row(module, scores, temperature, row);
                        }
                    },
                );
            }
        }
        chosen
    }

    /// Softmax(score / τ) over the highest |scores|; ties go to the lower index.
    fn arrow_row(&self, module: &StackedModule, scores: &[f32], temperature: f32, row: &mut [(u32, f32)]) {
        let mut kept = 0;
        for (e, score) in scores.iter().enumerate() {
            if !(module.candidate[e] && self.active[e]) {
                continue;
            }
            let score = score.abs();
            // Insertion into the kept ones, which are few.
            let at = row[..kept].iter().position(|&(_, s)| score > s).unwrap_or(kept);
            if at < row.len() {
                kept = (kept + 1).min(row.len());
                row[at..kept].rotate_right(1);
                row[at] = (e as u32, score);
            }
        }
        let Some(&(_, highest)) = row[..kept].first() else { return };
        let mut sum = 0f32;
        for slot in &mut row[..kept] {
            slot.1 = ((slot.1 - highest) / temperature).exp();
            sum += slot.1;
        }
        row[..kept].iter_mut().for_each(|slot| slot.1 /= sum);
        row[kept..].fill((0, 0.0));
    }

    /// y [rows, out] += the chosen experts' LoRA of x [rows, in].
    fn add(&self, module: &StackedModule, x: &[f32], y: &mut [f32], chosen: &[(u32, f32)], width: usize) {
        let (i, rows) = (module.in_features, x.len() / module.in_features);
        let out = y.len() / rows;
        let work = |(y, (x, chosen)): (&mut [f32], (&[f32], &[(u32, f32)]))| match self.mix {
            Mix::Outputs => add_outputs(module, x, y, chosen, (i, out, width)),
            Mix::Factors => add_factors(module, x, y, chosen, (i, out, width)),
        };
        if rows <= ROWS {
            work((y, (x, chosen)));
            return;
        }
        y.par_chunks_mut(out * ROWS)
            .zip(x.par_chunks(i * ROWS).zip(chosen.par_chunks(width * ROWS)))
            .for_each(work);
    }
}

/// x · prototypeᵀ [rows, experts].
fn scores(module: &StackedModule, x: &[f32], rows: usize) -> Vec<f32> {
    let (i, experts) = (module.in_features, module.candidate.len());
    let mut out = vec![0f32; rows * experts];
    if rows < 4 {
        for (out, x) in out.chunks_mut(experts).zip(x.chunks(i)) {
            for (score, p) in out.iter_mut().zip(module.prototypes.chunks(i)) {
                *score = dot(x, p);
            }
        }
        return out;
    }
    out.par_chunks_mut(experts * ROWS).zip(x.par_chunks(i * ROWS)).for_each(|(out, x)| {
        let rows = x.len() / i;
        gemm((rows, experts, i), 1.0, x, (i, 1), &module.prototypes, (1, i), 0.0, out, (experts, 1));
    });
    out
}

/// Every expert that some row of the chunk chose, once.
fn spoken(chosen: &[(u32, f32)]) -> Vec<u32> {
    let mut experts: Vec<u32> = chosen.iter().filter(|c| c.1 != 0.0).map(|c| c.0).collect();
    experts.sort_unstable();
    experts.dedup();
    experts
}

/// Σ w s B A x: each expert's factors are widened once and used for all rows that chose it.
fn add_outputs(
    module: &StackedModule,
    x: &[f32],
    y: &mut [f32],
    chosen: &[(u32, f32)],
    (i, out, width): (usize, usize, usize),
) {
    let (mut a, mut bt) = (Vec::new(), Vec::new());
    for e in spoken(chosen) {
        let Some(lora) = &module.loras[e as usize] else { continue };
        lora.a.widen(&mut a);
        lora.bt.widen(&mut bt);
        for ((x, y), row) in x.chunks(i).zip(y.chunks_mut(out)).zip(chosen.chunks(width)) {
            let Some(&(_, w)) = row.iter().find(|c| c.0 == e && c.1 != 0.0) else { continue };
            for (a, b) in a.chunks(i).zip(bt.chunks(out)) {
                axpy(w * lora.scale * dot(a, x), b, y);
            }
        }
    }
}

/// s (Σ w B)(Σ w A) x, without forming the mixed factors: z = Σ w (A x), then y += s Σ w (B z).
fn add_factors(
    module: &StackedModule,
    x: &[f32],
    y: &mut [f32],
    chosen: &[(u32, f32)],
    (i, out, width): (usize, usize, usize),
) {
    let experts = spoken(chosen);
    let loras: Vec<(u32, &Lora)> =
        experts.iter().filter_map(|&e| Some((e, module.loras[e as usize].as_ref()?))).collect();
    let rank = loras.first().map_or(0, |(_, l)| l.rank);
    let mut z = vec![0f32; x.len() / i * rank];
    let weight = |row: &[(u32, f32)], e: u32| row.iter().find(|c| c.0 == e).map_or(0.0, |c| c.1);
    let mut scratch = Vec::new();
    for (e, lora) in &loras {
        lora.a.widen(&mut scratch);
        for ((x, z), row) in x.chunks(i).zip(z.chunks_mut(rank)).zip(chosen.chunks(width)) {
            let w = weight(row, *e);
            z.iter_mut().zip(scratch.chunks(i)).for_each(|(z, a)| *z += w * dot(a, x));
        }
    }
    for (e, lora) in &loras {
        lora.bt.widen(&mut scratch);
        for ((z, y), row) in z.chunks(rank).zip(y.chunks_mut(out)).zip(chosen.chunks(width)) {
            let w = weight(row, *e) * lora.scale;
            z.iter().zip(scratch.chunks(out)).for_each(|(z, b)| axpy(w * z, b, y));
        }
    }
}

/// Routes at every module of a forward pass and keeps what was chosen.
#[derive(Debug)]
pub struct RoutedHook<'a> {
    experts: &'a ExpertSet,
    router: &'a Router,
    width: usize,
    /// Per routed module: [rows, width].
    pub(super) chosen: Vec<Vec<(u32, f32)>>,
}

impl<'a> RoutedHook<'a> {
    pub fn new(experts: &'a ExpertSet, router: &'a Router) -> Self {
        Self { experts, router, width: router.width(), chosen: vec![Vec::new(); experts.modules.len()] }
    }
}

impl LinearHook for RoutedHook<'_> {
    fn apply(&mut self, linear: usize, x: &Tensor, y: &Tensor) -> Result<()> {
        let Some(module) = self.experts.linears.get(linear).and_then(Option::as_ref) else { return Ok(()) };
        if self.width == 0 {
            return Ok(());
        }
        let x = values(x)?;
        let x: &[f32] = &x;
        let rows = x.len() / module.in_features;
        let chosen = self.router.choose(module, x, rows, self.width);
        edit(y, |y| self.router.add(module, x, y, &chosen, self.width))?;
        self.chosen[module.position] = chosen;
        Ok(())
    }
}

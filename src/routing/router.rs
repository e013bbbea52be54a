//! Choosing experts for every token at every module.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::apply::{Input, Rows, add_extras, add_factors, add_outputs};
use super::config::{Mix, RouterConfig, RouterKind};
use super::experts::{ExpertSet, StackedModule};
use super::replaced::Overlay;
use crate::model::dot_rows::dot_rows;
use crate::model::tensor::{edit, values};
use crate::model::{Decoder, generic};
use crate::{Error, Result};

/// Tokens of one task, at least and at most.
const ROWS: (usize, usize) = (4, 64);
/// Values of prototypes from which even one token's scores are computed on all threads.
const WORTH_THREADS: usize = 1 << 16;

/// Tokens of one task where there are `rows`: each thread gets some, and reads experts and prototypes but once.
fn rows_a_task(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).next_multiple_of(ROWS.0).min(ROWS.1)
}

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
#[derive(Clone, Debug)]
pub struct Router {
    choice: Choice,
    mix: Mix,
    /// Experts that may speak.
    active: Vec<bool>,
    /// Experts that always do, where they can.
    pinned: Vec<usize>,
    /// What experts replace in the base model, where weights do not depend on the token.
    pub(super) overlay: Option<Arc<Overlay>>,
}

impl Router {
    /// Resolves a configuration for `experts` loaded for `decoder`, with the configuration's general
    /// experts taken out ([`ExpertSet::without_general`]) and its prototypes tied
    /// ([`ExpertSet::with_tied_prototypes`]).
    ///
    /// # Errors
    /// Temperature not positive, unknown names, factors that cannot be mixed, no expert at all, files of
    /// replaced parameters that cannot be read.
    pub fn new(config: &RouterConfig, experts: &ExpertSet, decoder: &Decoder) -> Result<Self> {
        if !(config.temperature > 0.0 && config.temperature.is_finite()) {
            return Err(Error::usage("the temperature must be a positive number"));
        }
        if config.general != experts.general {
            return Err(Error::msg("the general experts were not taken out of the others"));
        }
        if config.tied != experts.tied {
            return Err(Error::msg("the prototypes of q, k and v are not those of the settings"));
        }
        let mut active = vec![true; experts.len()];
        for name in config.muted.iter().chain(&config.general) {
            active[experts.index(name)?] = false;
        }
        let mut pinned = Vec::new();
        for name in &config.pinned {
            let at = experts.index(name)?;
            if !active[at] {
                return Err(Error::usage(format!("{name} cannot be pinned: it is muted or general")));
            }
            if !pinned.contains(&at) {
                pinned.push(at);
            }
        }
        let mut mix = config.mix;
        let choice = match &config.kind {
            RouterKind::Base => Choice::Base,
            RouterKind::Single(name) => {
                let at = experts.index(name)?;
                if config.general.iter().any(|g| experts.index(g).is_ok_and(|g| g == at)) {
                    return Err(Error::usage(format!("{name} is general: it does not speak itself")));
                }
                Choice::Single(at)
            }
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
            experts.check_equal_factors(&active)?;
        }
        let share = 1.0 / active.iter().filter(|a| **a).count().max(1) as f32;
        let constant: Vec<(usize, f32)> = match &choice {
            Choice::Single(e) => vec![(*e, 1.0)],
            Choice::Uniform => (0..active.len()).filter(|&e| active[e]).map(|e| (e, share)).collect(),
            Choice::Arrow { .. } | Choice::Base => Vec::new(),
        };
        let overlay = Overlay::new(experts, &constant, decoder)?.map(Arc::new);
        Ok(Self { choice, mix, active, pinned, overlay })
    }

    /// Experts that can have weight at one token and module: the width of a trace.
    pub fn width(&self) -> usize {
        let active = self.active.iter().filter(|a| **a).count();
        match self.choice {
            Choice::Base => 0,
            Choice::Single(_) => 1,
            Choice::Uniform | Choice::Arrow { top_k: 0, .. } => active,
            Choice::Arrow { top_k, .. } => top_k.max(self.pinned.len()).min(active),
        }
    }

    /// (expert, weight) of every row of an input, `width` a row, heaviest first, padded with weight 0.
    /// `scores` gives x · prototype [rows, experts], where they are needed.
    pub(super) fn choose(
        &self,
        module: &StackedModule,
        rows: usize,
        width: usize,
        scores: impl FnOnce() -> Result<Vec<f32>>,
    ) -> Result<Vec<(u32, f32)>> {
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
                let scores = scores()?;
                let experts = module.candidate.len();
                let rows = rows_a_task(rows);
                chosen.par_chunks_mut((width * rows).max(1)).zip(scores.par_chunks(experts * rows)).for_each(
                    |(chosen, scores)| {
                        for (row, scores) in chosen.chunks_mut(width).zip(scores.chunks(experts)) {
                            self.arrow_row(module, scores, temperature, row);
                        }
                    },
                );
            }
        }
        Ok(chosen)
    }

    /// Softmax(score / τ) over the pinned experts and the highest |scores|; ties go to the lower index.
    fn arrow_row(&self, module: &StackedModule, scores: &[f32], temperature: f32, row: &mut [(u32, f32)]) {
        let mut kept = 0;
        for &e in self.pinned.iter().filter(|&&e| module.candidate[e]) {
            kept = insert(row, 0, kept, e, scores[e].abs());
        }
        // The pinned ones keep their places; the others compete for the rest.
        let first = kept;
        for (e, score) in scores.iter().enumerate() {
            if module.candidate[e] && self.active[e] && !self.pinned.contains(&e) {
                kept = insert(row, first, kept, e, score.abs());
            }
        }
        if first > 0 {
            row[..kept].sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
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
    pub(super) fn add(
        &self,
        module: &StackedModule,
        x: &Tensor,
        y: &Tensor,
        chosen: &[(u32, f32)],
        width: usize,
    ) -> Result<()> {
        if generic::wanted(x) && !module.extras {
            return module.there.add(module, self.mix, x, y, chosen, width);
        }
        let x = values(x)?;
        edit(y, |y| self.add_rows(module, &x, y, chosen, width))
    }

    fn add_rows(
        &self,
        module: &StackedModule,
        x: &[f32],
        y: &mut [f32],
        chosen: &[(u32, f32)],
        width: usize,
    ) {
        let (i, out) = (module.in_features, module.out_features);
        let work = |(y, (x, chosen)): (&mut [f32], (&[f32], &[(u32, f32)]))| {
            self.add_chunk(module, &Rows { x, width: i }, y, chosen, width);
        };
        let rows = rows_a_task(x.len() / i);
        y.par_chunks_mut(out * rows)
            .zip(x.par_chunks(i * rows).zip(chosen.par_chunks(width * rows)))
            .for_each(work);
    }

    /// [`Self::add`] on the CPU for a few rows of any input.
    pub(super) fn add_chunk(
        &self,
        module: &StackedModule,
        input: &impl Input,
        y: &mut [f32],
        chosen: &[(u32, f32)],
        width: usize,
    ) {
        if module.extras {
            add_extras(module, y, chosen, width);
        }
        match self.mix {
            Mix::Outputs => add_outputs(module, input, y, chosen, width),
            Mix::Factors => add_factors(module, input, y, chosen, width),
        }
    }
}

/// Inserts an expert into `row[first..kept]`, ordered by score, if it is among the highest that fit; returns
/// the new number of kept ones, which are few.
fn insert(row: &mut [(u32, f32)], first: usize, kept: usize, e: usize, score: f32) -> usize {
    let at = row[first..kept].iter().position(|&(_, s)| score > s).map_or(kept, |at| first + at);
    if at >= row.len() {
        return kept;
    }
    let kept = (kept + 1).min(row.len());
    row[at..kept].rotate_right(1);
    row[at] = (e as u32, score);
    kept
}

/// x · prototypeᵀ [rows, experts] for x [rows, in].
pub(super) fn scores(module: &StackedModule, x: &Tensor) -> Result<Vec<f32>> {
    if generic::wanted(x) {
        return module.there.scores(module, x);
    }
    let x = values(x)?;
    let (i, experts) = (module.in_features, module.candidate.len());
    let rows = x.len() / i;
    let mut out = vec![0f32; rows * experts];
    let prototypes = &module.prototypes;
    if rows == 1 && prototypes.len() >= WORTH_THREADS {
        let some = experts.div_ceil(rayon::current_num_threads()).next_multiple_of(4);
        out.par_chunks_mut(some)
            .zip(prototypes.par_chunks(some * i))
            .for_each(|(out, prototypes)| dot_rows(&x, prototypes, i, out));
        return Ok(out);
    }
    let rows = rows_a_task(rows);
    out.par_chunks_mut(experts * rows)
        .zip(x.par_chunks(i * rows))
        .for_each(|(out, x)| dot_rows(x, prototypes, i, out));
    Ok(out)
}

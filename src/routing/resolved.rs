//! A router whose names and settings are resolved for a set of experts: weights of rows, and what they add.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::apply::{Input, Rows, add_extras, add_factors, add_outputs};
use super::config::RouterConfig;
use super::experts::{ExpertSet, StackedModule};
use super::mix::Mix;
use super::replaced::Overlay;
use super::routers::{Request, Resolved, Rule, Speakers, TIED};
use super::scores::{ModuleRows, rows_per_task};
use crate::model::tensor::{edit, values};
use crate::model::{Decoder, generic};
use crate::{Error, Result};

/// A router over an [`ExpertSet`].
#[derive(Debug)]
pub struct ResolvedRouter {
    rule: Box<dyn Rule>,
    mix: Mix,
    speakers: Speakers,
    /// What experts replace in the base model, where weights do not depend on the token.
    pub(super) overlay: Option<Arc<Overlay>>,
}

impl ResolvedRouter {
    /// Resolves a configuration for `experts` loaded for `decoder`, with the configuration's general
    /// experts taken out ([`ExpertSet::without_general`]) and its prototypes tied
    /// ([`ExpertSet::with_tied_prototypes`]).
    ///
    /// # Errors
    /// Settings out of their ranges, unknown names, factors that cannot be mixed, no expert at all, files of
    /// replaced parameters that cannot be read.
    pub fn new(config: &RouterConfig, experts: &ExpertSet, decoder: &Decoder) -> Result<Self> {
        config.check()?;
        if config.general != experts.general {
            return Err(Error::msg("the general experts were not taken out of the others"));
        }
        if config.values.flag(&TIED) != experts.tied {
            return Err(Error::msg("the prototypes of q, k and v are not those of the settings"));
        }
        let speakers = speakers(config, experts)?;
        let request =
            Request { argument: &config.argument, values: &config.values, experts, speakers: &speakers };
        let Resolved { rule, mix } = (config.router.resolve)(&request)?;
        if config.is_weighted() {
            experts.require_any()?;
        }
        if mix == Mix::Factors && config.router.mutes {
            experts.check_equal_factors(&speakers.active)?;
        }
        let overlay = Overlay::new(experts, &rule.constant(&speakers), decoder)?.map(Arc::new);
        Ok(Self { rule, mix, speakers, overlay })
    }

    /// Experts that can have weight at one token and module: the width of a trace.
    pub fn width(&self) -> usize {
        self.rule.width(&self.speakers)
    }

    /// (expert, weight) of every row of a module's input, `width` per row, heaviest first, padded with weight 0.
    pub(super) fn choose(&self, rows: &ModuleRows, width: usize) -> Result<Vec<(u32, f32)>> {
        let mut chosen = vec![(0u32, 0f32); rows.count() * width];
        self.rule.weigh(rows, &self.speakers, width, &mut chosen)?;
        Ok(chosen)
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
        let rows = rows_per_task(x.len() / i);
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

/// Who may have weight under a configuration.
fn speakers(config: &RouterConfig, experts: &ExpertSet) -> Result<Speakers> {
    let mut active = vec![true; experts.len()];
    let mut general = vec![false; experts.len()];
    for name in &config.muted {
        active[experts.index(name)?] = false;
    }
    for name in &config.general {
        let at = experts.index(name)?;
        (active[at], general[at]) = (false, true);
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
    Ok(Speakers { active, general, pinned })
}

//! A router whose names and settings are resolved for a set of experts: weights of rows, and what they add.

use std::sync::Arc;

use super::config::RouterConfig;
use super::experts::ExpertSet;
use super::mix::Mix;
use super::overlay::Overlay;
use super::routers::{Request, Resolved, Rule, Speakers, TIED};
use super::scores::ModuleRows;
use crate::model::{Decoder, Ops};
use crate::{Error, Result};

/// A router over an [`ExpertSet`].
#[derive(Debug)]
pub struct ResolvedRouter {
    rule: Box<dyn Rule>,
    pub(super) mix: Mix,
    speakers: Speakers,
    /// What experts replace in the base model, where weights do not depend on the token.
    pub(super) overlay: Option<Arc<Overlay>>,
    /// What the decoder computes with.
    pub(super) ops: Arc<dyn Ops>,
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
        Ok(Self { rule, mix, speakers, overlay, ops: Arc::clone(decoder.ops()) })
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

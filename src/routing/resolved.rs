//! A router whose names and settings are resolved for a set of experts: weights of rows, and what they add.

use std::sync::Arc;

use super::calibration::Calibration;
use super::config::RouterConfig;
use super::experts::ExpertSet;
use super::mix::Mix;
use super::overlay::Overlay;
use super::own_data::Known;
use super::prompt::Prompt;
use super::routers::{Request, Resolved, Rule, TIED, Weighing};
use super::rows::{ModuleRows, Sequences};
use super::scores::Measure;
use super::speakers::Speakers;
use super::survey::{Survey, Surveyed, survey_pass};
use crate::model::{Decoder, Ops};
use crate::{Cancel, Error, Result};

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
    /// [`Self::prepared`] for a router that needs nothing to be prepared.
    ///
    /// # Errors
    /// As there.
    pub fn new(config: &RouterConfig, experts: &ExpertSet, decoder: &Decoder) -> Result<Self> {
        Self::prepared(config, experts, decoder, &Prepared::default())
    }

    /// Resolves a configuration for `experts` loaded for `decoder`, with the configuration's general
    /// experts taken out ([`ExpertSet::without_general`]) and its prototypes tied
    /// ([`ExpertSet::with_tied_prototypes`]).
    ///
    /// # Errors
    /// Settings out of their ranges, unknown names, factors that cannot be mixed, no expert at all, files of
    /// replaced parameters that cannot be read.
    pub fn prepared(
        config: &RouterConfig,
        experts: &ExpertSet,
        decoder: &Decoder,
        prepared: &Prepared,
    ) -> Result<Self> {
        config.check()?;
        if config.general != experts.general {
            return Err(Error::msg("the general experts were not taken out of the others"));
        }
        if config.values.flag(&TIED) != experts.tied {
            return Err(Error::msg("the prototypes of q, k and v are not those of the settings"));
        }
        let speakers = speakers(config, experts)?;
        if config.is_weighted() {
            experts.require_any()?;
        }
        let (argument, values, speaking) = (config.argument.as_str(), &config.values, &speakers);
        let (calibration, known) = (prepared.calibration.as_ref(), &prepared.known);
        let request = Request { argument, values, experts, decoder, speakers: speaking, calibration, known };
        let Resolved { rule, mix } = (config.router.resolve)(&request)?;
        if mix == Mix::Factors && config.router.mutes {
            experts.check_equal_factors(&speakers.active)?;
        }
        let overlay = Overlay::new(experts, &rule.constant(&speakers, &[]), decoder)?.map(Arc::new);
        Ok(Self { rule, mix, speakers, overlay, ops: Arc::clone(decoder.ops()) })
    }

    /// Experts that can have weight at one token and module: the width of a trace.
    pub fn width(&self) -> usize {
        self.rule.width(&self.speakers)
    }

    /// (expert, weight) of every row of a module's input, `width` per row, heaviest first, padded with weight 0.
    pub(super) fn choose(
        &self,
        rows: &ModuleRows,
        width: usize,
        sequences: Sequences,
    ) -> Result<Vec<(u32, f32)>> {
        let mut chosen = vec![(0u32, 0f32); rows.count() * width];
        self.rule.weigh(&Weighing { rows, speakers: &self.speakers, width, sequences }, &mut chosen)?;
        Ok(chosen)
    }

    /// What the rule scores experts by, where it does.
    pub(super) fn measure(&self) -> Option<&Measure> {
        self.rule.measure()
    }

    /// What the rule has to know of a sequence before it weighs its tokens.
    pub(super) fn own_survey(&self) -> Option<&dyn Survey> {
        self.rule.survey()
    }

    /// Whether it has to know something of a sequence before it weighs its tokens ([`Self::survey`]).
    pub fn has_survey(&self) -> bool {
        self.rule.survey().is_some()
    }

    /// What follows from what was found of one sequence.
    pub(super) fn findings(
        &self,
        found: Vec<f32>,
        experts: &ExpertSet,
        decoder: &Decoder,
    ) -> Result<Findings> {
        let overlay = Overlay::new(experts, &self.rule.constant(&self.speakers, &found), decoder)?;
        Ok(Findings { found: vec![found], overlay: overlay.map(Arc::new) })
    }

    /// Whether sequences with other findings can run in one pass: not where experts replace parameters of the base
    /// model.
    pub fn runs_together(&self, experts: &ExpertSet) -> bool {
        !self.has_survey() || experts.replaced.is_empty()
    }

    /// Finds out what has to be known of sequences before their tokens are weighed. Of several at once, unless
    /// [`Self::runs_together`] says no.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn survey(
        &self,
        experts: &ExpertSet,
        decoder: &Decoder,
        prompts: &[Prompt],
        cancel: &Cancel,
    ) -> Result<Findings> {
        let Some(survey) = self.own_survey() else { return Ok(Findings::default()) };
        let reach = |p: &Prompt| survey.reach().tokens(&p.parts[..p.asked()]);
        let lengths: Vec<usize> = prompts.iter().map(reach).collect();
        let pieces = prompts.iter().zip(&lengths).flat_map(|(p, length)| p.ids.iter().take(*length));
        let tokens: Vec<u32> = pieces.copied().collect();
        let kept = match tokens.is_empty() {
            true => Vec::new(),
            false => survey_pass(survey, (experts, decoder), &tokens, &lengths, None, cancel)?,
        };
        let mut rest = kept.as_slice();
        let mut found = Vec::with_capacity(prompts.len());
        for (prompt, length) in prompts.iter().zip(&lengths) {
            let (own, others) = rest.split_at(length * survey.width());
            rest = others;
            let asked = prompt.asked();
            let (ids, parts) = (&prompt.ids[..asked], &prompt.parts[..asked]);
            found.push(survey.conclude(&Surveyed { ids, parts, kept: own })?);
        }
        match <[Vec<f32>; 1]>::try_from(found) {
            Ok([one]) => self.findings(one, experts, decoder),
            Err(found) => Ok(Findings { found, overlay: None }),
        }
    }
}

/// What a router may need that takes a pass over prompts.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// What is usual for the experts.
    pub calibration: Option<Arc<Calibration>>,
    /// What is known of them beside their weights.
    pub known: Known,
}

/// What was found out about sequences before their tokens are weighed.
#[derive(Debug, Default)]
pub struct Findings {
    /// By sequence.
    pub(super) found: Vec<Vec<f32>>,
    /// What the experts of a single sequence replace in the base model.
    pub(super) overlay: Option<Arc<Overlay>>,
}

impl Findings {
    /// The same for so many copies of a single sequence.
    #[must_use]
    pub fn copied(mut self, copies: usize) -> Self {
        if let [one] = self.found.as_slice() {
            self.found = vec![one.clone(); copies];
        }
        self
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

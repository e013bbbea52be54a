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
use super::sharpness::UsualSpread;
use super::speakers::Speakers;
use super::survey::{Reach, Survey, survey_all};
use super::together::Together;
use crate::library::Skipped;
use crate::model::{Decoder, Ops};
use crate::{Cancel, Error, Result};

/// A router over an [`ExpertSet`].
#[derive(Debug)]
pub struct ResolvedRouter {
    rule: Arc<dyn Rule>,
    /// Those with which it shares what is found of prompts, and its number among them.
    together: Option<(Arc<Together>, usize)>,
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
    /// Settings out of their ranges, unknown names, nobody who may have weight, factors that cannot be mixed, no expert at all, files of
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
        let usual_spread = prepared.usual_spread;
        let request = Request {
            argument,
            values,
            experts,
            decoder,
            speakers: speaking,
            calibration,
            known,
            usual_spread,
        };
        let Resolved { rule, mix } = (config.router.resolve)(&request)?;
        if mix == Mix::Factors && config.router.mutes {
            experts.check_equal_factors(&speakers.active)?;
        }
        let overlay = Overlay::new(experts, &rule.constant(&speakers, &[]), decoder)?.map(Arc::new);
        Ok(Self {
            rule: Arc::from(rule),
            together: None,
            mix,
            speakers,
            overlay,
            ops: Arc::clone(decoder.ops()),
        })
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

    /// Who may have weight.
    pub(super) fn speakers(&self) -> &Speakers {
        &self.speakers
    }

    /// What the rule scores experts by, where it does.
    pub(super) fn measure(&self) -> Option<&Measure> {
        self.rule.measure()
    }

    /// The first expert that may have weight whose score of the rows of a module is no number, though these are.
    ///
    /// # Errors
    /// When scores cannot be computed.
    pub(super) fn broken_score(&self, rows: &ModuleRows) -> Result<Option<usize>> {
        let may_speak = |e: usize| self.speakers.active.get(e) == Some(&true);
        self.measure().map_or(Ok(None), |measure| measure.broken(rows, may_speak))
    }

    /// What decides among the experts with the highest scores, where that is something else.
    pub(super) fn decider(&self) -> Option<Measure> {
        self.rule.decider()
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

    /// Lets routers that ask something of whole prompts ask together, each over its experts: the first one that is asked
    /// about a prompt ([`Self::survey`]) finds out for all of them, in one pass.
    pub fn survey_together<'a>(all: impl Iterator<Item = (&'a Arc<ExpertSet>, &'a mut Self)>) {
        let looks = |router: &Self| router.own_survey().is_some_and(|survey| survey.reach() != Reach::Ids);
        // Where experts replace parameters, prompts do not run together.
        let mut asking: Vec<_> =
            all.filter(|(experts, router)| looks(router) && router.runs_together(experts)).collect();
        let rules = asking.iter().map(|(experts, router)| (Arc::clone(experts), Arc::clone(&router.rule)));
        let together = Arc::new(Together::new(rules.collect()));
        for (number, (_, router)) in asking.iter_mut().enumerate() {
            router.together = Some((Arc::clone(&together), number));
        }
    }

    /// Tokens that went through the base model alone for those that ask together.
    pub fn surveyed_together(&self) -> usize {
        self.together.as_ref().map_or(0, |(together, _)| together.tokens())
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
        let found = match &self.together {
            Some((together, number)) => together.find(*number, decoder, prompts, cancel)?,
            None => {
                let prompts: Vec<&Prompt> = prompts.iter().collect();
                survey_all(&[(experts, survey)], decoder, &prompts, cancel)?.pop().unwrap_or_default()
            }
        };
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
    /// How spread votes usually are.
    pub usual_spread: Option<UsualSpread>,
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
    pub fn copied(&self, copies: usize) -> Self {
        let found = match self.found.as_slice() {
            [one] => vec![one.clone(); copies],
            all => all.to_vec(),
        };
        Self { found, overlay: self.overlay.clone() }
    }
}

/// Whether anybody may have weight under a configuration over experts of these names, before they are loaded. `unusable` are
/// those that cannot be.
///
/// # Errors
/// Names that are unknown or cannot be used; a pinned expert that is muted or general; nobody, under a router that mixes
/// experts.
pub fn check_speakers(config: &RouterConfig, usable: &[String], unusable: Vec<Skipped>) -> Result<()> {
    let names = Arc::new(usable.to_vec());
    speakers(config, &ExpertSet { names, unreadable: unusable, ..ExpertSet::default() }).map(drop)
}

/// Who may have weight under a configuration.
///
/// # Errors
/// Names that are unknown or cannot be used; a pinned expert that is muted or general; nobody, under a router that
/// mixes experts.
pub(super) fn speakers(config: &RouterConfig, experts: &ExpertSet) -> Result<Speakers> {
    let mut active = vec![true; experts.len()];
    let mut general = vec![false; experts.len()];
    for name in &config.muted {
        match experts.index(name) {
            Ok(at) => active[at] = false,
            // It has no weight as it is.
            Err(_) if experts.is_left_out(name) => {}
            Err(error) => return Err(error),
        }
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
    let speakers = Speakers { active, general, pinned };
    if config.router.mutes {
        speakers.require_any()?;
    }
    Ok(speakers)
}

//! What a router is: its entry in the table, and its rule once names and settings are resolved.

use std::fmt::Debug;
use std::sync::Arc;

use super::setting::{CALIBRATED, RouterSetting, SHARPNESS, SettingValue, SettingValues};
use crate::model::Decoder;
use crate::routing::calibration::Calibration;
use crate::routing::experts::ExpertSet;
use crate::routing::mix::Mix;
use crate::routing::own_data::Known;
use crate::routing::rows::{ModuleRows, Sequences};
use crate::routing::scores::{Measure, Needs, Score};
use crate::routing::sharpness::{Sharpness, UsualSpread};
use crate::routing::speakers::Speakers;
use crate::routing::survey::Survey;
use crate::routing::watch::no_score;
use crate::{Cancel, Error, Result};

/// A router's entry in [`super::ROUTERS`]: everything that is said about it, and how its rule is made.
#[derive(Debug)]
pub struct Router {
    /// In the text form: `arrow`.
    pub id: &'static str,
    /// On screens: `Arrow`.
    pub title: &'static str,
    /// One line for help and docs, without a full stop.
    pub help: &'static str,
    /// What the status line says of it beside its settings; empty where they say enough.
    pub caption: &'static str,
    /// Its weights as a formula, for docs.
    pub formula: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What it costs beside the pass of the base model and the chosen experts.
    pub cost: &'static str,
    /// Where it goes wrong.
    pub fails: &'static str,
    /// What follows the id in the text form, where something has to.
    pub argument: Option<Argument>,
    /// In the order in which they are printed.
    pub settings: &'static [&'static RouterSetting],
    /// What weights depend on.
    pub scope: Scope,
    /// Whether it mixes experts, so that one of them can be muted.
    pub mutes: bool,
    /// Whether it chooses among experts, so that one of them can be pinned.
    pub pins: bool,
    /// Whether the key for the next router stops at it, where what it needs is known.
    pub cycles: bool,
    /// Whether it has to know the task of a prompt, as an evaluation does.
    pub needs_task: bool,
    /// What has to be known of the experts for it, whatever its settings.
    pub needs: Needs,
    /// Makes the rule.
    ///
    /// # Errors
    /// Unknown names; settings that cannot go with these experts.
    pub resolve: fn(&Request) -> Result<Resolved>,
}

/// What follows a router's id.
#[derive(Debug)]
pub struct Argument {
    /// In help: `NAME`.
    pub placeholder: &'static str,
    /// Id and argument, in help: `single:NAME`.
    pub usage: &'static str,
    /// Whether it is the name of an expert.
    pub names_expert: bool,
    /// Says what is wrong with it, as far as that shows without a library.
    pub check: fn(&str) -> Result<()>,
}

/// What weights depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// There are none: the base model alone.
    Nothing,
    /// Nothing: they are the same everywhere.
    Everywhere,
    /// The sequence: they are the same for all its tokens and modules.
    Sequence,
    /// The token and the module.
    Token,
}

/// What a router says of itself where the rest follows from what it chooses for.
pub(super) struct Words {
    pub id: &'static str,
    pub title: &'static str,
    pub help: &'static str,
    pub formula: &'static str,
    pub source: &'static str,
    pub cost: &'static str,
    pub fails: &'static str,
}

impl Router {
    /// One that weighs experts for every token and module, as Arrow does: by a score of its own.
    pub(super) const fn per_token(
        words: Words,
        settings: &'static [&'static RouterSetting],
        resolve: fn(&Request) -> Result<Resolved>,
    ) -> Self {
        let Words { id, title, help, formula, source, cost, fails } = words;
        Self {
            id,
            title,
            help,
            caption: "",
            formula,
            source,
            cost,
            fails,
            argument: None,
            settings,
            scope: Scope::Token,
            mutes: true,
            pins: true,
            cycles: true,
            needs_task: false,
            needs: Needs::Prototypes,
            resolve,
        }
    }

    /// One that weighs experts once per sequence.
    pub(super) const fn per_sequence(
        words: Words,
        settings: &'static [&'static RouterSetting],
        resolve: fn(&Request) -> Result<Resolved>,
    ) -> Self {
        Self { scope: Scope::Sequence, ..Self::per_token(words, settings, resolve) }
    }

    /// The same for one that needs the experts' own prompts to be known, or more.
    pub(super) const fn needing(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// Whether it has a setting.
    pub fn has(&self, setting: &RouterSetting) -> bool {
        self.settings.iter().any(|own| own.name == setting.name)
    }

    /// Whether its argument is the name of an expert.
    pub fn names_expert(&self) -> bool {
        self.argument.as_ref().is_some_and(|argument| argument.names_expert)
    }

    /// As it is written in help: `single:NAME`.
    pub fn usage(&self) -> &'static str {
        self.argument.as_ref().map_or(self.id, |argument| argument.usage)
    }
}

/// One of the table: its id says which.
impl PartialEq for Router {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// What a rule is made from.
pub struct Request<'a> {
    /// What followed the id; empty where the router takes nothing.
    pub argument: &'a str,
    /// The settings that were given.
    pub values: &'a SettingValues,
    /// All experts, stacked per module.
    pub experts: &'a ExpertSet,
    /// Who may have weight.
    pub speakers: &'a Speakers,
    /// The base model that they were loaded for.
    pub decoder: &'a Decoder,
    /// What is usual for the experts, where it was measured.
    pub calibration: Option<&'a Arc<Calibration>>,
    /// What is known of the experts beside their weights.
    pub known: &'a Known,
    /// How spread votes usually are, where it was measured.
    pub usual_spread: Option<UsualSpread>,
}

impl Request<'_> {
    /// What is usual for the experts.
    ///
    /// # Errors
    /// When it was not measured.
    pub(super) fn calibration(&self) -> Result<&'_ Arc<Calibration>> {
        self.calibration.ok_or_else(|| Error::msg("the experts' scores were not calibrated"))
    }

    /// How sharp a choice by votes is.
    ///
    /// # Errors
    /// When the votes are to say it, and it was not measured what is usual for them.
    pub(super) fn sharpness(&self) -> Result<Sharpness> {
        match self.values.get(&SHARPNESS) {
            SettingValue::Number(sharpness) => Ok(Sharpness::Fixed(sharpness)),
            _ => {
                let usual = self.usual_spread.map(Sharpness::Auto);
                usual.ok_or_else(|| Error::msg("it was not measured how spread votes usually are"))
            }
        }
    }

    /// Whether what is usual under a score is known of everybody who may have weight, where it counts.
    ///
    /// # Errors
    /// The first expert whose scores were no numbers.
    pub(super) fn check_usual(&self, score: Score) -> Result<()> {
        let Some(calibration) = self.calibration.filter(|_| self.values.flag(&CALIBRATED)) else {
            return Ok(());
        };
        let active = &self.speakers.active;
        match calibration.broken(score).find(|(e, _)| active.get(*e) == Some(&true)) {
            Some((expert, position)) => Err(no_score(self.experts, expert, position)),
            None => Ok(()),
        }
    }

    /// A score, calibrated where the settings say so.
    ///
    /// # Errors
    /// When nothing was measured.
    pub(super) fn measure(&self, score: Score) -> Result<Measure> {
        let calibration = match self.values.flag(&CALIBRATED) {
            false => None,
            true => Some(Arc::clone(self.calibration()?)),
        };
        if calibration.as_ref().is_some_and(|calibration| !calibration.has(score)) {
            return Err(Error::msg(format!("the score {} was not calibrated", score.id)));
        }
        self.check_usual(score)?;
        if score.needs == Needs::Spectra {
            self.experts.prepare_spectra(self.decoder, &Cancel::new())?;
        }
        Ok(Measure { score, known: self.known.clone(), calibration })
    }
}

/// What a rule weighs: the rows of a module.
#[derive(Clone, Copy)]
pub struct Weighing<'a> {
    /// What the module reads.
    pub rows: &'a ModuleRows<'a>,
    /// Who may have weight.
    pub speakers: &'a Speakers,
    /// Experts per row.
    pub width: usize,
    /// What surveys found of the rows' sequences.
    pub sequences: Sequences<'a>,
}

/// A rule with how its experts are put together.
#[derive(Debug)]
pub struct Resolved {
    /// Gives the weights.
    pub rule: Box<dyn Rule>,
    /// How the chosen experts are put together.
    pub mix: Mix,
}

/// Gives the rows of a module their weights. Called once per module and pass: what it does per row and expert
/// is its own loop.
pub trait Rule: Debug + Send + Sync {
    /// Experts that can have weight at one token and module: the width of a trace.
    fn width(&self, speakers: &Speakers) -> usize;

    /// (expert, weight) where weights are the same everywhere, or for the sequence of which `found` was found; else
    /// empty.
    fn constant(&self, speakers: &Speakers, found: &[f32]) -> Vec<(usize, f32)> {
        let _ = (speakers, found);
        Vec::new()
    }

    /// What it scores experts by, where it does.
    fn measure(&self) -> Option<&Measure> {
        None
    }

    /// What decides among the experts with the highest scores, where that is something else.
    fn decider(&self) -> Option<Measure> {
        None
    }

    /// What it has to know of a sequence before it weighs its tokens.
    fn survey(&self) -> Option<&dyn Survey> {
        None
    }

    /// Writes (expert, weight) into `chosen` [rows, width], heaviest first; what it leaves is weight 0.
    ///
    /// # Errors
    /// When scores cannot be computed.
    fn weigh(&self, at: &Weighing, chosen: &mut [(u32, f32)]) -> Result<()>;
}

//! What a router is: its entry in the table, and its rule once names and settings are resolved.

use std::fmt::Debug;

use super::setting::{RouterSetting, SettingValues};
use crate::Result;
use crate::routing::experts::ExpertSet;
use crate::routing::mix::Mix;
use crate::routing::scores::ModuleRows;

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
    /// Whether the key for the next router stops at it.
    pub cycles: bool,
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
}

/// What weights depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// There are none: the base model alone.
    Nothing,
    /// Nothing: they are the same everywhere.
    Everywhere,
    /// The token and the module.
    Token,
}

impl Router {
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
}

/// Who may have weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Speakers {
    /// By expert: whether it may have weight (neither muted nor general).
    pub active: Vec<bool>,
    /// By expert: whether its knowledge was taken out of the others.
    pub general: Vec<bool>,
    /// Experts that always have weight where they are candidates.
    pub pinned: Vec<usize>,
}

impl Speakers {
    /// Number of experts that may have weight.
    pub fn count(&self) -> usize {
        self.active.iter().filter(|active| **active).count()
    }
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

    /// (expert, weight) where weights are the same everywhere; else empty.
    fn constant(&self, speakers: &Speakers) -> Vec<(usize, f32)> {
        let _ = speakers;
        Vec::new()
    }

    /// Writes (expert, weight) into `chosen` [rows, width], heaviest first; what it leaves is weight 0.
    ///
    /// # Errors
    /// When scores cannot be computed.
    fn weigh(
        &self,
        rows: &ModuleRows,
        speakers: &Speakers,
        width: usize,
        chosen: &mut [(u32, f32)],
    ) -> Result<()>;
}

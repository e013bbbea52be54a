//! What describes a way to merge, and what it works with.

/// A way to merge: its names, which options it has, and what it does at a module.
pub struct MethodSpec {
    /// On the command line, in JSON and in expert.toml.
    pub id: &'static str,
    /// One line for `--help` and the reference page, without a full stop.
    pub help: &'static str,
    /// The formula and its source, for the reference page: Markdown on one line, without `|`.
    pub formula: &'static str,
    /// The options that it has; others are refused.
    pub options: &'static [MergeOption],
    /// Whether it works on the entries of A and of B, which must then have equal shapes.
    pub entrywise: bool,
    /// The weight of each of so many experts unless asked otherwise.
    pub(in crate::merge) default_weight: fn(usize) -> f64,
    /// Combines what the experts have at a module.
    pub(in crate::merge) combine: fn(&ModuleParts<'_>, &Recipe) -> Combined,
}

/// An option that some methods have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeOption {
    /// `--rank`: the rank to cut to.
    Rank,
    /// `--density`: share of entries that stay.
    Density,
    /// `--seed`: of what is left to chance.
    Seed,
}

impl MergeOption {
    /// As on the command line.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Rank => "--rank",
            Self::Density => "--density",
            Self::Seed => "--seed",
        }
    }

    /// Why a method does not have it.
    pub(in crate::merge) fn why_not(self) -> &'static str {
        match self {
            Self::Rank => "has the rank that its sum has",
            Self::Density => "keeps all entries",
            Self::Seed => "leaves nothing to chance",
        }
    }
}

/// The settings of a merge; a method reads those that are among its options.
pub(in crate::merge) struct Recipe {
    /// Cut to this rank; `None` keeps all.
    pub rank: Option<usize>,
    /// Share of entries that stay.
    pub density: f64,
    pub seed: u64,
}

/// What the experts have at one module.
pub(in crate::merge) struct ModuleParts<'a> {
    /// Path of the module.
    pub module: &'a str,
    /// Those that have it, in the order they were named.
    pub parts: Vec<ModulePart<'a>>,
    /// Features that it maps from and to.
    pub inputs: usize,
    pub outputs: usize,
}

/// One expert at one module.
pub(in crate::merge) struct ModulePart<'a> {
    pub rank: usize,
    /// Weight times scale.
    pub factor: f64,
    /// rank × in.
    pub a: Vec<f32>,
    /// out × rank.
    pub b: Vec<f32>,
    /// What identifies the expert's weights, for what is left to chance.
    pub origin: &'a str,
}

/// A module of the merged adapter: ΔW = B·A.
#[derive(Debug)]
pub(in crate::merge) struct Combined {
    pub rank: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// rank × in.
    pub a: Vec<f32>,
    /// out × rank.
    pub b: Vec<f32>,
    /// ‖ΔW‖² before a truncation; 0 where none was asked for.
    pub energy: f64,
    /// How much of it was cut off.
    pub lost: f64,
}

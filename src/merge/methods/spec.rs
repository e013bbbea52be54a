//! What describes a way to merge, and what it works with.

use crate::merge::MergeSpec;
use crate::merge::options::MergeOption;

/// A way to merge: its names, which options it has, and what it does at a module.
pub struct MethodSpec {
    /// On the command line, in JSON and in expert.toml.
    pub id: &'static str,
    /// One line for `--help` and the reference page, without a full stop.
    pub help: &'static str,
    /// The formula and its source, for the reference page: Markdown on one line, without `|`.
    pub formula: &'static str,
    /// Which rank the result has, for the reference page.
    pub rank: &'static str,
    /// The options that it has; others are refused.
    pub options: &'static [&'static MergeOption],
    /// Whether it cuts ΔW to a rank, so that a report says how much of it is lost.
    pub truncates: bool,
    /// Whether it works on the entries of A and of B, which must then have equal shapes.
    pub entrywise: bool,
    /// The weight of each of so many experts unless asked otherwise.
    pub(in crate::merge) default_weight: fn(usize) -> f64,
    /// Combines what the experts have at a module.
    /// Whatever option it has was given, or has its default.
    pub(in crate::merge) combine: fn(&ModuleParts<'_>, &MergeSpec) -> Combined,
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
    /// How much of it was discarded.
    pub lost: f64,
}

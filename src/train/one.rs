//! One training, alone or of several: what it is asked to do, and what it begins with.

use std::path::Path;
use std::sync::Arc;

use super::TrainSpec;
use super::blend::Blend;
use crate::library::{AdaptedFrom, SeenTask};

/// One of several trainings.
#[derive(Clone, Copy, Debug)]
pub struct OneOf<'a> {
    /// What to train. Base model, device and precision are the same for all.
    pub spec: &'a TrainSpec,
    /// Where its state is kept while it is made, if anywhere.
    pub state: Option<&'a Path>,
    /// What it begins with, where it adapts a library to a new task.
    pub adapted: Option<&'a Adapted>,
}

/// What a training begins with that adapts a library to a new task.
#[derive(Clone, Debug)]
pub struct Adapted {
    /// As the new expert's `expert.toml` says it: `init` is then of no interest.
    pub from: AdaptedFrom,
    /// What these experts have learned.
    pub seen: Vec<SeenTask>,
    /// Where weights of experts are learned, not factors: these experts, in the order of `from`.
    pub blend: Option<Arc<Blend>>,
}

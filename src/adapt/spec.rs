//! What an adaptation is asked to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::train::TrainSpec;

/// What training begins with where nothing is said; docs/experiments.md says why.
const DEFAULT: &str = "nearest";

/// Learning rate of weights, where none is given: they are few, and a small change of one says little.
const WEIGHT_RATE: f64 = 0.1;

/// A new task out of the experts of a library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdaptSpec {
    /// Whose experts are adapted; it gets the new one.
    pub library: PathBuf,
    /// The task: its folder, or a `.jsonl` file.
    pub data: PathBuf,
    /// Of the new expert. Without one, experts are only compared, and removed after that.
    pub name: String,
    /// What training begins with, or several of these; pieces of a list of them that had commas between.
    pub from: Vec<String>,
    /// Numbers of examples; none means all.
    pub shots: Vec<usize>,
    /// Experts to adapt; none means all that can be used.
    pub experts: Vec<String>,
    /// Highest learning rate where weights are learned.
    pub weight_rate: f64,
    /// Items that are asked, at most.
    pub limit: Option<usize>,
    /// How it is trained. Library, data, name and shots are filled in.
    pub training: TrainSpec,
}

impl Default for AdaptSpec {
    fn default() -> Self {
        Self {
            library: PathBuf::from("library"),
            data: PathBuf::new(),
            name: String::new(),
            from: vec![DEFAULT.into()],
            shots: Vec::new(),
            experts: Vec::new(),
            weight_rate: WEIGHT_RATE,
            limit: None,
            training: TrainSpec::default(),
        }
    }
}

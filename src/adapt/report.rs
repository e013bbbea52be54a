//! What an adaptation found out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::eval::Mean;
use crate::library::Skipped;
use crate::scorers::Scorer;
use crate::train::TrainReport;

/// What `adapt --json` prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdaptReport {
    /// Id of the task; untrusted.
    pub task: String,
    /// The expert that was kept.
    pub expert: Option<String>,
    /// Its folder.
    pub path: Option<PathBuf>,
    /// How answers were scored, where they were.
    pub metric: Option<Scorer>,
    /// Items that were asked.
    pub items: usize,
    /// A row for each start and number of examples: start by start, the fewest examples first.
    pub rows: Vec<AdaptRow>,
    /// What the library knows without any training.
    pub untrained: Vec<Untrained>,
    /// Things worth knowing, each one line, untrusted.
    pub warnings: Vec<String>,
    /// Experts that were not adapted.
    pub skipped: Vec<Skipped>,
    /// Time that it took, also in earlier runs of its trainings.
    pub seconds: f64,
}

/// A start with a number of examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptRow {
    /// As on the command line.
    pub start: String,
    /// Training examples.
    pub shots: usize,
    /// What it was made of, the largest weight first.
    pub experts: Vec<Part>,
    /// Share of ‖ΔW‖² of the merged experts that the rank has kept, where it was cut.
    pub kept: Option<f64>,
    /// Before training.
    pub before: Scores,
    /// After it.
    pub after: Scores,
    /// Of the training.
    pub training: TrainReport,
}

/// An expert of a start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Untrusted.
    pub name: String,
    /// Mean over the modules.
    pub weight: f64,
}

/// How good something is on the test split, where it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// By the task's own metric.
    pub score: Option<Mean>,
    /// In nats per token of the right answer.
    pub loss: Option<Mean>,
}

/// What answers without any training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Untrained {
    /// `base`, or a router over the library.
    pub method: String,
    /// How good it is.
    pub scores: Scores,
}

//! What a job's worker reports, as its file of events holds it.

use serde::{Deserialize, Serialize};

use crate::train::Step;

/// One line of a job's `events.jsonl`; times are seconds since the epoch. Readers skip lines they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum JobEvent {
    /// The worker holds a slot and has begun. `steps` is 0 while unknown.
    Started { time: f64, steps: usize },
    /// What it is doing now ("loading the base model").
    Stage { time: f64, text: String },
    /// The parts of the work, where it has several: they come one after the other.
    Rows { time: f64, rows: Vec<JobRow> },
    /// One unit of work is over.
    Step {
        time: f64,
        #[serde(flatten)]
        step: Step,
        /// Number of the part that the step belongs to; its steps count over all parts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<usize>,
    },
    /// Somebody resumed a job that was over; it waits for a slot again.
    Resumed { time: f64 },
    /// A line for the log.
    Log { time: f64, text: String },
}

/// One part of a job's work: an expert of several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobRow {
    /// The new expert's name.
    pub name: String,
    /// The experts whose tasks it learns.
    pub members: Vec<String>,
    pub step: usize,
    pub steps: usize,
    /// The last ones.
    pub loss: Option<f64>,
    pub validation_loss: Option<f64>,
}

//! What a job's worker reports, as its file of events has it.

use serde::{Deserialize, Serialize};

use crate::train::Step;

/// One line of a job's `events.jsonl`; times are seconds since the epoch. Readers skip lines they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum JobEvent {
    /// The worker holds a slot and has begun. `steps` is 0 while unknown.
    Started {
        /// When.
        time: f64,
        /// Steps to do.
        steps: usize,
    },
    /// What it is doing now ("loading the base model").
    Stage {
        /// When.
        time: f64,
        /// In words.
        text: String,
    },
    /// The parts of the work, where it has several.
    Rows {
        /// When.
        time: f64,
        /// All of them.
        rows: Vec<JobRow>,
    },
    /// One unit of work has finished.
    Step {
        /// When.
        time: f64,
        /// What was done.
        #[serde(flatten)]
        step: Step,
        /// Number of the part that the step belongs to; its steps count over all parts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<usize>,
        /// Steps that this part has made; without it, all parts before it are done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row_step: Option<usize>,
    },
    /// A job that had ended was resumed; it waits for a slot again.
    Resumed {
        /// When.
        time: f64,
    },
    /// A line for the log.
    Log {
        /// When.
        time: f64,
        /// One line, untrusted.
        text: String,
    },
}

impl JobEvent {
    /// When it came, in seconds since the epoch.
    pub fn time(&self) -> f64 {
        match self {
            Self::Started { time, .. }
            | Self::Stage { time, .. }
            | Self::Rows { time, .. }
            | Self::Step { time, .. }
            | Self::Resumed { time }
            | Self::Log { time, .. } => *time,
        }
    }
}

/// One part of a job's work: an expert of several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobRow {
    /// The new expert's name.
    pub name: String,
    /// The experts whose tasks it learns.
    pub members: Vec<String>,
    /// Steps done.
    pub step: usize,
    /// Steps to do.
    pub steps: usize,
    /// The last ones.
    pub loss: Option<f64>,
    /// After its training.
    pub validation_loss: Option<f64>,
}

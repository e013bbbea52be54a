//! What a job is asked to do, what it reports, and what a reader sees of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::train::{ClustersSpec, TrainSpec};

/// What a worker has to do; `spec.json` in the job's directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum JobSpec {
    Train(Box<TrainSpec>),
    Cluster(ClusterSpec),
    /// One expert a cluster, into a new library.
    #[serde(rename = "train-clusters")]
    TrainClusters(Box<ClustersSpec>),
}

impl JobSpec {
    /// `train`, `cluster` or `train-clusters`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Train(_) => "train",
            Self::Cluster(_) => "cluster",
            Self::TrainClusters(_) => "train-clusters",
        }
    }

    /// The new expert's name, or what is clustered or made (`library, k = 4`).
    pub fn title(&self) -> String {
        let clusters = |folder: &Path, k: usize| {
            format!("{}, k = {k}", folder.file_name().unwrap_or_default().to_string_lossy())
        };
        match self {
            Self::Train(spec) => spec.name.clone(),
            Self::Cluster(spec) => clusters(&spec.library, spec.k),
            Self::TrainClusters(spec) => clusters(&spec.out, spec.k),
        }
    }
}

/// MBC similarity and clustering of a whole library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    pub library: PathBuf,
    /// Base model that the experts have to fit; the library's where none is given.
    #[serde(default)]
    pub base: Option<PathBuf>,
    pub k: usize,
    pub sparsity: f64,
    pub seed: u64,
}

/// One line of a job's `events.jsonl`. Readers skip lines they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum JobEvent {
    /// The worker holds a slot and has begun. `steps` is 0 while unknown.
    Started { time: f64, steps: usize },
    /// What it is doing now ("loading the base model").
    Stage { time: f64, text: String },
    /// The parts of the work, where it has several: they come one after the other.
    Rows { time: f64, rows: Vec<JobRow> },
    /// One unit of work is over. Seconds since the epoch; losses where they exist.
    Step {
        time: f64,
        step: usize,
        steps: usize,
        loss: Option<f64>,
        validation_loss: Option<f64>,
        learning_rate: Option<f64>,
        tokens_per_second: Option<f64>,
        eta_seconds: Option<f64>,
        /// Number of the part that the step belongs to; `step` counts over all parts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<usize>,
    },
    /// Somebody let a job go on that was over; it waits for a slot again.
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

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Queued,
    Running,
    /// Asked to stop, not yet stopped.
    Cancelling,
    Cancelled,
    Failed,
    Finished,
}

impl JobState {
    /// Its name in files and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Finished => "finished",
        }
    }

    /// Whether the job will change no more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failed | Self::Finished)
    }

    /// Whether [`Jobs::resume`](super::Jobs::resume) lets the job go on.
    pub fn can_resume(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failed)
    }
}

/// A job as read from its directory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobSummary {
    pub id: String,
    /// `train`, `cluster` or `train-clusters`.
    pub kind: String,
    /// The expert's name, or what is clustered.
    pub name: String,
    pub state: JobState,
    pub step: usize,
    /// 0 while unknown.
    pub steps: usize,
    /// RFC 3339 UTC; `None` while queued.
    pub started: Option<String>,
    pub error: Option<String>,
}

impl JobSummary {
    /// Whether what was done is kept when the job is cancelled, so that it goes on from there; other jobs begin
    /// again.
    pub fn keeps_its_work(&self) -> bool {
        matches!(self.kind.as_str(), "train" | "train-clusters")
    }
}

/// Everything the Jobs screen shows of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobDetail {
    pub summary: JobSummary,
    pub spec: Option<JobSpec>,
    pub stage: Option<String>,
    /// The parts of the work, where it has several.
    pub rows: Vec<JobRow>,
    /// (step, training loss), in order.
    pub losses: Vec<(usize, f64)>,
    /// (step, validation loss), in order.
    pub validation: Vec<(usize, f64)>,
    pub tokens_per_second: Option<f64>,
    pub eta_seconds: Option<f64>,
    /// Last lines of the log and of the worker's output, untrusted.
    pub log: Vec<String>,
    /// `result.json`, pretty-printed, once finished.
    pub result: Option<String>,
}

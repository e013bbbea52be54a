//! What a training is asked to do and what it reports.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Schedule;
use super::given::Given;
use super::memory_need::Forecast;
use crate::library::{Provenance, TaskRecord};
use crate::model::Precision;

/// Everything that decides a training; the command line, the form and the job file all fill this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSpec {
    /// That gets the new expert.
    pub library: PathBuf,
    /// Task folders or `.jsonl` files; several make a joint expert.
    pub data: Vec<PathBuf>,
    /// One plain path component: the new expert's folder below `library`.
    pub name: String,
    /// Examples of each task to learn from, drawn from its training split by `seed`; `None` means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shots: Option<usize>,
    /// Rank of the LoRA matrices.
    pub rank: usize,
    /// α; the scale is α/r.
    pub alpha: f64,
    /// Share of LoRA's inputs that are dropped while training.
    pub dropout: f64,
    /// At its peak.
    pub learning_rate: f64,
    /// Passes over the data; `None` means one, or as many as `max_steps` takes.
    pub epochs: Option<f64>,
    /// Stops earlier than `epochs` would.
    pub max_steps: Option<usize>,
    /// Examples that go through the model at once.
    pub batch: usize,
    /// Batches per step: a step learns from `batch × accumulate` examples, in the memory of one batch.
    pub accumulate: usize,
    /// How the rate changes after the warm-up.
    pub schedule: Schedule,
    /// Share of the steps over which the rate rises from 0.
    pub warmup: f64,
    /// Decoupled weight decay of AdamW, per step and unit of rate.
    pub weight_decay: f64,
    /// Scales the gradient of a step down to this norm over all LoRA tensors; `None` leaves it as it is.
    pub clip: Option<f64>,
    /// Computes every block again in the backward pass instead of keeping its values.
    pub checkpointing: bool,
    /// Longer examples are cut at the end of the prompt's start.
    pub max_length: usize,
    /// Last path components of the layers to adapt.
    pub targets: Vec<String>,
    /// Of the start, the order and the dropout.
    pub seed: u64,
    /// Adapter to start from.
    pub init: Option<PathBuf>,
    /// Whether the examples are shuffled in each epoch.
    pub shuffle: bool,
    /// Puts examples of similar length into one batch.
    pub by_length: bool,
    /// Validation examples for a `.jsonl` file.
    pub validation: Option<PathBuf>,
    /// Validation examples of each task that the loss is measured on, at most; `None` means 200, of several tasks divided
    /// among them, but 20 at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_items: Option<usize>,
    /// One JSON line per step.
    pub log: Option<PathBuf>,
    /// Steps between two saved states of a job; `None` saves about once a minute.
    pub checkpoint_every: Option<usize>,
    /// Base model given by the person; else the library's.
    pub base: Option<PathBuf>,
    /// How its paths were given, where a job has other ones. Decides nothing.
    #[serde(skip_serializing_if = "Given::is_empty")]
    pub given: Given,
    /// Memory that it will take, as forecast when it was handed over as a job. Decides nothing.
    pub forecast: Option<Forecast>,
    /// `auto`, `cpu`, `cuda:N`, `metal`.
    pub device: String,
    /// How the frozen base model is stored; LoRA and its gradients are f32 in any case.
    pub precision: Precision,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            library: PathBuf::from("library"),
            data: Vec::new(),
            name: String::new(),
            shots: None,
            rank: 4,
            alpha: 8.0,
            dropout: 0.05,
            learning_rate: 1e-3,
            epochs: None,
            max_steps: None,
            batch: 16,
            accumulate: 1,
            schedule: Schedule::Linear,
            warmup: 0.06,
            weight_decay: 0.0,
            clip: None,
            checkpointing: false,
            max_length: 256,
            targets: ["q_proj", "k_proj", "v_proj", "o_proj"].map(String::from).to_vec(),
            seed: 42,
            init: None,
            shuffle: true,
            by_length: false,
            validation: None,
            validation_items: None,
            log: None,
            checkpoint_every: None,
            base: None,
            given: Given::default(),
            forecast: None,
            device: "auto".into(),
            precision: Precision::F32,
        }
    }
}

impl TrainSpec {
    /// Examples that a step learns from.
    pub fn step_size(&self) -> usize {
        self.batch.saturating_mul(self.accumulate)
    }
}

/// JSON has no NaN: it is written as null.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl TrainReport {
    /// Of an expert that an earlier run finished, as its provenance has it; `None` where that has no loss.
    pub(super) fn of_finished(expert: &str, path: PathBuf, provenance: &Provenance) -> Option<Self> {
        Some(Self {
            expert: expert.into(),
            path,
            steps: provenance.steps.unwrap_or_default(),
            examples: provenance.examples.unwrap_or_default(),
            train_loss: provenance.train_loss?,
            validation_loss: provenance.validation_loss,
            base_validation_loss: provenance.base_validation_loss,
            seconds: provenance.seconds.unwrap_or_default(),
            tokens_per_second: provenance.tokens_per_second.unwrap_or_default(),
            tasks: provenance.tasks.clone(),
        })
    }
}

/// What `train --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainReport {
    /// Name of the new expert.
    pub expert: String,
    /// Its folder.
    pub path: PathBuf,
    /// Steps that were trained.
    pub steps: usize,
    /// Training examples; 0 where an earlier version did not say.
    #[serde(default)]
    pub examples: usize,
    /// NaN where no step was made.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_loss: f64,
    /// Loss per output token on the validation split.
    pub validation_loss: Option<f64>,
    /// The same of the base model alone.
    pub base_validation_loss: Option<f64>,
    /// Time that it took.
    pub seconds: f64,
    /// Forward and backward.
    pub tokens_per_second: f64,
    /// Each task, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskRecord>,
}

//! What a training is asked to do and what it reports.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that decides a training; the command line, the form and the job file all fill this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSpec {
    pub library: PathBuf,
    /// Task folders or `.jsonl` files; several make a joint expert.
    pub data: Vec<PathBuf>,
    /// One plain path component: the new expert's folder below `library`.
    pub name: String,
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
    pub learning_rate: f64,
    /// Passes over the data; `None` means one, or as many as `max_steps` takes.
    pub epochs: Option<f64>,
    /// Stops earlier than `epochs` would.
    pub max_steps: Option<usize>,
    /// Examples per step.
    pub batch: usize,
    /// Longer examples are cut at the end of the prompt's start.
    pub max_length: usize,
    /// Last path components of the layers to adapt.
    pub targets: Vec<String>,
    pub seed: u64,
    /// Adapter to start from.
    pub init: Option<PathBuf>,
    pub shuffle: bool,
    pub validation: Option<PathBuf>,
    /// One JSON line a step.
    pub log: Option<PathBuf>,
    /// Base model given by the person; else the library's.
    pub base: Option<PathBuf>,
    /// `auto`, `cpu`, `cuda:N`, `metal`.
    pub device: String,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            library: PathBuf::from("library"),
            data: Vec::new(),
            name: String::new(),
            rank: 4,
            alpha: 8.0,
            dropout: 0.05,
            learning_rate: 1e-3,
            epochs: None,
            max_steps: None,
            batch: 16,
            max_length: 256,
            targets: ["q_proj", "k_proj", "v_proj", "o_proj"].map(String::from).to_vec(),
            seed: 42,
            init: None,
            shuffle: true,
            validation: None,
            log: None,
            base: None,
            device: "auto".into(),
        }
    }
}

/// What `train --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainReport {
    pub expert: String,
    pub path: PathBuf,
    pub steps: usize,
    pub train_loss: f64,
    pub validation_loss: Option<f64>,
    pub base_validation_loss: Option<f64>,
    pub seconds: f64,
    pub tokens_per_second: f64,
}

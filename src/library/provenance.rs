//! `expert.toml`: where an expert came from.

use serde::{Deserialize, Serialize};

use super::small_toml;
use crate::memory::size;

/// `expert.toml`: where an expert came from. Every field is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Id of the task.
    pub task: Option<String>,
    /// Of the task.
    pub family: Option<String>,
    /// Dataset path(s) as given, and the SHA-256 of the training examples.
    pub dataset: Option<String>,
    /// Of the training data.
    pub dataset_sha256: Option<String>,
    /// Number of training examples.
    pub examples: Option<usize>,
    /// How it was trained, by the names of the settings: `rank`, `learning_rate`, `batch`, … and whatever else
    /// stands in the file; untrusted.
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Steps that were trained.
    pub steps: Option<usize>,
    /// Passes over the data.
    pub epochs: Option<f64>,
    /// Of the start, the order and the dropout.
    pub seed: Option<u64>,
    /// Names or path of the base model and the SHA-256 of its file.
    pub base: Option<String>,
    /// Of the base model's file.
    pub base_sha256: Option<String>,
    /// The prompt template.
    pub template: Option<String>,
    /// Mean loss per output token over the last steps.
    pub train_loss: Option<f64>,
    /// Loss per output token on the validation split.
    pub validation_loss: Option<f64>,
    /// The same of the base model alone.
    pub base_validation_loss: Option<f64>,
    /// Time that the training took.
    pub seconds: Option<f64>,
    /// Of the training, forward and backward.
    pub tokens_per_second: Option<f64>,
    /// SHA-256 of all that decided the training: the base model, the data, the template and the settings.
    pub training_sha256: Option<String>,
    /// RFC 3339, UTC.
    pub created: Option<String>,
    /// Version of this program.
    pub tool_version: Option<String>,
    /// What it was merged from.
    pub merge: Option<MergeProvenance>,
    /// SHA-256 of the training splits that the examples were drawn from, where they are some of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drawn_from: Vec<String>,
    /// What it was adapted from.
    pub adapted: Option<AdaptedFrom>,
    /// What had been learned before by the experts that it started from or was made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seen_before: Vec<SeenTask>,
    /// Each task of a joint expert.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskRecord>,
}

/// How a training began that adapts a library to a new task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdaptedFrom {
    /// The start, as on the command line: `nearest`, `arrow`, …
    pub start: String,
    /// Share of ‖ΔW‖² of the merged experts that the rank of the training has kept.
    pub kept: Option<f64>,
    /// The experts that it was made of, each with the mean of its weights over the modules.
    pub experts: Vec<MergedExpert>,
}

/// What an expert has learned, by a name, a hash or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct SeenTask {
    /// Id of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// SHA-256 of the training examples, or of those that they were drawn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_sha256: Option<String>,
}

/// What an expert has learned, as [`SeenTask`]: read where it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned<'a> {
    /// Id of the task.
    pub task: Option<&'a str>,
    /// Of the task.
    pub family: Option<&'a str>,
    /// SHA-256 of the training examples, or of those that they were drawn from.
    pub dataset_sha256: Option<&'a str>,
}

impl From<Learned<'_>> for SeenTask {
    fn from(learned: Learned<'_>) -> Self {
        let Learned { task, family, dataset_sha256 } = learned;
        Self {
            task: task.map(String::from),
            family: family.map(String::from),
            dataset_sha256: dataset_sha256.map(String::from),
        }
    }
}

/// One of several tasks that an expert was trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskRecord {
    /// Its id.
    pub task: String,
    /// Training examples.
    pub examples: usize,
    /// SHA-256 of its training examples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_sha256: Option<String>,
    /// Loss per output token on its validation split.
    pub validation_loss: Option<f64>,
    /// The same of the base model alone.
    pub base_validation_loss: Option<f64>,
}

/// How experts were merged into one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MergeProvenance {
    /// As on the command line.
    pub method: String,
    /// The options of the method, by name: `density`, `seed`, … and whatever else stands in the file; untrusted.
    #[serde(flatten)]
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What went in.
    pub experts: Vec<MergedExpert>,
}

/// One expert of a merge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MergedExpert {
    /// As it was called then.
    pub name: String,
    /// What its ΔW was multiplied with.
    pub weight: f64,
    /// SHA-256 of its weights file.
    pub sha256: String,
    /// SHA-256 of its `adapter_config.json`, which has the scale.
    pub config_sha256: String,
}

impl Provenance {
    /// Name of the file in an expert's folder.
    pub const FILE: &str = "expert.toml";
    /// Largest file that is read: of an expert that has learned 10,000 tasks or was merged from as many.
    pub(super) const MOST_BYTES: u64 = 4 << 20;

    /// Reads the file's text. The error is a reason on one line.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > Self::MOST_BYTES {
            return Err(format!(
                "has {}: at most {} are read",
                size(bytes.len() as u64),
                size(Self::MOST_BYTES)
            ));
        }
        small_toml::parse_long(bytes)
    }

    /// What it says that was learned, also before this training, and what the examples were drawn from.
    pub(super) fn learned(&self) -> impl Iterator<Item = Learned<'_>> {
        let of_hash = |hash| Learned { dataset_sha256: Some(hash), ..Learned::default() };
        let family = self.family.as_deref();
        // Several tasks have a hash together, and no name.
        let alone = self.task.as_deref().filter(|_| self.tasks.is_empty());
        let own = Learned {
            task: alone,
            family: family.filter(|_| alone.is_some()),
            dataset_sha256: self.dataset_sha256.as_deref(),
        };
        let each = self.tasks.iter().map(move |record| Learned {
            task: Some(record.task.as_str()),
            family,
            dataset_sha256: record.dataset_sha256.as_deref(),
        });
        let before = self.seen_before.iter().map(|seen| Learned {
            task: seen.task.as_deref(),
            family: seen.family.as_deref(),
            dataset_sha256: seen.dataset_sha256.as_deref(),
        });
        std::iter::once(own)
            .chain(each)
            .chain(self.drawn_from.iter().map(String::as_str).map(of_hash))
            .chain(before)
            .filter(|learned| learned.task.is_some() || learned.dataset_sha256.is_some())
    }

    /// Whether it says nothing of tasks.
    pub(super) fn is_silent(&self) -> bool {
        self.task.is_none() && self.tasks.is_empty() && self.seen_before.is_empty()
    }

    /// A setting of the training as text, if it is there and one value; untrusted.
    pub fn setting(&self, id: &str) -> Option<String> {
        use serde_json::Value;
        match self.settings.get(id)? {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

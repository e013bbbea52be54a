//! `expert.toml`: where an expert came from.

use serde::{Deserialize, Serialize};

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

    /// SHA-256 of all that it was trained on, also before this training, and of what that was drawn from.
    pub fn seen(&self) -> impl Iterator<Item = &String> {
        let each = self.tasks.iter().filter_map(|task| task.dataset_sha256.as_ref());
        let before = self.seen_before.iter().filter_map(|task| task.dataset_sha256.as_ref());
        self.dataset_sha256.iter().chain(each).chain(&self.drawn_from).chain(before)
    }

    /// All that experts have learned, each once, in order: what is made of them has seen it before.
    pub fn seen_by<'a>(all: impl IntoIterator<Item = &'a Self>) -> Vec<SeenTask> {
        let mut seen: Vec<SeenTask> = all.into_iter().flat_map(Self::history).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// What it has learned, and before.
    fn history(&self) -> Vec<SeenTask> {
        let of_hash = |hash: &String| SeenTask { dataset_sha256: Some(hash.clone()), ..SeenTask::default() };
        let family = self.family.clone();
        let mut all = match self.tasks.as_slice() {
            [] => vec![SeenTask {
                task: self.task.clone(),
                family,
                dataset_sha256: self.dataset_sha256.clone(),
            }],
            tasks => {
                let of_task = |record: &TaskRecord| SeenTask {
                    task: Some(record.task.clone()),
                    family: family.clone(),
                    dataset_sha256: record.dataset_sha256.clone(),
                };
                tasks.iter().map(of_task).chain(self.dataset_sha256.iter().map(of_hash)).collect()
            }
        };
        all.retain(|seen| seen.task.is_some() || seen.dataset_sha256.is_some());
        all.extend(self.drawn_from.iter().map(of_hash));
        all.extend(self.seen_before.iter().cloned());
        all
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

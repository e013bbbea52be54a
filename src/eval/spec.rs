//! What an evaluation is asked to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::methods::{Method, default_methods};
use super::split::Split;
use crate::model::Precision;
use crate::scorers::{Scorer, Scoring};

/// Methods on tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvalSpec {
    /// The main library.
    pub library: PathBuf,
    /// Its base model; the library's where none is given.
    pub base: Option<PathBuf>,
    /// Folders of tasks.
    pub tasks: Vec<PathBuf>,
    /// Methods, or pieces of a list of them that had commas between.
    pub methods: Vec<String>,
    /// Libraries that methods name.
    pub libraries: Vec<NamedLibrary>,
    /// Which items are asked.
    pub split: Split,
    /// Items per task, at most.
    pub limit: Option<usize>,
    /// Examples before each item; as many as its task says where none are asked for, else none.
    pub num_fewshot: Option<usize>,
    /// By which rules.
    pub scoring: Scoring,
    /// The metric of every task, in place of its own.
    pub metric: Option<Scorer>,
    /// Only tasks that no expert was trained on.
    pub held_out: bool,
    /// The method that the others are compared with; `base` where none is named.
    pub against: String,
    /// Compute what is known once more.
    pub fresh: bool,
    /// Keep the answers, also where their scores could be known without.
    pub answers: bool,
    /// Settings that methods do not give, as those of a router in its text form; the library's where it is empty.
    pub router: String,
    /// More of them, by name.
    pub settings: Vec<(String, String)>,
    /// Experts that get no weight.
    pub muted: Vec<String>,
    /// Experts that are always among the top k.
    pub pinned: Vec<String>,
    /// Experts whose mean is taken out of all others.
    pub general: Vec<String>,
    /// Prompts that calibrated routers are calibrated with.
    pub calibration: Option<PathBuf>,
    /// Where to compute.
    pub device: String,
    /// Of the base model's weights.
    pub precision: Precision,
}

/// A library with the name by which methods name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedLibrary {
    /// The name.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
}

impl Default for EvalSpec {
    fn default() -> Self {
        Self {
            library: PathBuf::from("library"),
            base: None,
            tasks: Vec::new(),
            methods: default_methods().iter().map(Method::to_string).collect(),
            libraries: Vec::new(),
            split: Split::default(),
            limit: None,
            num_fewshot: None,
            scoring: Scoring::default(),
            metric: None,
            held_out: false,
            against: String::new(),
            fresh: false,
            answers: false,
            router: String::new(),
            settings: Vec::new(),
            muted: Vec::new(),
            pinned: Vec::new(),
            general: Vec::new(),
            calibration: None,
            device: "auto".into(),
            precision: Precision::F32,
        }
    }
}

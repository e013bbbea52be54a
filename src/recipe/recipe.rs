//! What a recipe asks for.

use std::path::PathBuf;

use crate::analysis::DEFAULT_SPARSITY;
use crate::eval::EvalSpec;
use crate::library::{BaseSpec, Template};
use crate::train::{TrainSpec, VALIDATION_OF_A_TASK};

/// An experiment: libraries that are made of tasks, and how they are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Where it stands; a built-in one has a name here and no file.
    pub file: PathBuf,
    /// Its text, to say where something stands in it.
    pub text: String,
    /// Heading of the report.
    pub name: String,
    /// Who runs its jobs; the default executor where it is empty.
    pub executor: String,
    /// `[base]` of the libraries that it makes.
    pub base: Option<BaseSpec>,
    /// `[template]` of these.
    pub template: Option<Template>,
    /// `[tasks]`.
    pub tasks: TaskLists,
    /// `[training]`: of every expert. `max_steps` are those of a task: an expert of several trains so many for each.
    pub training: TrainSpec,
    /// `[private]`.
    pub private: Private,
    /// `[clusters]`.
    pub clusters: Clusters,
    /// `[controls]`.
    pub controls: Controls,
    /// `[evaluation]`: without methods there is none. Libraries and tasks are filled in.
    pub evaluation: EvalSpec,
    /// `[forecast] tokens_per_second` of a training.
    pub tokens_per_second: Option<f64>,
}

/// Which tasks there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskLists {
    /// Folders of tasks to train on; those in them that are marked as held out are only asked.
    pub train: Vec<PathBuf>,
    /// Folders of tasks that are only asked.
    pub held_out: Vec<PathBuf>,
}

/// The library with an expert for each task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Private {
    /// One that is there already; nothing is trained for it.
    pub library: Option<PathBuf>,
    /// Jobs among which its trainings are divided.
    pub jobs: usize,
}

/// The libraries with an expert for each cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Numbers of clusters, as written: `4, 8` or `2..8`; empty for no such library.
    pub k: String,
    /// Seeds of clusterings and trainings, as written.
    pub seeds: String,
    /// Percents of the steps that one expert makes on all tasks before, as written.
    pub joint_shares: String,
    /// Share of each expert's smallest entries that count as zero.
    pub sparsity: f64,
}

/// Libraries that the others are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controls {
    /// One expert for all tasks.
    pub joint: bool,
    /// For each library of clusters one with clusters of the same sizes, dealt out at random.
    pub random: bool,
}

impl Default for Private {
    fn default() -> Self {
        Self { library: None, jobs: 1 }
    }
}

impl Default for Clusters {
    fn default() -> Self {
        Self { k: String::new(), seeds: "42".into(), joint_shares: "0".into(), sparsity: DEFAULT_SPARSITY }
    }
}

impl Default for Controls {
    fn default() -> Self {
        Self { joint: true, random: true }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            file: PathBuf::new(),
            text: String::new(),
            name: String::new(),
            executor: String::new(),
            base: None,
            template: None,
            tasks: TaskLists::default(),
            // The losses of libraries are of the same items, however many tasks an expert has.
            training: TrainSpec { validation_items: Some(VALIDATION_OF_A_TASK), ..TrainSpec::default() },
            private: Private::default(),
            clusters: Clusters::default(),
            controls: Controls::default(),
            evaluation: EvalSpec { methods: Vec::new(), ..EvalSpec::default() },
            tokens_per_second: None,
        }
    }
}

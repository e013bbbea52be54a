//! What a job made, and what can be done with it.

use std::path::PathBuf;

use serde_json::Value;

/// What a job made.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// An expert of the job's library.
    Expert(String),
    /// Clusters of its experts, by what gives them again.
    Clusters {
        /// Number of clusters.
        k: usize,
        /// Of k-means.
        seed: u64,
        /// Share of each expert's smallest entries that counts as zero.
        sparsity: f64,
    },
    /// A library, in this folder.
    Library(PathBuf),
    /// Scores, which its report has.
    Scores,
}

/// Something to do once a job has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// An imperative without a full stop; untrusted.
    pub text: String,
    /// What it is.
    pub step: Step,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Shows what the job made.
    Open(Made),
    /// Shows how much an expert resembles others.
    Compare(String),
    /// Tries an expert on a prompt.
    Route(String),
    /// Starts another job, after a look at its settings: what `spec.json` would have.
    Start(Value),
}

impl Next {
    /// Shows what a job made.
    pub fn open(text: impl Into<String>, made: Made) -> Self {
        Self { text: text.into(), step: Step::Open(made) }
    }

    /// What there is to do with a new expert, but for another job.
    pub fn of_expert(name: &str) -> Vec<Self> {
        let next = |text: &str, step: Step| Self { text: text.into(), step };
        vec![
            next("Show the expert in the Library tab", Step::Open(Made::Expert(name.into()))),
            next("Compare it with the other experts", Step::Compare(name.into())),
            next("Route a prompt with it", Step::Route(name.into())),
        ]
    }
}

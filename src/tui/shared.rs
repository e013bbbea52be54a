//! What all tabs may read.

use std::collections::HashMap;
use std::sync::Arc;

use super::EngineState;
use crate::analysis::{Clustering, Similarity, Untrained, untrained};
use crate::catalog::Catalog;
use crate::jobs::JobSummary;
use crate::routing::RouterConfig;

/// A prompt that is to be routed.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedPrompt {
    /// As it would be typed; untrusted.
    pub prompt: String,
    /// Without the template.
    pub raw: bool,
    /// With its settings.
    pub router: RouterConfig,
    /// A right answer, whose probability is of interest; untrusted.
    pub reference: String,
}

/// What a tab is to show when another one leads to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// The job of this id.
    Job(String),
    /// The evaluation of this job.
    Evaluation(String),
    /// A prompt, in the Routing tab.
    Prompt(Box<WantedPrompt>),
    /// An expert beside those that it resembles.
    Compared(String),
    /// A clustering.
    Clusters {
        /// Number of clusters.
        k: usize,
        /// Of k-means.
        seed: u64,
        /// Share of each expert's smallest entries that counts as zero.
        sparsity: f64,
    },
}

/// What all screens may read. Only the application changes it, from messages.
#[derive(Debug, Default)]
pub struct Shared {
    /// `None` until the library was read.
    pub library: Option<Arc<Catalog>>,
    /// What is to be said of experts that were hardly trained, by name; of the newest MBC similarity.
    pub doubts: HashMap<String, String>,
    /// The newest clustering, whoever asked for it: colours and orders experts everywhere.
    pub clustering: Option<Arc<Clustering>>,
    /// The newest MBC similarity.
    pub similarity: Option<Arc<Similarity>>,
    /// Newest first.
    pub jobs: Vec<JobSummary>,
    /// The base model and the routed experts.
    pub engine: EngineState,
    /// Name of the expert selected in the Library tab.
    pub selected: Option<String>,
    /// What a tab is to show, while it becomes the visible one.
    pub wanted: Option<Wanted>,
    /// Why the library could not be read; the last one read stays in `library`.
    pub library_error: Option<String>,
    /// The library's directory as given.
    pub root: std::path::PathBuf,
    /// Device given on the command line, for the jobs that screens start.
    pub device: String,
    /// Seconds since the epoch when the last message arrived; for ages and remaining times.
    pub now: f64,
    /// Counts up ten times a second while something is moving; for spinners.
    pub tick: u64,
}

impl Shared {
    /// Takes a newer MBC similarity.
    pub fn set_similarity(&mut self, similarity: &Arc<Similarity>) {
        let name = |found: &Untrained| similarity.experts.get(found.expert).cloned();
        let found = untrained(similarity);
        self.doubts = found.iter().filter_map(|found| Some((name(found)?, found.brief()))).collect();
        self.similarity = Some(similarity.clone());
    }

    /// Jobs that are queued, running or being cancelled.
    pub fn live_jobs(&self) -> usize {
        self.jobs.iter().filter(|job| !job.state.is_over()).count()
    }

    /// The base model that was chosen on the command line, for the jobs that screens start. Known when the library
    /// is; before, none can be started.
    pub fn base(&self) -> Option<&std::path::Path> {
        self.library.as_ref()?.chosen_base()
    }
}

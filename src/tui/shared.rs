//! What all tabs may read.

use std::sync::Arc;

use super::{EngineState, ExpertMarks};
use crate::analysis::{Clustering, Similarity};
use crate::catalog::Catalog;
use crate::jobs::JobSummary;

/// What all screens may read. Only the application changes it, from messages.
#[derive(Debug, Default)]
pub struct Shared {
    /// `None` until the library was read.
    pub library: Option<Arc<Catalog>>,
    /// Of the experts that were usable at some time of this session.
    pub marks: ExpertMarks,
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

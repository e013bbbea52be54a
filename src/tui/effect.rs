//! What an update asks for; run by the application outside the update.

use super::{FormKind, Tab};
use crate::analysis::Metric;
use crate::jobs::JobSpec;
use crate::routing::RouterConfig;
use crate::train::ClustersSpec;

/// A request. Those that answer carry a ticket, echoed in the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Quit,
    /// Shows another tab.
    Show(Tab),
    /// Opens a form over the screen.
    OpenForm(FormKind),
    /// Looks for a task folder or file at `path`, as typed; answered by `Message::DataChecked`.
    CheckData {
        path: String,
    },
    /// Looks for folders and `.jsonl` files whose path begins with `text`.
    CompletePath {
        text: String,
    },
    /// Clusters the library and finds each cluster's data, as the job of `spec` would; a newer one replaces one
    /// that is under way. Answered by `Message::ClustersPlanned`.
    PlanClusters {
        ticket: u64,
        spec: Box<ClustersSpec>,
    },
    /// Stops this process as Ctrl-Z does in a shell, the screen put away, until it is continued.
    Suspend,
    /// Reads the library from disk again.
    ReloadLibrary,
    /// Norms and spectra of one expert.
    Profile {
        expert: String,
    },
    /// Similarity of all usable experts; a newer one replaces one that is under way.
    Similarity {
        ticket: u64,
        metric: Metric,
        sparsity: f64,
    },
    /// MBC and k-means; a newer one replaces one that is under way.
    Cluster {
        ticket: u64,
        k: usize,
        sparsity: f64,
        seed: u64,
    },
    /// Inertia and silhouette for k = 2..=`max_k` on the MBC similarity, and a 2-D map of the experts.
    Sweep {
        ticket: u64,
        max_k: usize,
        sparsity: f64,
        seed: u64,
    },
    /// Compares two experts module by module; a newer one replaces one that is under way.
    Pair {
        ticket: u64,
        a: String,
        b: String,
    },
    /// Selects an expert in the Library tab, without showing that tab.
    Select {
        expert: String,
    },
    /// Finds and loads the base model and the experts, without downloading.
    LoadEngine,
    /// Downloads the base model, then loads it.
    FetchBase,
    /// Routes a prompt; latest wins.
    Route {
        ticket: u64,
        prompt: String,
        raw: bool,
        router: RouterConfig,
    },
    /// Continues the prompt, streaming traces and text under the ticket.
    Generate {
        ticket: u64,
        prompt: String,
        raw: bool,
        router: RouterConfig,
        max_tokens: usize,
    },
    /// Stops routing or generation that is under way.
    StopEngine,
    StartJob(JobSpec),
    CancelJob {
        id: String,
    },
    /// Lets a job go on that was cancelled or has failed, as `jobs resume` does.
    ResumeJob {
        id: String,
    },
    /// Sends `JobDetail` of this job now and whenever it changes, until another is watched.
    WatchJob {
        id: Option<String>,
    },
    /// One line to show, not an error.
    Notice(String),
    /// One line to show as an error.
    Error(String),
}

/// Numbers requests of one tab, so that no two requests of the session share a number and every
/// screen knows its own answers, although all of them see all messages.
#[derive(Clone, Copy, Debug)]
pub struct Tickets(u64);

impl Tickets {
    /// The numbers of `tab`; the first is given out by the first [`Tickets::issue`].
    pub fn of(tab: Tab) -> Self {
        Self((tab as u64 + 1) << 40)
    }

    /// The numbers of the `n`-th form of the session.
    pub fn of_form(n: u32) -> Self {
        Self(((Tab::ALL.len() as u64 + 1) << 40) | (u64::from(n) << 16))
    }

    /// A number that was not given out before.
    pub fn issue(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

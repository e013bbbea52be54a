//! What an update asks for; run by the application or by a service outside the update.
//!
//! Each service has an enum of its own, which it matches exhaustively: an effect that no service carries out does
//! not compile.

use std::path::PathBuf;
use std::sync::Arc;

use super::evaluated::Evaluated;
use super::shared::Wanted;
use super::tab::Tab;
use crate::analysis::Metric;
use crate::jobs::kinds::{Kind, Made, Step};
use crate::jobs::{NewJob, QueueMove};
use crate::routing::{Prompt, RouterConfig};
use crate::train::ClustersSpec;

/// A request. Those that answer carry a ticket, echoed in the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tells a person who looks elsewhere, in a line; done by the event loop.
    Notify(String),
    /// For the interface itself.
    App(AppEffect),
    /// Stops this process as Ctrl-Z does in a shell, the screen put away, until it is continued; the event loop
    /// does it.
    Suspend,
    /// Writes the whole screen anew, whatever it shows; the event loop does it.
    Redraw,
    /// Reads the library from disk again.
    ReloadLibrary,
    /// Leaves this library for the one in this folder; the event loop does it.
    OpenLibrary(PathBuf),
    /// Lends the terminal to the person's editor for this text; the event loop does it and answers with
    /// `Message::Edited`.
    Edit(String),
    /// What was tried before.
    Prompts(PromptsEffect),
    /// Looks at paths as they are typed.
    Data(DataEffect),
    /// Compares experts.
    Compute(ComputeEffect),
    /// Runs the base model.
    Engine(EngineEffect),
    /// Starts, changes and watches jobs.
    Jobs(JobsEffect),
    /// Reads what evaluations found out.
    Eval(EvalEffect),
}

/// What the application does itself.
#[derive(Clone, Debug, PartialEq)]
pub enum AppEffect {
    /// Leaves the interface.
    Quit,
    /// Shows another tab.
    Show(Tab),
    /// Opens a form over the screen.
    OpenForm(&'static Kind),
    /// Selects an expert in the Library tab, without showing that tab.
    Select {
        /// Its name.
        expert: String,
    },
    /// Shows a job in the Jobs tab.
    ShowJob {
        /// The job.
        id: String,
    },
    /// Shows something in a tab.
    Lead {
        /// The tab.
        tab: Tab,
        /// What it is to show.
        wanted: Wanted,
    },
    /// Shows what a job made, in the tab for it.
    Open {
        /// What.
        made: Made,
        /// The job.
        job: String,
    },
    /// Does what was chosen to follow a job.
    Follow {
        /// What.
        step: Step,
        /// The job.
        job: String,
    },
    /// One line to show, not an error.
    Notice(String),
    /// One line to show as an error.
    Error(String),
}

/// Prompts that were tried; answered by `Message::Prompts`.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptsEffect {
    /// Reads them.
    Read,
    /// Keeps one more.
    Remember(String),
    /// Makes a prompt a favourite, or no longer; one that was not tried before is kept.
    Favour {
        /// As it was typed.
        prompt: String,
        /// Whether it is to be one.
        favourite: bool,
    },
}

/// What is looked up on disk while a form is filled in; the newest request only.
#[derive(Clone, Debug, PartialEq)]
pub enum DataEffect {
    /// Looks for a task folder or file at `path`, as typed; answered by `DataMessage::Checked`.
    Check {
        /// As it was typed.
        path: String,
    },
    /// Looks for folders and files whose path begins with `text`; answered by `DataMessage::Completed`.
    Complete {
        /// What has been typed.
        text: String,
        /// Files of tasks of lm-evaluation-harness, instead of `.jsonl`.
        yaml: bool,
    },
    /// Looks for task folders beside the library and where the program was started; answered by `DataMessage::Tasks`.
    Tasks,
}

/// What is computed of the experts' weights; of each kind the newest request only.
#[derive(Clone, Debug, PartialEq)]
pub enum ComputeEffect {
    /// Norms and spectra of one expert.
    Profile {
        /// Its name.
        expert: String,
    },
    /// Similarity of all usable experts.
    Similarity {
        /// Echoed by the answer.
        ticket: u64,
        /// How to compare.
        metric: Metric,
        /// Share of each expert's smallest entries that count as zero.
        sparsity: f64,
    },
    /// MBC and k-means.
    Cluster {
        /// Echoed by the answer.
        ticket: u64,
        /// Number of clusters.
        k: usize,
        /// Share of each expert's smallest entries that count as zero.
        sparsity: f64,
        /// Of k-means.
        seed: u64,
    },
    /// Inertia and silhouette for every k that [`crate::analysis::choose_k`] tries on the MBC similarity, and a 2-D map
    /// of the experts.
    Sweep {
        /// Echoed by the answer.
        ticket: u64,
        /// Share of each expert's smallest entries that count as zero.
        sparsity: f64,
        /// Of k-means.
        seed: u64,
    },
    /// Compares two experts module by module.
    Pair {
        /// Echoed by the answer.
        ticket: u64,
        /// An expert.
        a: String,
        /// Another.
        b: String,
    },
    /// Clusters the library and finds each cluster's data, as the job of `spec` would; answered by
    /// `ComputeMessage::ClustersPlanned`.
    PlanClusters {
        /// Echoed by the answer.
        ticket: u64,
        /// What would be made.
        spec: Box<ClustersSpec>,
    },
}

/// What the base model does.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineEffect {
    /// Finds and loads the base model and the experts, without downloading.
    Load,
    /// Downloads the base model, then loads it.
    FetchBase,
    /// Routes a prompt; latest wins.
    Route {
        /// Echoed by the answer.
        ticket: u64,
        /// As it was typed.
        prompt: String,
        /// Without the template.
        raw: bool,
        /// Which router, with its settings.
        router: RouterConfig,
    },
    /// Continues the prompt, streaming traces and text under the ticket.
    Generate {
        /// Echoed by the answer.
        ticket: u64,
        /// As it was typed.
        prompt: String,
        /// Without the template.
        raw: bool,
        /// Which router, with its settings.
        router: RouterConfig,
        /// Stop after so many.
        max_tokens: usize,
    },
    /// Stops routing, generation or a download that is under way.
    Stop,
    /// Begins a study in place of an older one of its kind. It continues while nothing else is asked.
    Study {
        /// Echoed by the answers.
        ticket: u64,
        /// What is asked.
        study: Study,
    },
    /// Ends all studies.
    EndStudies,
}

/// What is found out of a prompt beside its routing, in the background: a newer routing or answer interrupts it, after
/// which it continues.
#[derive(Clone, Debug, PartialEq)]
pub enum Study {
    /// Several routers on one prompt, one after the other; answered by `EngineMessage::Compared` and `ComparedText`.
    Compare {
        /// As it was typed.
        prompt: String,
        /// Without the template.
        raw: bool,
        /// With their settings.
        routers: Vec<RouterConfig>,
        /// An answer whose probability is asked for; empty for none.
        reference: String,
        /// Tokens of each router's own answer.
        max_tokens: usize,
    },
    /// Which experts an answer is owed to; answered by `EngineMessage::Attributed`.
    Attribute {
        /// As it was typed.
        prompt: String,
        /// Without the template.
        raw: bool,
        /// With its settings.
        router: RouterConfig,
        /// The answer.
        answer: String,
        /// Experts to take out, those with the most weight.
        most: usize,
    },
    /// Why one token's experts have the weights that they have; answered by `EngineMessage::Explained`.
    Explain {
        /// In tokens, with the answer where one of its tokens is asked about.
        prompt: Prompt,
        /// With its settings.
        router: RouterConfig,
        /// Its number in the prompt.
        token: usize,
        /// Experts per module.
        most: usize,
    },
    /// How long the base model takes with its experts and without; answered by `EngineMessage::Costed`.
    Cost {
        /// As it was typed.
        prompt: String,
        /// Without the template.
        raw: bool,
        /// With its settings.
        router: RouterConfig,
    },
}

/// What is done with jobs.
#[derive(Clone, Debug, PartialEq)]
pub enum JobsEffect {
    /// Answered by `JobsMessage::Started`.
    Start(NewJob),
    /// Cancels a job that is queued or running.
    Cancel {
        /// The job.
        id: String,
    },
    /// Resumes a job that was cancelled or has failed, as `jobs resume` does.
    Resume {
        /// The job.
        id: String,
    },
    /// Cancels all of these that have not ended.
    CancelMany {
        /// The jobs.
        ids: Vec<String>,
    },
    /// Resumes all of these, as `jobs resume` does.
    ResumeMany {
        /// The jobs.
        ids: Vec<String>,
    },
    /// Removes jobs that have ended.
    Remove {
        /// The jobs.
        ids: Vec<String>,
    },
    /// Holds jobs that wait, or lets them go.
    Hold {
        /// The jobs.
        ids: Vec<String>,
        /// Whether they are to be held.
        held: bool,
    },
    /// Puts a job that waits somewhere else in the queue.
    Reorder {
        /// The job.
        id: String,
        /// Where to.
        to: QueueMove,
    },
    /// Sends `JobsMessage::Curves` of these jobs now and whenever they change, until others are asked for.
    Curves {
        /// The jobs.
        ids: Vec<String>,
    },
    /// Sends `JobsMessage::Detail` of this job now and whenever it changes, until another is watched.
    Watch {
        /// The job.
        id: Option<String>,
    },
}

/// What is read of evaluations and what is made of it; of each kind the newest request only.
#[derive(Clone, Debug, PartialEq)]
pub enum EvalEffect {
    /// An evaluation, finished or not; answered by `EvalMessage::Read`.
    Read {
        /// Echoed by the answer.
        ticket: u64,
        /// Its job.
        id: String,
    },
    /// The items of a task with what methods made of them; answered by `EvalMessage::Items`.
    Items {
        /// Echoed by the answer.
        ticket: u64,
        /// Of this evaluation.
        evaluated: Arc<Evaluated>,
        /// Number of the task.
        task: usize,
    },
    /// How methods differ from one of them; answered by `EvalMessage::Compared`.
    Compare {
        /// Echoed by the answer.
        ticket: u64,
        /// Of this evaluation.
        evaluated: Arc<Evaluated>,
        /// Over the tasks of these numbers.
        tasks: Vec<usize>,
        /// Their name, where they are one of the report's groups.
        group: Option<String>,
        /// Number of the method that others are compared with.
        against: usize,
    },
    /// Writes the table into a file; answered by `EvalMessage::Saved`.
    Save {
        /// Echoed by the answer.
        ticket: u64,
        /// Of this evaluation.
        evaluated: Arc<Evaluated>,
        /// As it was typed; its ending says what is written.
        path: String,
        /// Whether a file that is there is replaced.
        over: bool,
    },
}

/// Numbers requests of one tab, so that no two requests of the session share a number and every
/// screen knows its own answers, although all of them see all messages.
#[derive(Clone, Copy, Debug)]
pub struct Tickets(u64);

impl Tickets {
    /// The numbers of `tab`, which follow from its title; the first is given out by the first
    /// [`Tickets::issue`].
    pub fn of(tab: Tab) -> Self {
        // FNV-1a; a test sees to it that no two tabs share their numbers.
        let hash = tab.title().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self((hash & 0x3f_ffff) << 40)
    }

    /// The numbers of the `n`-th form of the session.
    pub fn of_form(n: u32) -> Self {
        Self((1 << 63) | (u64::from(n) << 16))
    }

    /// A number that was not given out before.
    pub fn issue(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

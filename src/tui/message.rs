//! Whatever arrives at the interface. Answers echo their request's ticket, so stale ones are dropped.

use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::KeyEvent;

use super::evaluated::Evaluated;
use crate::NoSource;
use crate::analysis::{ChosenK, Clustering, ExpertProfile, PairModule, Similarity};
use crate::catalog::Catalog;
use crate::devices::Gpu;
use crate::eval::{Attribution, Compared, Difference, TaskItems};
use crate::jobs::{JobDetail, JobSummary, Progress, Usage};
use crate::library::{FetchProgress, Skipped};
use crate::machine::Load;
use crate::routing::{Preparing, Trace, Why};
use crate::train::ClustersPlan;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Message {
    /// A key press; screens get it through `Screen::on_key`, not as a message.
    Key(KeyEvent),
    /// Text pasted into the terminal, untrusted; screens get it through `Screen::on_paste`.
    Paste(String),
    /// A tenth of a second went by while something moves.
    Tick,
    /// The library was read (again).
    Library(Result<Arc<Catalog>, String>),
    /// What was computed of the experts' weights.
    Compute(ComputeMessage),
    /// The jobs, and what became of those that were asked for.
    Jobs(JobsMessage),
    /// What was found on disk while a form is filled in.
    Data(DataMessage),
    /// From the model.
    Engine(EngineMessage),
    /// What was read of evaluations.
    Eval(EvalMessage),
    /// The prompts that were tried, the newest first, untrusted.
    Prompts(Vec<TriedPrompt>),
    /// Answer to `Effect::Edit`: the text as the editor left it, untrusted, or a line that says why there is none.
    Edited(Result<String, String>),
    /// One line to show, not an error.
    Notice(String),
    /// One line to show as an error.
    Error(String),
}

/// A prompt that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedPrompt {
    /// As it was typed, untrusted.
    pub text: String,
    /// A person marked it: it is listed first, and kept longer than others.
    pub favourite: bool,
}

/// What was computed of the experts' weights.
#[derive(Clone, Debug)]
pub enum ComputeMessage {
    /// Answer to `ComputeEffect::Similarity`.
    Similarity {
        /// That of the request.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<Similarity>, String>,
    },
    /// Answer to `ComputeEffect::Cluster`.
    Clustering {
        /// That of the request.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<(Arc<Similarity>, Arc<Clustering>), String>,
    },
    /// While an answer to `ComputeEffect::Similarity` or `ComputeEffect::Cluster` takes long: the same of some of the
    /// experts.
    Sample {
        /// That of the request.
        ticket: u64,
        /// Of the sample.
        similarity: Arc<Similarity>,
        /// Of the sample.
        clustering: Arc<Clustering>,
    },
    /// Answer to `ComputeEffect::Sweep`.
    Sweep {
        /// That of the request.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<Sweep>, String>,
    },
    /// Answer to `ComputeEffect::Pair`: the modules that both have.
    Pair {
        /// That of the request.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<Vec<PairModule>>, String>,
    },
    /// How far a similarity, clustering or sweep has come; no unit, `total` may be 0.
    Progress {
        /// That of the request.
        ticket: u64,
        /// How much is done.
        done: usize,
        /// Of how much.
        total: usize,
    },
    /// Answer to `ComputeEffect::Profile`.
    Profile {
        /// Its name.
        expert: String,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<ExpertProfile>, String>,
    },
    /// Answer to `ComputeEffect::PlanClusters`.
    ClustersPlanned {
        /// That of the request.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<ClustersPlan>, String>,
        /// Why the new library cannot be where it was asked for.
        out: Option<String>,
    },
}

/// About jobs.
#[derive(Clone, Debug)]
pub enum JobsMessage {
    /// The jobs as they are on disk now; sent when something changed.
    List(Vec<JobSummary>),
    /// Answer to `JobsEffect::Watch`, again whenever the job changes.
    Detail(Arc<JobDetail>),
    /// Answer to `JobsEffect::Curves`, again with those that have changed: each job's id and its curves.
    Curves(Vec<(String, Arc<Progress>)>),
    /// The machine, and what jobs take of it; while the jobs are shown.
    Machine(Arc<MachineView>),
    /// Answer to `JobsEffect::Start`: the job's id.
    Started(Result<String, String>),
    /// A job ended that was alive at the last look.
    Ended(Arc<JobDetail>),
}

/// What was read of evaluations.
#[derive(Clone, Debug)]
pub enum EvalMessage {
    /// Answer to `EvalEffect::Read`.
    Read {
        /// That of the request.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<Evaluated>, String>,
    },
    /// Answer to `EvalEffect::Items`.
    Items {
        /// That of the request.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<TaskItems>, String>,
    },
    /// Answer to `EvalEffect::Compare`.
    Compared {
        /// That of the request.
        ticket: u64,
        /// By method, or a line that says why there is none.
        result: Result<Vec<Option<Difference>>, String>,
    },
    /// Answer to `EvalEffect::Save`.
    Saved {
        /// That of the request.
        ticket: u64,
        /// The file, or why there is none.
        result: Result<PathBuf, Unsaved>,
    },
}

/// Why a table was not saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsaved {
    /// There is a file already.
    Exists,
    /// One line.
    Failed(String),
}

/// The machine, and what jobs take of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineView {
    /// How busy it is.
    pub load: Load,
    /// How many jobs work at once on its cores; `None` where that setting makes no sense.
    pub slots: Option<usize>,
    /// GPUs, as their driver shows them.
    pub gpus: Vec<Gpu>,
    /// Names of jobs that run here, untrusted, and what they take.
    pub jobs: Vec<(String, Usage)>,
}

/// What was found on disk while a form is filled in.
#[derive(Clone, Debug)]
pub enum DataMessage {
    /// Answer to `DataEffect::Check`.
    Checked {
        /// As it was asked for.
        path: String,
        /// The answer, or a line that says why there is none.
        result: Result<DataSummary, String>,
    },
    /// Answer to `DataEffect::Complete`: whole paths, folders with `/` at their end, sorted.
    Completed {
        /// What has been written.
        text: String,
        /// Completions.
        candidates: Vec<String>,
    },
    /// Answer to `DataEffect::Tasks`, in order.
    Tasks(Vec<KnownTask>),
}

/// A service's message is one of the interface.
macro_rules! from_service {
    ($($message:ty => $variant:ident),+) => {
        $(impl From<$message> for Message {
            fn from(message: $message) -> Self {
                Self::$variant(message)
            }
        })+
    };
}

from_service!(
    ComputeMessage => Compute,
    JobsMessage => Jobs,
    DataMessage => Data,
    EngineMessage => Engine,
    EvalMessage => Eval
);

/// What a training would be fed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataSummary {
    /// Examples of each split; `validation` includes what is set aside of a single file.
    pub train: usize,
    /// Number of validation examples.
    pub validation: usize,
    /// Task name, untrusted.
    pub task: String,
}

/// A task folder near the library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownTask {
    /// As it would be typed, untrusted.
    pub path: String,
    /// Whether it is for evaluation alone.
    pub held_out: bool,
    /// How its answers are scored.
    pub metric: String,
    /// Lines of train, validation and test; nothing where that takes too long to find.
    pub counts: [Option<usize>; 3],
    /// Its first examples.
    pub examples: Vec<TaskExample>,
    /// What is wrong with its `task.toml`.
    pub problem: Option<String>,
}

/// An example of a task, untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskExample {
    /// Instruction and input.
    pub asked: String,
    /// The output.
    pub answered: String,
}

/// How good a clustering each number of clusters gives, and a map of the experts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sweep {
    /// Names in the order of `map`.
    pub experts: Vec<String>,
    /// The number of clusters that fits best, and what those that were tried give.
    pub chosen: ChosenK,
    /// Whether more numbers are being tried: another answer follows.
    pub more: bool,
    /// Each expert's place in the plane that keeps most of the similarities; no unit.
    pub map: Vec<(f32, f32)>,
}

/// The base model and the routed experts, as the interface knows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum EngineState {
    /// Nobody asked for it yet.
    #[default]
    Unloaded,
    /// Not on this machine: `EngineEffect::FetchBase` would try to get `what`; `error` of the last try.
    Missing {
        /// The base model, for people.
        what: String,
        /// One line.
        error: Option<FetchError>,
    },
    /// The base model is downloaded.
    Fetching(FetchProgress),
    /// The base model or the experts are read.
    Loading {
        /// What is being done.
        stage: String,
    },
    /// `label` says base, precision and device; experts that do not fit are listed with the reason.
    Ready {
        /// Base model, precision and device.
        label: String,
        /// Experts that are left out, and why.
        skipped: Vec<Skipped>,
    },
    /// It cannot be used.
    Failed {
        /// One line.
        error: String,
    },
}

/// Why a fetch brought nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchError {
    /// The person stopped it.
    Stopped,
    /// Every source failed.
    NoSource(NoSource),
    /// Something else, in one line: a full disk, say.
    Other(String),
}

/// From the engine's thread.
#[derive(Clone, Debug)]
pub enum EngineMessage {
    /// The model is loaded, missing, …
    State(EngineState),
    /// Routing of a prompt. `generating` while more tokens will follow under the same ticket. The time is
    /// that of the prompt, or of the answer's tokens where there is an answer.
    Trace {
        /// That of the request.
        ticket: u64,
        /// The routing weights so far.
        trace: Arc<Trace>,
        /// Whether more tokens will come.
        generating: bool,
        /// Time that it took.
        milliseconds: f64,
    },
    /// How far what the request's router needs first is.
    Calibrating {
        /// That of the request.
        ticket: u64,
        /// How far it is.
        step: Preparing,
    },
    /// How many of the prompt's tokens are routed; sent before the first and as they are done.
    Progress {
        /// That of the request.
        ticket: u64,
        /// How much is done.
        done: usize,
        /// Of how much.
        total: usize,
    },
    /// The generated text so far, untrusted.
    Text {
        /// That of the request.
        ticket: u64,
        /// What has been written.
        text: String,
        /// Whether it is complete.
        done: bool,
    },
    /// A request failed.
    Failed {
        /// That of the request.
        ticket: u64,
        /// One line.
        error: String,
        /// The expert without which it would not fail, where it is one expert's fault.
        blamed: Option<String>,
    },
    /// Prompts from the tasks that the loaded experts were trained on, untrusted.
    Examples {
        /// The prompts.
        prompts: Vec<String>,
        /// Whether there is data of all experts, for routers that know them by it.
        has_data: bool,
    },
    /// What one router of a `Study::Compare` makes of the prompt.
    Compared {
        /// That of the study.
        ticket: u64,
        /// Its place among the study's routers.
        at: usize,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<Compared>, String>,
    },
    /// What one router of a `Study::Compare` answers so far, untrusted.
    ComparedText {
        /// That of the study.
        ticket: u64,
        /// Its place among the study's routers.
        at: usize,
        /// What has been written.
        text: String,
        /// Whether it is complete.
        done: bool,
    },
    /// Answer to `Study::Attribute`.
    Attributed {
        /// That of the study.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<Attribution>, String>,
    },
    /// Answer to `Study::Explain`.
    Explained {
        /// That of the study.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Arc<Why>, String>,
    },
    /// Answer to `Study::Cost`.
    Costed {
        /// That of the study.
        ticket: u64,
        /// The answer, or a line that says why there is none.
        result: Result<Cost, String>,
    },
}

/// How long the base model takes for a prompt and its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Milliseconds for the whole prompt, nothing of which was known.
    pub prompt: f64,
    /// Milliseconds for each token of an answer; `None` where the answer ended too soon.
    pub token: Option<f64>,
}

/// What routing costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Tokens of the prompt.
    pub tokens: usize,
    /// Under the router.
    pub routed: Speed,
    /// Without experts.
    pub base: Speed,
    /// Bytes of memory that the program has in use, where the system says so.
    pub memory: Option<u64>,
}

/// Where threads outside the interface put their answers. Cheap to clone; never blocks.
#[derive(Clone, Debug)]
pub struct Sender(tokio::sync::mpsc::UnboundedSender<Message>);

impl Sender {
    /// A sender and the queue it fills.
    pub fn channel() -> (Self, tokio::sync::mpsc::UnboundedReceiver<Message>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Hands a message to the interface; lost without harm when the interface is gone.
    pub fn send(&self, message: impl Into<Message>) {
        let _ = self.0.send(message.into());
    }

    /// Whether the interface is gone, so that no answer will be read.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

//! What a reader sees of a job.

use std::time::SystemTime;

use serde::{Deserialize, Serialize, Serializer};

use super::kinds::{AnyJob, AnyReport, Kind, Measure};
use super::progress::Progress;
use super::share::Share;
use super::times;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// Its worker works.
    Running,
    /// Asked to stop, not yet stopped.
    Cancelling,
    /// It was stopped on request.
    Cancelled,
    /// It ended with an error.
    Failed,
    /// It has its result.
    Finished,
}

impl JobState {
    /// Its name in files and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Finished => "finished",
        }
    }

    /// How it stands with the job, behind its name.
    pub fn words(self) -> String {
        match self {
            Self::Queued => "waits".into(),
            Self::Running | Self::Cancelling => format!("is {}", self.name()),
            Self::Cancelled | Self::Failed | Self::Finished => format!("has ended ({})", self.name()),
        }
    }

    /// Whether the job will change no more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failed | Self::Finished)
    }

    /// Whether [`Jobs::resume`](super::Jobs::resume) takes the job.
    pub fn can_resume(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failed)
    }
}

/// The numbers of a job, by which jobs are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The training loss that it said last, per output token.
    pub loss: Option<f64>,
    /// The validation loss that it said last, per output token.
    pub validation_loss: Option<f64>,
    /// Of the training's last step.
    pub tokens_per_second: Option<f64>,
    /// What came of it, once it is finished.
    pub measure: Option<Measure>,
    /// Seconds that the job itself expects to need yet, while it runs.
    pub left: Option<f64>,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// What was asked for, in a few short facts; untrusted.
    pub facts: Vec<String>,
}

/// A job as read from its directory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobSummary {
    /// Its directory's name.
    pub id: String,
    /// `None` where this version does not know it; `?` in JSON.
    #[serde(serialize_with = "kind_name")]
    pub kind: Option<&'static Kind>,
    /// The expert's name, or what is clustered.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// Steps done.
    pub step: usize,
    /// 0 while unknown.
    pub steps: usize,
    /// `None` while queued; RFC 3339 UTC in JSON.
    #[serde(serialize_with = "times::serialize")]
    pub started: Option<SystemTime>,
    /// Why it failed, or what of a cancelled job could not be saved; one line, untrusted.
    pub error: Option<String>,
    /// Jobs that have to be finished before it begins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Why it is still queued, where it is not for its turn alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// Somebody holds it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Where it runs, if that is not on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// That nobody can be asked now whether it still runs, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
    /// The first of the jobs that were started together with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it takes of the machine that does it, where that was said.
    #[serde(flatten)]
    pub share: Share,
    /// Its place among those that wait on this machine, from 1; only lists know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<usize>,
    /// Its numbers; `show` has them in JSON.
    #[serde(skip)]
    pub figures: Figures,
}

impl JobSummary {
    /// What its kind is called; `?` where this version does not know it.
    pub fn kind_name(&self) -> &'static str {
        self.kind.map_or("?", |kind| kind.name)
    }

    /// What it waits for while it is queued.
    pub fn reason(&self) -> Option<&str> {
        (self.state == JobState::Queued).then(|| self.waits.as_deref().unwrap_or("waits for its turn"))
    }

    /// [`Self::reason`], with its place in the queue of this machine.
    pub fn why_queued(&self) -> Option<String> {
        let place = self.turn.map_or(String::new(), |turn| format!("; place {turn} in the queue"));
        self.reason().map(|reason| format!("{reason}{place}"))
    }

    /// Why it is as it is, where there is something to say: why it failed, what it waits for, that nobody can be asked.
    pub fn why(&self) -> Option<String> {
        self.error.clone().or_else(|| self.why_queued()).or_else(|| self.unseen.clone())
    }

    /// Whether what was done is kept when the job is cancelled, so that it is resumed from there; other jobs begin
    /// again.
    pub fn keeps_its_work(&self) -> bool {
        self.kind.is_some_and(|kind| kind.resumes)
    }
}

fn kind_name<S: Serializer>(kind: &Option<&'static Kind>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.map_or("?", |kind| kind.name))
}

/// Everything that is known of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobDetail {
    /// What lists show.
    pub summary: JobSummary,
    /// What it was asked to do, where that can be read.
    pub job: Option<AnyJob>,
    /// What its events add up to.
    pub progress: Progress,
    /// Last lines of the log and of the worker's output, untrusted.
    pub log: Vec<String>,
    /// What it reports, once it is finished; else why that cannot be read.
    pub outcome: Option<Result<AnyReport, String>>,
    /// When it ended.
    pub ended: Option<SystemTime>,
}

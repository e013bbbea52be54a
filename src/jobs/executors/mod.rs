//! Who runs the workers of jobs: processes of this machine, or whatever else starts programs.

mod configuration;
mod local;
mod slurm;

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::job_dir::JobDir;
use super::layout::EXECUTOR;
use super::origin::library_of;
use crate::configuration::{Doubt, Section};
use crate::named::Named;
use crate::outside::own;
use crate::signals::Signal;
use crate::{Error, Result};

pub use local::Local;
pub use slurm::{Slurm, settings_table};

/// Largest `executor.json` that is read.
const MAX_HANDLE: u64 = 1 << 16;

/// Runs workers: `lora-tui worker DIR`, once per submission.
///
/// What a scheduler may do, and what is relied upon instead:
/// * It may start the worker minutes later, on another machine, and again after that machine is lost. The worker needs
///   the job's directory and the program, both under the same path, and nothing of the process that submitted it.
/// * The job's lock need not be held when [`Executor::submit`] returns, nor mean anything on another machine: whether
///   the job lives is what [`Executor::look`] says. Only a result in the job's directory is stronger.
/// * [`Executor::submit`] may take as long as one call of the scheduler.
pub trait Executor: Send + Sync + Debug {
    /// Its name in [`EXECUTORS`] and in `executor.json`.
    fn id(&self) -> &'static str;

    /// Checks its settings before a job is made.
    ///
    /// # Errors
    /// Settings that make no sense.
    fn check(&self) -> Result<()>;

    /// Whether it works here: what it is, or why it does not. `None` where nobody would expect it, as somebody does for whom
    /// it is the default.
    fn health(&self, is_default: bool) -> Option<Result<String, String>>;

    /// How many jobs it takes in one submission.
    fn together(&self) -> usize;

    /// Whether a job's lock is handed on to its worker and held while that lives.
    fn locks(&self) -> bool;

    /// Hands jobs over and returns without waiting for them to start: what it knows each by, or why it was not taken
    /// (the job has then failed).
    fn submit(&self, batch: &Batch<'_>) -> Vec<Result<Handle, Refusal>>;

    /// What [`Executor::submit`] would do, for people: scripts and commands.
    ///
    /// # Errors
    /// As [`Executor::check`]; what cannot be submitted.
    fn plan(&self, batch: &Batch<'_>) -> Result<String>;

    /// Whether a job that has no result is still going to get one.
    fn look(&self, job: &Path, handle: &Handle) -> Life;

    /// Prepares for [`Executor::look`] at all these jobs, so that they cost one question.
    fn look_at_all(&self, _jobs: &[(PathBuf, Handle)]) {}

    /// Asks for the end of jobs whose directories have the `cancel` marker already: enough for workers that have
    /// started, since they look for it.
    ///
    /// # Errors
    /// When that cannot be asked for.
    fn cancel(&self, jobs: &[(PathBuf, Handle)]) -> Result<()>;

    /// The other jobs that are done in one piece with a job, so that they are held or let go together.
    fn packed_with(&self, _job: &Path, _handle: &Handle) -> Vec<String> {
        Vec::new()
    }

    /// Holds jobs that have not started, or lets them go; their directories have the `hold` marker, or none.
    ///
    /// # Errors
    /// When that cannot be asked for.
    fn hold(&self, jobs: &[(PathBuf, Handle)], held: bool) -> Result<()>;

    /// Parents of these jobs, which wait, were handed over again.
    ///
    /// # Errors
    /// When the jobs cannot be made to wait for them.
    fn follow(&self, _children: &[Child]) -> Result<()> {
        Ok(())
    }

    /// Jobs of this folder were removed: what it has kept there for their submissions goes, too, unless it may still be
    /// needed.
    fn tidy(&self, _jobs: &Path) {}

    /// What becomes of a job that the worker stopped because of a signal, and not because somebody cancelled it;
    /// warnings had stopped it so many times before.
    fn interrupted(&self, _by: Signal, _before: u64, _keeps_its_work: bool) -> Ending {
        Ending::Cancelled
    }

    /// Who decides how many jobs work at once.
    ///
    /// # Errors
    /// Settings that make no sense.
    fn slots(&self) -> Result<Slots>;
}

/// Why a job was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In one line.
    pub why: String,
    /// It was refused; else the answer did not come, and it may have been taken.
    pub certain: bool,
}

impl Refusal {
    /// Of what was certainly not taken.
    pub fn certain(why: impl Into<String>) -> Self {
        Self { why: why.into(), certain: true }
    }
}

/// Jobs that are handed over together.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The folder of all jobs.
    pub jobs_dir: &'a Path,
    /// What they are, in a word: the name of their kind.
    pub kind: &'static str,
    /// The jobs, in order.
    pub jobs: &'a [ToSubmit<'a>],
}

/// A job that is handed over.
#[derive(Debug)]
pub struct ToSubmit<'a> {
    /// Its directory.
    pub path: PathBuf,
    /// Its lock, where [`Executor::locks`].
    pub dir: Option<&'a JobDir>,
    /// Bytes of memory that it will take, where that is known.
    pub memory: Option<u64>,
    /// Cores that it was said to take.
    pub cores: Option<usize>,
    /// Jobs that come before it and have not finished.
    pub after: Vec<Parent>,
}

/// A job that comes before another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its name.
    pub id: String,
    /// What its executor knows it by.
    pub handle: Handle,
    /// However it ends: the other begins then.
    pub any: bool,
}

/// A job that waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// What its executor knows it by.
    pub handle: Handle,
    /// Those that have not finished.
    pub after: Vec<Parent>,
}

/// What an executor knows a job by; `executor.json` in the job's directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// [`Executor::id`].
    pub executor: String,
    /// Whatever names the job there, such as a scheduler's number; `None` while it is being submitted, and where the
    /// directory is enough.
    #[serde(default)]
    pub id: Option<String>,
    /// The submission, by a name that no other has. A worker of another submission leaves the job alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// The scheduler that was asked, where there are several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
}

impl Handle {
    /// Of a job that is being handed over to `executor`.
    pub fn early(executor: &str) -> Self {
        Self { executor: executor.into(), ..Self::default() }
    }

    /// Writes it into the job's directory.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, job: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|error| Error::msg(error.to_string()))?;
        own::replace_unsynced(&job.join(EXECUTOR), &text)
    }

    /// Reads it from a job's directory. Jobs of earlier versions have none: they are local.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(job: &Path) -> Result<Self> {
        let path = job.join(EXECUTOR);
        match own::read(&path, MAX_HANDLE)? {
            None => Ok(Self::early(Local::ID)),
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::file(&path, format!("cannot be read: {error}"))),
        }
    }
}

/// Whether a job without a result lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// Its worker has not started; why, where that is known.
    Waiting(Option<String>),
    /// Its worker runs; it may still wait for a slot. Where it runs, if that is not here.
    Alive(Option<String>),
    /// Its worker has begun, and its executor cannot be asked for now whether it still runs; why.
    Unseen(String),
    /// It was stopped on request before it could write a result.
    Stopped,
    /// Nobody is left who could write a result; why, where that is known.
    Gone(Option<String>),
}

/// What becomes of a job that a signal has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It counts as cancelled.
    Cancelled,
    /// No result: whoever sent the signal says how the job ended, or starts it again.
    Left,
    /// It has failed, for this reason.
    Failed(String),
}

/// Who decides how many jobs work at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// Workers wait for one of so many slots of the library.
    Library(usize),
    /// The executor starts workers when it is their turn.
    Executor,
}

/// An executor by its name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// [`Executor::id`].
    pub id: &'static str,
    /// What it is, for help.
    pub help: &'static str,
    /// Its table of the configuration, if it has one.
    pub section: Option<Section>,
    /// Makes it for the library in a folder, whose settings it reads when it needs them.
    pub make: fn(Option<PathBuf>) -> Arc<dyn Executor>,
}

/// All executors; the first is the default.
pub static EXECUTORS: &[Entry] = &[
    Entry {
        id: Local::ID,
        help: "processes of this machine",
        section: None,
        make: |_| Arc::new(Local::current()),
    },
    Entry {
        id: Slurm::ID,
        help: "arrays of a Slurm cluster",
        section: Some(slurm::SECTION),
        make: |library| Arc::new(Slurm::new(library)),
    },
];

impl Named for Entry {
    const KIND: &'static str = "executor";

    fn all() -> &'static [Self] {
        EXECUTORS
    }

    fn name(&self) -> &'static str {
        self.id
    }

    fn help(&self) -> &'static str {
        self.help
    }
}

/// The executor of this name for the jobs of the library in a folder.
///
/// # Errors
/// A name that there is not.
pub fn executor_named(name: &str, library: Option<PathBuf>) -> Result<Arc<dyn Executor>> {
    let entry = Entry::named(name)?;
    Ok((entry.make)(library))
}

/// The executor for new jobs of a library, where none is chosen: `[executor] default`, else the first.
///
/// # Errors
/// A configuration that cannot be read, or that names an executor that there is not.
pub fn default_executor(library: Option<PathBuf>) -> Result<Arc<dyn Executor>> {
    match configuration::default_name(library.as_deref())? {
        Some((name, path)) => executor_named(&name, library)
            .map_err(|error| Error::file(path, format!("[executor] default: {error}"))),
        None => executor_named(Local::ID, library),
    }
}

/// The tables of the configuration that executors have.
pub fn sections() -> Vec<Section> {
    std::iter::once(configuration::EXECUTOR)
        .chain(EXECUTORS.iter().filter_map(|entry| entry.section))
        .collect()
}

/// What in the `[executor]` of a library means nothing, or cannot be taken.
pub fn doubts_of_library(library: &Path) -> Vec<Doubt> {
    configuration::doubts_of_library(library, &sections())
}

/// The executor of a job, with what it knows the job by. Jobs of earlier versions have no `executor.json`: they are
/// local.
///
/// # Errors
/// An executor that this version does not know, or a file that cannot be read.
pub fn executor_of(job: &Path) -> Result<(Arc<dyn Executor>, Handle)> {
    let handle = Handle::read(job)?;
    Ok((executor_by(job, &handle)?, handle))
}

/// The executor of a job whose handle has been read. It is made once for each library.
///
/// # Errors
/// An executor that this version does not know.
pub fn executor_by(job: &Path, handle: &Handle) -> Result<Arc<dyn Executor>> {
    type Made = HashMap<(&'static str, Option<PathBuf>), Arc<dyn Executor>>;
    static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
    let known = EXECUTORS.iter().find(|entry| entry.id == handle.executor).ok_or_else(|| {
        Error::file(
            job.join(EXECUTOR),
            format!("names the executor {:?}, which this version does not know", handle.executor),
        )
    })?;
    let folder = job.parent().map(Path::to_path_buf);
    // Only a cache.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(made.entry((known.id, folder)).or_insert_with(|| (known.make)(library_of(job))).clone())
}

/// Submits jobs, and keeps what the executor knows them by.
pub fn submit(executor: &dyn Executor, batch: &Batch<'_>) -> Vec<Result<(), Refusal>> {
    let handles = executor.submit(batch);
    let keep = |(job, handle): (&ToSubmit<'_>, Result<Handle, Refusal>)| {
        let handle = handle?;
        // Whoever looks for the time of handing over finds the one before the worker began.
        match Handle::read(&job.path) {
            Ok(before) if before == handle => Ok(()),
            _ => handle.write(&job.path).map_err(|error| Refusal { why: error.to_string(), certain: false }),
        }
    };
    batch.jobs.iter().zip(handles).map(keep).collect()
}

/// Whether a job that has no result lives. A job whose executor cannot be asked counts as waiting: it may still live.
pub fn look(job: &Path) -> Life {
    match executor_of(job) {
        Ok((executor, handle)) => executor.look(job, &handle),
        Err(error) => Life::Waiting(Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executors_are_known_by_their_names() {
        for entry in EXECUTORS {
            assert_eq!((entry.make)(None).id(), entry.id);
        }
        let dir = tempfile::tempdir().unwrap();
        let (executor, handle) = executor_of(dir.path()).unwrap();
        assert_eq!((executor.id(), handle.id), ("local", None));
        assert_eq!(look(dir.path()), Life::Gone(None));
        // Of a later version: not for us to say that it is dead.
        std::fs::write(dir.path().join(EXECUTOR), r#"{"executor":"moon","id":"7"}"#).unwrap();
        let Life::Waiting(Some(why)) = look(dir.path()) else { panic!("not waiting") };
        assert!(why.contains("\"moon\", which this version does not know"), "{why}");
        assert!(executor_named("moon", None).unwrap_err().to_string().contains("local"));
    }
}

//! Who runs the workers of jobs: processes of this machine, or whatever else starts programs.

mod local;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::job_dir::JobDir;
use super::layout::EXECUTOR;
use crate::outside::own;
use crate::{Error, Result};

pub use local::Local;

/// Largest `executor.json` that is read.
const MAX_HANDLE: u64 = 1 << 16;

/// Runs workers: `lora-tui worker DIR`, once per submission.
///
/// What a scheduler may do, and what is relied upon instead:
/// * It may start the worker minutes later, on another machine, and again after that machine is lost. The worker needs
///   the job's directory and the program, both under the same path, and nothing of the process that submitted it.
/// * The job's lock need not be held when [`Executor::submit`] returns, nor mean anything on another machine: whether
///   the job lives is what [`Executor::look`] says. Only a result in the job's directory is stronger.
/// * [`Executor::submit`] may take as long as one call of the scheduler. The submitter holds the job's lock meanwhile,
///   so that no other process submits it.
pub trait Executor: Send + Sync + Debug {
    /// Its name in [`EXECUTORS`] and in `executor.json`.
    fn id(&self) -> &'static str;

    /// Hands a job over and returns without waiting for it to start.
    ///
    /// # Errors
    /// When it is not taken: the job has then failed.
    fn submit(&self, job: &JobDir) -> Result<Handle>;

    /// Whether a job that has no result is still going to get one.
    fn look(&self, job: &Path, handle: &Handle) -> Life;

    /// Asks for the end of a job whose directory has the `cancel` marker already: enough for workers that have started,
    /// since they look for it.
    ///
    /// # Errors
    /// When that cannot be asked for.
    fn cancel(&self, job: &Path, handle: &Handle) -> Result<()>;

    /// Who decides how many jobs work at once.
    ///
    /// # Errors
    /// Settings that make no sense.
    fn slots(&self) -> Result<Slots>;
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
}

/// Whether a job without a result lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its worker has not started; why, where that is known.
    Waiting(Option<String>),
    /// Its worker runs; it may still wait for a slot.
    Alive,
    /// Nobody is left who could write a result; why, where that is known.
    Gone(Option<String>),
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
type Entry = (&'static str, fn() -> Arc<dyn Executor>);

/// All executors; the first is the default.
pub static EXECUTORS: [Entry; 1] = [(Local::ID, || Arc::new(Local::current()))];

/// The executor for new jobs, where none is chosen.
pub fn default_executor() -> Arc<dyn Executor> {
    let [(_, first), ..] = EXECUTORS;
    first()
}

/// The executor of a job, with what it knows the job by. Jobs of earlier versions have no `executor.json`: they are
/// local.
///
/// # Errors
/// An executor that this version does not know, or a file that cannot be read.
pub fn executor_of(job: &Path) -> Result<(Arc<dyn Executor>, Handle)> {
    let path = job.join(EXECUTOR);
    let handle = match own::read(&path, MAX_HANDLE)? {
        None => Handle { executor: Local::ID.into(), id: None },
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?,
    };
    let known = EXECUTORS.iter().find(|(id, _)| *id == handle.executor);
    let (_, make) = known.ok_or_else(|| {
        Error::file(
            &path,
            format!("names the executor {:?}, which this version does not know", handle.executor),
        )
    })?;
    Ok((make(), handle))
}

/// Submits a job, whose lock the caller holds, and keeps what the executor knows it by.
///
/// # Errors
/// As [`Executor::submit`], or a directory that cannot be written.
pub fn submit(executor: &dyn Executor, job: &JobDir) -> Result<()> {
    // Before: whoever looks meanwhile asks the right executor.
    let early = Handle { executor: executor.id().into(), id: None };
    write(job.path(), &early)?;
    let handle = executor.submit(job)?;
    if handle != early {
        write(job.path(), &handle)?;
    }
    Ok(())
}

fn write(job: &Path, handle: &Handle) -> Result<()> {
    let text = serde_json::to_vec(handle).map_err(|error| Error::msg(error.to_string()))?;
    own::replace(&job.join(EXECUTOR), &text)
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
        for (id, make) in &EXECUTORS {
            assert_eq!(make().id(), *id);
        }
        let dir = tempfile::tempdir().unwrap();
        let (executor, handle) = executor_of(dir.path()).unwrap();
        assert_eq!((executor.id(), handle.id), ("local", None));
        assert_eq!(look(dir.path()), Life::Gone(None));
        // Of a later version: not for us to say that it is dead.
        std::fs::write(dir.path().join(EXECUTOR), r#"{"executor":"moon","id":"7"}"#).unwrap();
        let Life::Waiting(Some(why)) = look(dir.path()) else { panic!("not waiting") };
        assert!(why.contains("\"moon\", which this version does not know"), "{why}");
    }
}

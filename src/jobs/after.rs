//! Jobs that depend on others: each begins only once all of its parents are finished.
//!
//! Nothing is stored but the parents' names, and the end of a job is not announced: its state is read from the
//! parents' own directories. So a parent that failed may be resumed, and its children begin when it is finished.

use std::path::Path;
use std::time::Duration;

use super::JobState;
use super::executors::Life;
use super::job_dir::is_id;
use super::layout::AFTER;
use super::life::Standing;
use crate::outside::own;
use crate::{Cancel, Result};

/// Largest list of parents that is read.
const MAX_AFTER: u64 = 1 << 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// The jobs that have to be finished before the one in `job` begins; none where that cannot be read.
pub fn parents(job: &Path) -> Vec<String> {
    let bytes = own::read(&job.join(AFTER), MAX_AFTER).ok().flatten().unwrap_or_default();
    let ids: Vec<String> = serde_json::from_slice(&bytes).unwrap_or_default();
    ids.into_iter().filter(|id| is_id(id)).collect()
}

/// Why the job in `job` cannot begin yet: the first parent that is not finished, one that has failed before all others.
pub fn waits_for(job: &Path) -> Option<String> {
    let jobs = job.parent()?;
    let mut under_way = None;
    for id in parents(job) {
        let parent = jobs.join(&id);
        let problem = match Standing::of(&parent) {
            _ if !parent.is_dir() => "is not there any more",
            Standing::Over(end) if end.state == JobState::Finished => continue,
            Standing::Over(end) if end.state == JobState::Cancelled => "was cancelled",
            Standing::Over(_) | Standing::Open(Life::Gone(_)) => "has failed",
            Standing::Open(Life::Waiting(_) | Life::Alive) => {
                under_way.get_or_insert_with(|| format!("waits for {id}"));
                continue;
            }
        };
        return Some(format!("waits for {id}, which {problem}"));
    }
    under_way
}

/// Waits until all parents are finished. `waiting` gets the reason whenever it changes.
///
/// # Errors
/// A raised `cancel`.
pub fn wait_for_parents(job: &Path, waiting: &mut dyn FnMut(&str), cancel: &Cancel) -> Result<()> {
    let mut last = String::new();
    loop {
        cancel.check()?;
        let Some(reason) = waits_for(job) else { return Ok(()) };
        if reason != last {
            waiting(&reason);
            last = reason;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::job_dir::{JobDir, JobResult};
    use crate::jobs::{AnyJob, ClusterSpec};

    fn job(jobs: &Path, after: &[String]) -> JobDir {
        let job = AnyJob::from(ClusterSpec { library: "/lib".into(), k: 2, ..ClusterSpec::default() });
        JobDir::create(jobs, &job, after).unwrap()
    }

    fn end(job: &JobDir, state: JobState) {
        JobResult { state, error: None, result: None, ended: None }.write(job.path()).unwrap();
    }

    #[test]
    fn a_job_waits_for_each_parent_and_says_for_which() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (job(dir.path(), &[]), job(dir.path(), &[]));
        let child = job(dir.path(), &[one.id(), other.id()]);
        let waits = || waits_for(child.path());
        assert_eq!(parents(child.path()), [one.id(), other.id()]);
        assert_eq!(waits(), Some(format!("waits for {}", one.id())));
        end(&one, JobState::Finished);
        assert_eq!(waits(), Some(format!("waits for {}", other.id())));
        end(&other, JobState::Cancelled);
        assert_eq!(waits(), Some(format!("waits for {}, which was cancelled", other.id())));
        // It was resumed.
        other.clear().unwrap();
        assert_eq!(waits(), Some(format!("waits for {}", other.id())));
        end(&other, JobState::Finished);
        assert_eq!((waits(), waits_for(one.path())), (None, None));
        std::fs::remove_dir_all(other.path()).unwrap();
        assert!(waits().unwrap().ends_with("which is not there any more"));
    }

    #[test]
    fn a_parent_that_has_died_has_failed() {
        let dir = tempfile::tempdir().unwrap();
        let (alive, dead) = (job(dir.path(), &[]), job(dir.path(), &[]));
        let child = job(dir.path(), &[alive.id(), dead.id()]);
        let id = dead.id();
        drop(dead);
        assert_eq!(waits_for(child.path()), Some(format!("waits for {id}, which has failed")));
        let cancel = Cancel::new();
        let mut reasons = Vec::new();
        let mut report = |reason: &str| {
            reasons.push(reason.to_string());
            cancel.cancel();
        };
        assert!(wait_for_parents(child.path(), &mut report, &cancel).is_err());
        assert_eq!(reasons.len(), 1);
    }
}

//! Jobs that depend on others: each begins only once all of its parents are finished.
//!
//! Nothing is stored but the parents' names, and the end of a job is not announced: its state is read from the
//! parents' own directories. So a parent that failed may be resumed, and its children begin when it is finished.

use std::path::Path;
use std::time::{Duration, Instant};

use super::JobState;
use super::after::{After, parents};
use super::executors::Life;
use super::layout::WAITS;
use super::life::Standing;
use crate::outside::own;
use crate::{Cancel, Error, Result};

const BETWEEN_LOOKS: Duration = Duration::from_millis(300);
/// How long a job that has its node waits for the end of a parent to show on a shared file system.
const DELAY: Duration = Duration::from_secs(600);

/// Said of a job that somebody holds.
pub const HELD: &str = "is held";

/// Why a job cannot begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// In words.
    pub text: String,
    /// Nothing that is under way will change it.
    pub hopeless: bool,
}

/// Whether to wait for a parent that has failed, which may be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Yes.
    ForEver,
    /// Only for those that are under way.
    WhileUnderWay,
}

/// Whether this parent of a job in the folder `jobs` need not be waited for any more.
pub fn is_met(jobs: &Path, after: &After) -> bool {
    match Standing::of(&jobs.join(&after.id)) {
        Standing::Over(end) => after.any || end.state == JobState::Finished,
        Standing::Open(Life::Gone(_) | Life::Stopped) => after.any,
        Standing::Open(Life::Waiting(_) | Life::Alive(_) | Life::Unseen(_)) => false,
    }
}

/// Why the job in `job` cannot begin yet: the first parent that is not finished, one that has failed before all others.
pub fn waits_for(job: &Path) -> Option<Wait> {
    let jobs = job.parent()?;
    let mut under_way = None;
    for After { id, any } in parents(job) {
        let parent = jobs.join(&id);
        let problem = match Standing::of(&parent) {
            _ if !parent.is_dir() => "is not there any more",
            Standing::Over(_) | Standing::Open(Life::Gone(_) | Life::Stopped) if any => continue,
            Standing::Over(end) if end.state == JobState::Finished => continue,
            Standing::Over(end) if end.state == JobState::Cancelled => "was cancelled",
            Standing::Open(Life::Stopped) => "was cancelled",
            Standing::Over(_) | Standing::Open(Life::Gone(_)) => "has failed",
            Standing::Open(Life::Waiting(_) | Life::Alive(_) | Life::Unseen(_)) => {
                under_way.get_or_insert_with(|| Wait { text: format!("waits for {id}"), hopeless: false });
                continue;
            }
        };
        return Some(Wait { text: format!("waits for {id}, which {problem}"), hopeless: true });
    }
    under_way
}

/// Largest reason that is read.
const MAX_REASON: u64 = 1 << 10;

/// Why a job that is queued has not begun: that somebody holds it, for which parent it waits; else `said`, which is what its
/// executor says, or its worker on this machine. The one answer, wherever it is shown.
pub fn why(job: &Path, held: bool, said: Option<String>) -> Option<String> {
    let parents = waits_for(job).map(|wait| wait.text);
    let held = held.then(|| HELD.to_string());
    match (held, parents) {
        (None, None) => said.or_else(|| noted(job)),
        (held, parents) => Some(held.into_iter().chain(parents).collect::<Vec<_>>().join("; ")),
    }
}

/// Notes for readers why a job may not begin on this machine, once no parent is waited for and nobody holds it.
pub fn note(job: &Path, reason: &str) {
    let path = job.join(WAITS);
    // Without it, readers say that it waits for its turn.
    let _ = match reason {
        HELD => own::remove(&path).map(drop),
        reason => own::replace_unsynced(&path, reason.as_bytes()),
    };
}

/// Forgets the reason: the job begins.
pub fn forget(job: &Path) {
    let _ = own::remove(&job.join(WAITS));
}

/// What was noted.
fn noted(job: &Path) -> Option<String> {
    let bytes = own::read(&job.join(WAITS), MAX_REASON).ok().flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    // Anybody may have written it.
    text.lines().next().map(String::from).filter(|line| !line.is_empty())
}

/// Waits until all parents are finished. `waiting` gets the reason whenever it changes.
///
/// # Errors
/// A raised `cancel`; with [`Patience::WhileUnderWay`] a parent that has failed, or whose end does not show.
pub fn wait_for_parents(
    job: &Path,
    patience: Patience,
    waiting: &mut dyn FnMut(&str),
    cancel: &Cancel,
) -> Result<()> {
    let mut last = String::new();
    let began = Instant::now();
    loop {
        cancel.check()?;
        let Some(Wait { text, hopeless }) = waits_for(job) else { return Ok(()) };
        if patience == Patience::WhileUnderWay && (hopeless || began.elapsed() > DELAY) {
            return Err(Error::msg(text));
        }
        if text != last {
            waiting(&text);
            last = text;
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
        let after: Vec<After> = after.iter().map(After::finished).collect();
        let job = AnyJob::from(ClusterSpec { library: "/lib".into(), k: 2, ..ClusterSpec::default() });
        JobDir::create(jobs, &job, &after).unwrap()
    }

    fn job_after(jobs: &Path, after: After) -> JobDir {
        let job = AnyJob::from(ClusterSpec { library: "/lib".into(), k: 2, ..ClusterSpec::default() });
        JobDir::create(jobs, &job, &[after]).unwrap()
    }

    fn end(job: &JobDir, state: JobState) {
        JobResult { state, error: None, result: None, ended: None }.write(job.path()).unwrap();
    }

    #[test]
    fn a_job_waits_for_each_parent_and_says_for_which() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (job(dir.path(), &[]), job(dir.path(), &[]));
        let child = job(dir.path(), &[one.id(), other.id()]);
        let waits = || waits_for(child.path()).map(|wait| wait.text);
        assert_eq!(parents(child.path()), [one.id(), other.id()].map(After::finished));
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
        let any = After { id: other.id(), any: true };
        end(&other, JobState::Failed);
        assert!(is_met(dir.path(), &any) && !is_met(dir.path(), &After::finished(other.id())));
        let patient = job_after(dir.path(), any);
        assert_eq!(waits_for(patient.path()), None);
        std::fs::remove_dir_all(other.path()).unwrap();
        assert!(waits().unwrap().ends_with("which is not there any more"));
    }

    #[test]
    fn one_reason_says_that_a_job_is_held_and_what_it_waits_for() {
        let dir = tempfile::tempdir().unwrap();
        let parent = job(dir.path(), &[]);
        let child = job(dir.path(), &[parent.id()]);
        let why = |held| why(child.path(), held, None);
        let waits = format!("waits for {}", parent.id());
        assert_eq!(why(false), Some(waits.clone()));
        assert_eq!(why(true), Some(format!("is held; {waits}")));
        // What its worker notes counts where nothing else keeps it.
        note(child.path(), "waits for cores: it takes 3 of 8");
        assert_eq!(why(false), Some(waits));
        end(&parent, JobState::Finished);
        assert_eq!(why(false), Some("waits for cores: it takes 3 of 8".into()));
        assert_eq!(why(true), Some("is held".into()));
        note(child.path(), HELD);
        assert_eq!(why(false), None);
        std::fs::write(child.path().join(WAITS), "\u{1b}[2J\nmore").unwrap();
        assert_eq!(why(false), Some("\u{1b}[2J".into()));
        forget(child.path());
        assert_eq!(why(false), None);
    }

    #[test]
    fn a_parent_that_has_died_has_failed() {
        let dir = tempfile::tempdir().unwrap();
        let (alive, dead) = (job(dir.path(), &[]), job(dir.path(), &[]));
        let child = job(dir.path(), &[alive.id(), dead.id()]);
        let id = dead.id();
        drop(dead);
        let text = format!("waits for {id}, which has failed");
        assert_eq!(waits_for(child.path()), Some(Wait { text: text.clone(), hopeless: true }));
        let cancel = Cancel::new();
        let mut reasons = Vec::new();
        let mut report = |reason: &str| {
            reasons.push(reason.to_string());
            cancel.cancel();
        };
        assert!(wait_for_parents(child.path(), Patience::ForEver, &mut report, &cancel).is_err());
        let other = Cancel::new();
        let error = wait_for_parents(child.path(), Patience::WhileUnderWay, &mut |_| (), &other).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(reasons.len(), 1);
    }
}

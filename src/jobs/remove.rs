//! Jobs that have ended are removed.

use std::path::Path;

use super::executors::{EXECUTORS, Handle};
use super::job_dir::{LOCK_PATIENCE, busy, discard};
use super::layout::LOCK;
use super::{JobState, JobSummary, Jobs};
use crate::outside::{Holder, Lock, own};
use crate::{Error, Result};

impl Jobs {
    /// Removes the directories of jobs that have ended, each in one step; what a job wrote elsewhere stays. With each,
    /// whether it was removed: a job that has not ended is not, nor one for which another waits.
    ///
    /// # Errors
    /// A folder of jobs that cannot be read.
    pub fn remove_many(&self, ids: &[String]) -> Result<Vec<(String, Result<()>)>> {
        let all = self.list()?;
        let results: Vec<_> = ids.iter().map(|id| (id.clone(), self.remove(id, &all))).collect();
        if results.iter().any(|(_, removed)| removed.is_ok()) {
            let library = self.library().map(Path::to_path_buf);
            EXECUTORS.iter().for_each(|entry| (entry.make)(library.clone()).tidy(self.dir()));
        }
        Ok(results)
    }

    fn remove(&self, id: &str, all: &[JobSummary]) -> Result<()> {
        let path = self.existing(id)?;
        let Some(job) = all.iter().find(|job| job.id == id) else {
            return Err(Error::msg(format!("there is no longer a job {id:?}")));
        };
        if !job.state.is_over() {
            let end = if job.state == JobState::Cancelling { "wait for its end" } else { "cancel it first" };
            return Err(Error::msg(format!("job {id} {}: {end}", job.state.words())));
        }
        if let Some(child) =
            all.iter().find(|other| !other.state.is_over() && other.after.iter().any(|after| after == id))
        {
            return Err(Error::msg(format!("job {} waits for job {id}: cancel that one first", child.id)));
        }
        let before = Handle::read(&path).ok();
        // Nobody resumes it meanwhile. Where locks cannot be seen, what its executor knows it by shows that.
        let lock = path.join(LOCK);
        let _held = match own::is_taken(&lock) && !matches!(Lock::holder(&lock), Holder::Unknown) {
            true => Some(Lock::take_existing(&lock, LOCK_PATIENCE)?.ok_or_else(|| busy(&path))?),
            false => None,
        };
        if Handle::read(&path).ok() != before {
            return Err(Error::msg(format!("job {id} was resumed by somebody else a moment ago")));
        }
        discard(&path)
    }
}

//! Jobs are handed over to their executor, as many at once as it takes.

use std::collections::HashSet;
use std::time::SystemTime;

use super::after::{After, parents};
use super::executors::{self, Batch, Handle, Parent, Refusal, ToSubmit};
use super::job_dir::{JobDir, JobResult};
use super::kinds::AnyJob;
use super::{Executor, JobState, Jobs, Share, waits};
use crate::Result;

/// A job that is to be handed over.
pub(super) struct Ready {
    pub dir: JobDir,
    pub job: AnyJob,
}

/// A job that was handed over, or was to be.
pub(super) struct HandedOver {
    /// Its id.
    pub id: String,
    /// Why nobody does it.
    pub refusal: Option<Refusal>,
}

impl Jobs {
    /// Hands jobs over; one that is not taken has failed.
    pub(super) fn hand_over(&self, executor: &dyn Executor, ready: &[Ready]) -> Vec<HandedOver> {
        let mut all = Vec::with_capacity(ready.len());
        for (kind, jobs) in by_kind(ready.iter().map(|ready| (&ready.job, ready))) {
            let mut batch = Vec::new();
            for (job, ready) in jobs {
                let path = ready.dir.path().to_path_buf();
                let after = self.open_parents(&parents(&path)).unwrap_or_default();
                let Share { cores } = Share::read(&path);
                batch.push(ToSubmit { path, dir: Some(&ready.dir), memory: memory(job), cores, after });
            }
            for part in alike(&batch) {
                let done = executors::submit(executor, &Batch { jobs_dir: self.dir(), kind, jobs: part });
                for (job, done) in part.iter().zip(done) {
                    let refusal = done.err();
                    if let Some(refusal) = &refusal {
                        let end = JobResult {
                            state: JobState::Failed,
                            error: Some(refusal.why.clone()),
                            result: None,
                            ended: Some(SystemTime::now()),
                        };
                        // A job without it is one that has died: it can be resumed as well.
                        let _ = end.write(&job.path);
                    }
                    let id = job.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    all.push(HandedOver { id, refusal });
                }
            }
        }
        all
    }

    /// Those of `after` that are still waited for.
    pub(super) fn open_parents(&self, after: &[After]) -> Result<Vec<Parent>> {
        let open = after.iter().filter(|after| !waits::is_met(self.dir(), after));
        open.map(|After { id, any }| {
            Ok(Parent { id: id.clone(), handle: Handle::read(&self.dir().join(id))?, any: *any })
        })
        .collect()
    }
}

/// Things by the kinds of their jobs, in order.
pub(super) fn by_kind<'a, T>(
    all: impl Iterator<Item = (&'a AnyJob, T)>,
) -> Vec<(&'static str, Vec<(&'a AnyJob, T)>)> {
    let mut kinds: Vec<(&'static str, Vec<(&AnyJob, T)>)> = Vec::new();
    for (job, thing) in all {
        let kind = job.kind().name;
        match kinds.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, jobs)) => jobs.push((job, thing)),
            None => kinds.push((kind, vec![(job, thing)])),
        }
    }
    kinds
}

/// Parts that wait for the same jobs; all of them where each waits for one of its own.
fn alike<'b, 'a>(batch: &'b [ToSubmit<'a>]) -> Vec<&'b [ToSubmit<'a>]> {
    let own: HashSet<&str> =
        batch.iter().flat_map(|job| &job.after).map(|parent| parent.id.as_str()).collect();
    if batch.iter().all(|job| job.after.len() == 1) && own.len() == batch.len() {
        return if batch.is_empty() { Vec::new() } else { vec![batch] };
    }
    batch.chunk_by(|one, other| one.after == other.after).collect()
}

/// Bytes of memory that a job will take, where that was estimated.
pub(super) fn memory(job: &AnyJob) -> Option<u64> {
    Some(job.training()?.forecast.as_ref()?.peak())
}

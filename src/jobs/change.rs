//! What changes jobs: they are resumed, cancelled, held, let go and put into another order, one or many.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::after::parents;
use super::events::EventLog;
use super::executors::{Child, Handle, Life, executor_by};
use super::hand_over::Ready;
use super::job_dir::{JobDir, JobResult, read_spec};
use super::kinds::{AnyJob, Use};
use super::layout::{CANCEL, EVENTS, HOLD, ORDER, RESULT};
use super::order::{self, QueueMove};
use super::prepared::prepared;
use super::{Executor, JobState, JobSummary, Jobs, NewJob, Share, origin};
use crate::outside::own;
use crate::settings::CommandOption;
use crate::{Error, Result};

impl Jobs {
    /// Resumes a job that was cancelled, has failed or whose worker died; it is queued at once. Kinds that keep
    /// their work resume from it, others begin again.
    ///
    /// # Errors
    /// A job that is finished or still under way; one that this user did not start on this machine, with what it
    /// would read and write; as [`Self::start`] for what it is asked to do.
    pub fn resume(&self, id: &str) -> Result<()> {
        self.resume_one(id, false)
    }

    /// [`Self::resume`], also for a job that somebody else started, such as one that came along with the library. From
    /// then on it counts as this user's.
    ///
    /// # Errors
    /// As there, but for where the job comes from.
    pub fn resume_trusted(&self, id: &str) -> Result<()> {
        self.resume_one(id, true)
    }

    fn resume_one(&self, id: &str, trust: bool) -> Result<()> {
        let done = self.resume_many(&[id.to_string()], trust)?.pop();
        done.map_or(Ok(()), |(_, done)| done)
    }

    /// Resumes jobs, each by the executor that had it (by another, if this list was given one): with each, whether it
    /// was handed over.
    ///
    /// # Errors
    /// A folder of jobs that cannot be read.
    pub fn resume_many(&self, ids: &[String], trust: bool) -> Result<Vec<(String, Result<()>)>> {
        self.resume_changed(ids, trust, &[])
    }

    /// [`Self::resume_many`] with other settings: each by its name or its flag, with what is typed for it. A training
    /// continues from its saved state as long as its steps have the same examples.
    ///
    /// # Errors
    /// As there. A job that has no such setting, or does not take the value, is not resumed.
    pub fn resume_changed(
        &self,
        ids: &[String],
        trust: bool,
        changes: &[(String, String)],
    ) -> Result<Vec<(String, Result<()>)>> {
        let all = self.list()?;
        let mut results: BTreeMap<usize, Result<()>> = BTreeMap::new();
        let mut ready: BTreeMap<&'static str, (Arc<dyn Executor>, Vec<(usize, Ready)>)> = BTreeMap::new();
        for (at, id) in ids.iter().enumerate() {
            let mut take = || {
                let (executor, one) = self.reopened(id, trust, changes, &all)?;
                let (executor, jobs) = ready.entry(executor.id()).or_insert((executor, Vec::new()));
                jobs.push((at, one));
                if jobs.len() >= executor.together() {
                    self.hand_over_at(&**executor, std::mem::take(jobs), &mut results);
                }
                Ok(())
            };
            if let Err(error) = take() {
                results.insert(at, Err(error));
            }
        }
        for (executor, jobs) in ready.into_values() {
            self.hand_over_at(&*executor, jobs, &mut results);
        }
        self.follow(ids)?;
        let results: Vec<_> =
            results.into_iter().filter_map(|(at, done)| Some((ids.get(at)?.clone(), done))).collect();
        Ok(results)
    }

    fn hand_over_at(
        &self,
        executor: &dyn Executor,
        jobs: Vec<(usize, Ready)>,
        results: &mut BTreeMap<usize, Result<()>>,
    ) {
        let (places, jobs): (Vec<usize>, Vec<Ready>) = jobs.into_iter().unzip();
        for (at, done) in places.into_iter().zip(self.hand_over(executor, &jobs)) {
            results.insert(at, done.refusal.map_or(Ok(()), |refusal| Err(Error::msg(refusal.why))));
        }
    }

    /// A job that is ready to be resumed, with the executor for it.
    fn reopened(
        &self,
        id: &str,
        trust: bool,
        changes: &[(String, String)],
        all: &[JobSummary],
    ) -> Result<(Arc<dyn Executor>, Ready)> {
        let path = self.existing(id)?;
        let mut asked = NewJob { job: read_spec(&path)?, share: Share::read(&path) };
        if !trust && !origin::is_ours(&path) {
            return Err(foreign(id, &asked.job));
        }
        let finished = || Error::msg(format!("job {id} is finished: there is nothing to resume"));
        match all.iter().find(|job| job.id == *id).map(|job| job.state) {
            Some(state) if state.can_resume() => {}
            Some(JobState::Finished) => return Err(finished()),
            state => {
                let state = state.map_or("not there any more", JobState::name);
                return Err(Error::msg(format!(
                    "job {id} is {state}: only cancelled and failed jobs can be resumed"
                )));
            }
        }
        change(&mut asked, changes)?;
        let mut job = prepared(&asked.job, all)?;
        job.check_resumed()?;
        if !changes.is_empty() {
            job.estimate();
        }
        let executor = match self.chosen() {
            Some(executor) => executor,
            None => self.executor_at(&path)?.0,
        };
        executor.check()?;
        // The lock says nothing of a job that another machine does: whoever had it a moment ago may have handed it over.
        let open = |path: &Path| !path.join(RESULT).exists();
        let somebody_did = || Error::msg(format!("job {id} was resumed by somebody else a moment ago"));
        let (before, known) = self.executor_at(&path)?;
        if !before.locks()
            && open(&path)
            && matches!(before.look(&path, &known), Life::Alive(_) | Life::Unseen(_) | Life::Waiting(_))
        {
            return Err(somebody_did());
        }
        let reopen = if executor.locks() { JobDir::reopen } else { JobDir::reopen_anywhere };
        let mut dir = reopen(path)?;
        let (before, handle) = self.executor_at(dir.path())?;
        if !before.locks() && open(dir.path()) {
            match before.look(dir.path(), &handle) {
                Life::Waiting(_) | Life::Unseen(_) => return Err(somebody_did()),
                // The lock that shows a worker may be this one's own.
                Life::Alive(_) if handle != known => return Err(somebody_did()),
                Life::Alive(_) | Life::Stopped | Life::Gone(_) => {}
            }
        }
        // Somebody else may have done the same a moment ago.
        if JobResult::read(dir.path()).is_some_and(|end| end.state == JobState::Finished) {
            return Err(finished());
        }
        if dir.path().join(EVENTS).exists() {
            EventLog::open(dir.path(), |_| ())?.resumed();
        }
        if !changes.is_empty() {
            dir.rewrite(&job)?;
            asked.share.write(dir.path())?;
        }
        dir.clear()?;
        Handle::early(executor.id()).write(dir.path())?;
        origin::mark(dir.path());
        if !executor.locks() {
            dir.release();
        }
        Ok((executor, Ready { dir, job }))
    }

    /// Lets jobs that wait for these, which were handed over again, wait for them.
    fn follow(&self, resumed: &[String]) -> Result<()> {
        let mut children: BTreeMap<&'static str, (Arc<dyn Executor>, Vec<Child>)> = BTreeMap::new();
        for id in self.ids()? {
            let path = self.dir().join(&id);
            let after = parents(&path);
            if path.join(RESULT).exists() || !after.iter().any(|after| resumed.contains(&after.id)) {
                continue;
            }
            let handle = Handle::read(&path)?;
            let executor = self.executor_by(&path, &handle)?;
            let after = self.open_parents(&after)?;
            let (_, all) = children.entry(executor.id()).or_insert((executor, Vec::new()));
            all.push(Child { handle, after });
        }
        children.into_values().try_for_each(|(executor, children)| executor.follow(&children))
    }

    /// Asks a job to stop and returns at once; its worker answers within a fraction of a second, or after the
    /// step that it is in. Asking again changes nothing.
    ///
    /// # Errors
    /// The job has ended, or its worker died.
    pub fn cancel(&self, id: &str) -> Result<()> {
        self.existing(id)?;
        let summary = self.summary(id);
        if summary.state.is_over() {
            let error = summary.error.map(|error| format!(": {error}")).unwrap_or_default();
            return Err(Error::msg(format!("job {id} has ended ({}{error})", summary.state.name())));
        }
        self.cancel_many(&[id.to_string()])
    }

    /// Asks all of these jobs to stop, in as few calls as their executors need. Those that have ended stay as they are.
    ///
    /// # Errors
    /// A job that is not there; what an executor says: its jobs then go on as if nobody had asked, but for those whose
    /// workers have heard it already.
    pub fn cancel_many(&self, ids: &[String]) -> Result<()> {
        let asked_before: HashSet<PathBuf> =
            ids.iter().map(|id| self.dir().join(id)).filter(|path| path.join(CANCEL).exists()).collect();
        let open = self.marked(ids, |path| own::mark(&path.join(CANCEL)))?;
        let mut done = Ok(());
        for (executor, jobs) in open.into_values() {
            if let Err(error) = executor.cancel(&jobs) {
                // A wish that nobody carries out would make them look as if they were about to end, for ever.
                for (job, _) in jobs.iter().filter(|(job, _)| !asked_before.contains(job)) {
                    own::remove(&job.join(CANCEL))?;
                }
                done = done.and(Err(error));
            }
        }
        done
    }

    /// Holds jobs that have not begun, or lets them go: with each, whether that was done. One that does not wait is refused,
    /// and one that is done in one piece with another that is not among these.
    ///
    /// # Errors
    /// As [`Self::cancel_many`].
    pub fn hold(&self, ids: &[String], held: bool) -> Result<Vec<(String, Result<()>)>> {
        let all = self.list()?;
        let check = |id: &String| (id.clone(), self.check_hold(id, held, ids, &all));
        let results: Vec<(String, Result<()>)> = ids.iter().map(check).collect();
        let fine = results.iter().filter(|(_, done)| done.is_ok());
        let fine: Vec<String> = fine.map(|(id, _)| id.clone()).collect();
        let open = self.marked(&fine, |path| {
            let path = path.join(HOLD);
            if held { own::mark(&path) } else { own::remove(&path).map(drop) }
        })?;
        open.into_values().try_for_each(|(executor, jobs)| executor.hold(&jobs, held))?;
        Ok(results)
    }

    /// Whether a job can be held, or let go, together with those of `ids`.
    fn check_hold(&self, id: &str, held: bool, ids: &[String], all: &[JobSummary]) -> Result<()> {
        let done = if held { "held" } else { "released" };
        let path = self.existing(id)?;
        let job = all.iter().find(|job| job.id == id);
        match job.map(|job| (job.state, &job.place)) {
            Some((JobState::Queued, None)) => {}
            Some((JobState::Queued, Some(place))) => {
                return Err(Error::msg(format!(
                    "job {id} is about to begin ({place}): only jobs that wait can be {done}"
                )));
            }
            state => {
                let words = state.map_or("is not there any more".into(), |(state, _)| state.words());
                return Err(Error::msg(format!("job {id} {words}: only jobs that wait can be {done}")));
            }
        }
        let (executor, handle) = self.executor_at(&path)?;
        let mut packed = executor.packed_with(&path, &handle);
        // One that is to be cancelled ends anyway, whatever becomes of the others.
        let ends = |job: &JobSummary| job.state.is_over() || job.state == JobState::Cancelling;
        let waits = |other: &String| all.iter().any(|job| job.id == *other && !ends(job));
        packed.retain(|other| !ids.contains(other) && waits(other));
        match packed.is_empty() {
            true => Ok(()),
            false => Err(Error::msg(format!(
                "job {id} is one piece of work with {}, which would be {done}, too: name all of them, or take --group \
                 {id}",
                packed.join(", ")
            ))),
        }
    }

    /// Puts a job that waits on this machine somewhere else in the queue.
    ///
    /// # Errors
    /// A job that does not wait, or whose executor decides the order itself.
    pub fn reorder(&self, id: &str, to: QueueMove) -> Result<()> {
        let path = self.existing(id)?;
        let (executor, _) = self.executor_at(&path)?;
        if !executor.locks() {
            return Err(Error::usage(format!(
                "{} decides the order of its jobs: {id} cannot be put elsewhere",
                executor.id()
            )));
        }
        let all = self.list()?;
        if let Some(job) = all.iter().find(|job| job.id == id && job.state != JobState::Queued) {
            let words = job.state.words();
            return Err(Error::msg(format!("job {id} {words}: only jobs that wait have an order")));
        }
        let waiting = all.iter().filter(|job| job.turn.is_some());
        let places = waiting.map(|job| order::place(&self.dir().join(&job.id))).collect();
        for (job, order) in order::reordered(places, &path, to) {
            own::replace_unsynced(&job.join(ORDER), order.to_string().as_bytes())?;
        }
        Ok(())
    }

    /// Marks those of these jobs that have no result; gives them by their executors.
    fn marked(&self, ids: &[String], mark: impl Fn(&Path) -> Result<()>) -> Result<ByExecutor> {
        let mut open = ByExecutor::new();
        for id in ids {
            let path = self.existing(id)?;
            if path.join(RESULT).exists() {
                continue;
            }
            mark(&path)?;
            let (executor, handle) = self.executor_at(&path)?;
            open.entry(executor.id()).or_insert((executor, Vec::new())).1.push((path, handle));
        }
        Ok(open)
    }

    fn executor_at(&self, job: &Path) -> Result<(Arc<dyn Executor>, Handle)> {
        let handle = Handle::read(job)?;
        Ok((self.executor_by(job, &handle)?, handle))
    }

    fn executor_by(&self, job: &Path, handle: &Handle) -> Result<Arc<dyn Executor>> {
        match self.chosen().filter(|executor| executor.id() == handle.executor) {
            Some(executor) => Ok(executor),
            None => executor_by(job, handle),
        }
    }
}

/// Gives a job other settings.
///
/// # Errors
/// A usage error for a setting that it does not have, or a value that this does not take.
fn change(asked: &mut NewJob, changes: &[(String, String)]) -> Result<()> {
    let options = asked.options();
    for (name, text) in changes {
        let is_it = |option: &&CommandOption| option.id == name || option.flag == name;
        let Some(option) = options.iter().find(is_it) else {
            let known: Vec<&str> = options.iter().map(|option| option.flag).collect();
            let (kind, known) = (asked.job.kind().name, known.join(", "));
            return Err(Error::usage(format!("{kind} has no setting {name}; there are {known}")));
        };
        asked.set(option.id, text).map_err(|refusal| Error::usage(refusal.of(name, text)))?;
    }
    Ok(())
}

type ByExecutor = BTreeMap<&'static str, (Arc<dyn Executor>, Vec<(PathBuf, Handle)>)>;

/// The error for a job that came from elsewhere: what it would read and write, and how to let it.
fn foreign(id: &str, job: &AnyJob) -> Error {
    let uses = job.uses();
    let named = |wanted: &[Use]| {
        let paths = uses.iter().filter(|(how, _)| wanted.contains(how));
        paths.map(|(_, path)| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let (reads, writes) = (named(&[Use::Library, Use::Reads]), named(&[Use::Library, Use::Writes]));
    Error::msg(format!(
        "job {id} was not started by you on this machine: it reads {reads} and may write to {writes}; if that is \
         right, resume it with `lora-tui jobs LIBRARY resume {id} --trust`"
    ))
}

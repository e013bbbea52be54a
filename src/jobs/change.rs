//! What changes jobs: they are started, resumed, cancelled, held, let go and put into another order, one or many.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::after::{After, parents};
use super::events::EventLog;
use super::executors::{self, Batch, Child, Handle, Life, Parent, ToSubmit, default_executor, executor_by};
use super::job_dir::{JobDir, JobResult, read_spec};
use super::kinds::{AnyJob, Use};
use super::layout::{CANCEL, EVENTS, GROUP, HOLD, ORDER, RESULT};
use super::order::{self, QueueMove};
use super::{Executor, JobState, JobSummary, Jobs, NewJob, Share, origin, waits};
use crate::outside::{make_folders, own, sweep};
use crate::settings::CommandOption;
use crate::{Error, Result};

/// A job that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its id.
    pub id: String,
    /// Why nobody does it; it has then failed, and can be resumed.
    pub problem: Option<String>,
}

/// A job that is to be handed over.
struct Ready {
    dir: JobDir,
    job: AnyJob,
}

impl Jobs {
    /// Starts a job; gives its id. It is queued at once and survives this process.
    ///
    /// # Errors
    /// A spec that cannot work (usage), a training whose name is taken or under way, a state directory that cannot
    /// be written, a worker that cannot be started (the job then stands there as failed).
    pub fn start(&self, job: &AnyJob) -> Result<String> {
        self.start_after(job, &[])
    }

    /// Starts a job that begins once the jobs `after` are all finished; until then it is queued and says for which it
    /// waits. One that failed or was cancelled keeps it waiting: it may be resumed, or the new one cancelled.
    ///
    /// # Errors
    /// As [`Self::start`]; a job of `after` that is not there.
    pub fn start_after(&self, job: &AnyJob, after: &[String]) -> Result<String> {
        let after: Vec<After> = after.iter().map(After::finished).collect();
        let started = self.start_many(&[(job.clone(), after)])?.pop();
        match started.ok_or_else(|| Error::msg("no job was started"))? {
            Started { problem: Some(problem), .. } => Err(Error::msg(problem)),
            Started { id, problem: None } => Ok(id),
        }
    }

    /// Starts jobs that belong together, each after others; they are handed over in as few pieces as their executor
    /// takes them.
    ///
    /// # Errors
    /// Before anything is started: as [`Self::start`] for one of them, or two that are the same. Afterwards each job
    /// stands there, also one that was not taken.
    pub fn start_many(&self, asked: &[(AnyJob, Vec<After>)]) -> Result<Vec<Started>> {
        let executor = self.executor_of_new()?;
        let jobs = self.checked(asked, &*executor)?;
        make_folders(self.dir())?;
        // What starters that were killed left behind.
        sweep(self.dir());
        let mut started = Vec::new();
        let mut ready = Vec::new();
        let mut group: Option<String> = None;
        for (job, (_, after)) in jobs.into_iter().zip(asked) {
            let make = if executor.locks() { JobDir::create } else { JobDir::create_anywhere };
            let mut dir = make(self.dir(), &job, after)?;
            if asked.len() > 1 {
                let group = group.get_or_insert_with(|| dir.id());
                own::create(&dir.path().join(GROUP), group.as_bytes())?;
            }
            self.share_of_new().write(dir.path())?;
            Handle::early(executor.id()).write(dir.path())?;
            if !executor.locks() {
                dir.release();
            }
            ready.push(Ready { dir, job });
            if ready.len() >= executor.together() {
                started.extend(self.hand_over(&*executor, std::mem::take(&mut ready)));
            }
        }
        started.extend(self.hand_over(&*executor, ready));
        Ok(started)
    }

    /// What [`Self::start_many`] would do, for people.
    ///
    /// # Errors
    /// As there.
    pub fn plan(&self, asked: &[(AnyJob, Vec<After>)]) -> Result<String> {
        let executor = self.executor_of_new()?;
        let jobs = self.checked(asked, &*executor)?;
        let mut plan = String::new();
        for (kind, jobs) in by_kind(jobs.iter().zip(asked)) {
            let submit = |(number, (job, (_, after))): (usize, &(&AnyJob, &(AnyJob, Vec<After>)))| {
                let path =
                    self.dir().join(format!("{}-{number}", super::job_dir::id_stem(SystemTime::now(), job)));
                let after = self.open_parents(after)?;
                Ok(ToSubmit { path, dir: None, memory: memory(job), cores: self.share_of_new().cores, after })
            };
            let jobs = jobs.iter().enumerate().map(submit).collect::<Result<Vec<_>>>()?;
            plan += &executor.plan(&Batch { jobs_dir: self.dir(), kind, jobs: &jobs })?;
        }
        Ok(plan)
    }

    /// The jobs with absolute paths, if they can work and no other does the same.
    fn checked(&self, asked: &[(AnyJob, Vec<After>)], executor: &dyn Executor) -> Result<Vec<AnyJob>> {
        executor.check()?;
        for After { id, .. } in asked.iter().flat_map(|(_, after)| after) {
            self.existing(id)?;
        }
        let under_way = self.list()?;
        let mut names = HashSet::new();
        let check = |(job, _): &(AnyJob, Vec<After>)| {
            let mut job = prepared(job, &under_way)?;
            job.check_new()?;
            if let Some(doing) = job.kind().unique
                && !names.insert((job.kind().name, job.title()))
            {
                return Err(Error::usage(format!(
                    "two jobs would be {doing} {}; give them different names",
                    job.title()
                )));
            }
            job.estimate();
            Ok(job)
        };
        asked.iter().map(check).collect()
    }

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
        for (at, started) in places.into_iter().zip(self.hand_over(executor, jobs)) {
            results.insert(at, started.problem.map_or(Ok(()), |problem| Err(Error::msg(problem))));
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
            && matches!(before.look(&path, &known), Life::Alive(_) | Life::Waiting(_))
        {
            return Err(somebody_did());
        }
        let reopen = if executor.locks() { JobDir::reopen } else { JobDir::reopen_anywhere };
        let mut dir = reopen(path)?;
        let (before, handle) = self.executor_at(dir.path())?;
        if !before.locks() && open(dir.path()) {
            match before.look(dir.path(), &handle) {
                Life::Waiting(_) => return Err(somebody_did()),
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

    /// Hands jobs over; one that is not taken has failed.
    fn hand_over(&self, executor: &dyn Executor, ready: Vec<Ready>) -> Vec<Started> {
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
                    let problem = done.err();
                    if let Some(problem) = &problem {
                        let end = JobResult {
                            state: JobState::Failed,
                            error: Some(problem.clone()),
                            result: None,
                            ended: Some(SystemTime::now()),
                        };
                        // A job without it is one that has died: it can be resumed as well.
                        let _ = end.write(&job.path);
                    }
                    let id = job.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    all.push(Started { id, problem });
                }
            }
        }
        all
    }

    /// Those of `after` that are still waited for.
    fn open_parents(&self, after: &[After]) -> Result<Vec<Parent>> {
        let open = after.iter().filter(|after| !waits::is_met(self.dir(), after));
        open.map(|After { id, any }| {
            Ok(Parent { id: id.clone(), handle: Handle::read(&self.dir().join(id))?, any: *any })
        })
        .collect()
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
    /// A job that is not there; what an executor says.
    pub fn cancel_many(&self, ids: &[String]) -> Result<()> {
        let open = self.marked(ids, |path| own::mark(&path.join(CANCEL)))?;
        open.into_values().try_for_each(|(executor, jobs)| executor.cancel(&jobs))
    }

    /// Holds jobs that have not begun, or lets them go.
    ///
    /// # Errors
    /// As [`Self::cancel_many`].
    pub fn hold(&self, ids: &[String], held: bool) -> Result<()> {
        let open = self.marked(ids, |path| {
            let path = path.join(HOLD);
            if held { own::mark(&path) } else { own::remove(&path).map(drop) }
        })?;
        open.into_values().try_for_each(|(executor, jobs)| executor.hold(&jobs, held))
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
        if !all.iter().any(|job| job.id == id && job.state == JobState::Queued) {
            return Err(Error::msg(format!("job {id} does not wait: only waiting jobs have an order")));
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

    fn executor_of_new(&self) -> Result<Arc<dyn Executor>> {
        self.chosen().map_or_else(|| default_executor(self.library().map(Path::to_path_buf)), Ok)
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
        asked
            .set(option.id, text)
            .map_err(|wanted| Error::usage(format!("{name} must be {wanted}, not {text}")))?;
    }
    Ok(())
}

type ByExecutor = BTreeMap<&'static str, (Arc<dyn Executor>, Vec<(PathBuf, Handle)>)>;

/// The job with absolute paths, if it can work and none of `others` does the same.
fn prepared(job: &AnyJob, others: &[JobSummary]) -> Result<AnyJob> {
    let mut job = job.clone();
    job.prepare()?;
    let (kind, title) = (job.kind(), job.title());
    let same =
        |other: &&JobSummary| other.kind == Some(kind) && other.name == title && !other.state.is_over();
    if let Some(doing) = kind.unique
        && let Some(other) = others.iter().find(same)
    {
        return Err(Error::usage(format!(
            "job {} is already {doing} {title}; choose another name or cancel it",
            other.id
        )));
    }
    Ok(job)
}

/// Things by the kinds of their jobs, in order.
fn by_kind<'a, T>(all: impl Iterator<Item = (&'a AnyJob, T)>) -> Vec<(&'static str, Vec<(&'a AnyJob, T)>)> {
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
fn memory(job: &AnyJob) -> Option<u64> {
    Some(job.training()?.forecast.as_ref()?.peak())
}

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

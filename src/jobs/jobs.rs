//! All jobs of a library: start, list, look, cancel, resume. Safe beside other processes that do the same.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

use super::events::{EventLog, FAILED};
use super::executors::{self, Life};
use super::files::{Follower, last_lines, log_line};
use super::job_dir::{JobDir, JobResult, is_id, read_spec};
use super::kinds::{AnyJob, Use};
use super::layout::{CANCEL, EVENTS, EXECUTOR, LOCK, LOG, RESULT, WORKER};
use super::life::Standing;
use super::progress::Progress;
use super::{Executor, JobDetail, JobState, JobSummary, after, origin, times};
use crate::clock::rfc3339;
use crate::library::Library;
use crate::outside::{Lock, make_folders, own, sweep};
use crate::{Error, Result};

/// Lines and bytes of a log that a [`JobDetail`] carries.
const LOG_LINES: usize = 200;
const LOG_BYTES: u64 = 1 << 16;
/// Events of longer files are read at their ends only.
const WHOLE_EVENTS: u64 = 64 << 20;
/// Jobs whose events stay in memory between two looks.
const FOLLOWED: usize = 4;

/// The jobs of one library. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Jobs {
    dir: PathBuf,
    executor: Arc<dyn Executor>,
    known: Arc<Mutex<Known>>,
}

/// What need not be read again.
#[derive(Debug, Default)]
struct Known {
    /// Jobs that have ended, by id, with the stamp of their result.
    over: HashMap<String, (Stamp, JobSummary)>,
    /// Events read so far, newest look last.
    followed: Vec<(String, Follower, Progress)>,
}

/// Changes when a file does.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = path.symlink_metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Jobs {
    /// The jobs of `library`. No job directory is made before a job is started.
    pub fn open(library: &Library) -> Result<Self> {
        Ok(Self::at(library.state_dir()?.join("jobs"), executors::default_executor()))
    }

    /// The jobs of the library in the folder `root`, without reading its experts.
    ///
    /// # Errors
    /// When it is no folder, or no state can be kept for it.
    pub fn of_folder(root: &Path) -> Result<Self> {
        let metadata = root.metadata().map_err(|error| Error::io(root, error))?;
        if !metadata.is_dir() {
            return Err(Error::file(root, "is not a folder: a library is a folder of adapters"));
        }
        Self::open(&Library { root: root.to_path_buf(), ..Library::default() })
    }

    /// The jobs below `dir`, whose workers `executor` starts.
    pub fn at(dir: PathBuf, executor: Arc<dyn Executor>) -> Self {
        Self { dir, executor, known: Arc::default() }
    }

    /// The same jobs with another executor for new ones.
    pub fn with_executor(self, executor: Arc<dyn Executor>) -> Self {
        Self { executor, ..self }
    }

    /// The directory that holds the jobs' directories.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

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
        for id in after {
            self.existing(id)?;
        }
        let mut job = self.prepared(job)?;
        job.check_new()?;
        job.estimate();
        make_folders(&self.dir)?;
        // What starters that were killed left behind.
        sweep(&self.dir);
        let job = JobDir::create(&self.dir, &job, after)?;
        self.hand_over(&job)?;
        Ok(job.id())
    }

    /// Resumes a job that was cancelled, has failed or whose worker died; it is queued at once. Kinds that keep
    /// their work resume from it, others begin again.
    ///
    /// # Errors
    /// A job that is finished or still under way; one that this user did not start on this machine, with what it
    /// would read and write; as [`Self::start`] for what it is asked to do.
    pub fn resume(&self, id: &str) -> Result<()> {
        let path = self.existing(id)?;
        if !origin::is_ours(&path) {
            return Err(foreign(id, &read_spec(&path)?));
        }
        self.resume_at(id, path)
    }

    /// [`Self::resume`], also for a job that somebody else started, such as one that came along with the library. From
    /// then on it counts as this user's.
    ///
    /// # Errors
    /// As there, but for where the job comes from.
    pub fn resume_trusted(&self, id: &str) -> Result<()> {
        let path = self.existing(id)?;
        self.resume_at(id, path)
    }

    fn resume_at(&self, id: &str, path: PathBuf) -> Result<()> {
        match self.summary(id).state {
            state if state.can_resume() => {}
            JobState::Finished => {
                return Err(Error::msg(format!("job {id} is finished: there is nothing to resume")));
            }
            state => {
                return Err(Error::msg(format!(
                    "job {id} is {}: only cancelled and failed jobs can be resumed",
                    state.name()
                )));
            }
        }
        self.prepared(&read_spec(&path)?)?.check_resumed()?;
        let job = JobDir::reopen(path)?;
        // Somebody else may have done the same a moment ago.
        if JobResult::read(job.path()).is_some_and(|end| end.state == JobState::Finished) {
            return Err(Error::msg(format!("job {id} is finished: there is nothing to resume")));
        }
        if job.path().join(EVENTS).exists() {
            EventLog::open(job.path(), |_| ())?.resumed();
        }
        job.clear()?;
        origin::mark(job.path());
        self.hand_over(&job)
    }

    /// The job with absolute paths, if it can work and no other does the same.
    fn prepared(&self, job: &AnyJob) -> Result<AnyJob> {
        let mut job = job.clone();
        job.prepare()?;
        self.executor.slots()?;
        let (kind, title) = (job.kind(), job.title());
        let same =
            |other: &JobSummary| other.kind == Some(kind) && other.name == title && !other.state.is_over();
        if let Some(doing) = kind.unique
            && let Some(other) = self.list()?.into_iter().find(same)
        {
            return Err(Error::usage(format!(
                "job {} is already {doing} {title}; choose another name or cancel it",
                other.id
            )));
        }
        Ok(job)
    }

    /// Starts a worker; a job that gets none has failed.
    fn hand_over(&self, job: &JobDir) -> Result<()> {
        let Err(error) = executors::submit(&*self.executor, job) else { return Ok(()) };
        let end = JobResult {
            state: JobState::Failed,
            error: Some(error.to_string()),
            result: None,
            ended: Some(SystemTime::now()),
        };
        end.write(job.path())?;
        Err(error)
    }

    /// All jobs, newest first. A job that cannot be read is a row with its error.
    pub fn list(&self) -> Result<Vec<JobSummary>> {
        let mut ids = self.ids()?;
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids.iter().map(|id| self.summary(id)).collect())
    }

    /// Everything about one job. Looking again costs only what is new.
    pub fn detail(&self, id: &str) -> Result<JobDetail> {
        let job = self.existing(id)?;
        let mut summary = self.summary(id);
        let progress = self.follow_events(id, &job)?;
        // The curves' reader has seen every line; a glance may have missed some.
        summary.step = progress.step;
        summary.steps = progress.steps;
        let over = summary.state.is_over();
        let end = JobResult::read(&job);
        let ended = end.as_ref().and_then(|end| end.ended);
        let report = |value: Value| {
            let kind = summary.kind?;
            Some(kind.report(value).map_err(|error| format!("the result cannot be read: {error}")))
        };
        let outcome = end.and_then(|end| end.result).and_then(report);
        Ok(JobDetail {
            job: read_spec(&job).ok(),
            progress: Progress { eta_seconds: progress.eta_seconds.filter(|_| !over), ..progress },
            log: last_lines(&job.join(LOG), LOG_LINES, LOG_BYTES)?,
            outcome,
            ended,
            summary,
        })
    }

    /// What a finished job has to show: for a clustering its labels, for a training its report.
    pub fn outcome(&self, id: &str) -> Result<Option<Value>> {
        Ok(JobResult::read(&self.existing(id)?).and_then(|result| result.result))
    }

    /// State, step and error of one job, as in [`Self::list`].
    pub fn get(&self, id: &str) -> Result<JobSummary> {
        self.existing(id)?;
        Ok(self.summary(id))
    }

    /// Asks a job to stop and returns at once; its worker answers within a fraction of a second, or after the
    /// step that it is in. Asking again changes nothing.
    ///
    /// # Errors
    /// The job has ended, or its worker died.
    pub fn cancel(&self, id: &str) -> Result<()> {
        let job = self.existing(id)?;
        let summary = self.summary(id);
        if summary.state.is_over() {
            let error = summary.error.map(|error| format!(": {error}")).unwrap_or_default();
            return Err(Error::msg(format!("job {id} has ended ({}{error})", summary.state.name())));
        }
        own::mark(&job.join(CANCEL))?;
        let (executor, handle) = executors::executor_of(&job)?;
        executor.cancel(&job, &handle)
    }

    /// The one job whose id starts with `prefix`.
    pub fn resolve(&self, prefix: &str) -> Result<String> {
        if prefix.is_empty() {
            return Err(Error::usage("a job's id is needed, not an empty text; `jobs LIBRARY` lists them"));
        }
        let mut ids = self.ids()?;
        if ids.iter().any(|id| id == prefix) {
            return Ok(prefix.to_string());
        }
        if ids.is_empty() {
            return Err(Error::msg(format!("there is no job {prefix:?}: this library has no jobs")));
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let matching: Vec<&String> = ids.iter().filter(|id| id.starts_with(prefix)).collect();
        let some = |ids: &[&String]| {
            let shown: Vec<&str> = ids.iter().take(5).map(|id| id.as_str()).collect();
            shown.join(", ") + if ids.len() > 5 { ", …" } else { "" }
        };
        match matching.as_slice() {
            [id] => Ok((*id).clone()),
            [] => Err(Error::msg(format!(
                "there is no job {prefix:?}; the newest are {}",
                some(&ids.iter().collect::<Vec<_>>())
            ))),
            many => Err(Error::usage(format!("{prefix:?} fits several jobs: {}", some(many)))),
        }
    }

    /// Reads the log of a job as it grows.
    pub fn follow_log(&self, id: &str) -> Result<LogFollower> {
        let path = self.existing(id)?.join(LOG);
        Ok(LogFollower { follower: Follower::new(path, u64::MAX) })
    }

    /// Changes whenever a list or a detail would; costs a few system calls per job and reads nothing.
    pub fn fingerprint(&self) -> u64 {
        let mut ids = self.ids().unwrap_or_default();
        ids.sort_unstable();
        let mut hasher = DefaultHasher::new();
        for id in &ids {
            id.hash(&mut hasher);
            let job = self.dir.join(id);
            let result = stamp(&job.join(RESULT));
            result.hash(&mut hasher);
            if result.is_none() {
                for file in [EVENTS, LOG, CANCEL, WORKER, EXECUTOR] {
                    stamp(&job.join(file)).hash(&mut hasher);
                }
                Lock::is_taken(&job.join(LOCK)).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // What is known is only a cache: a panic elsewhere cannot make it wrong.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of the real directories with a name that a job can have.
    fn ids(&self) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(&self.dir, error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Error::io(&self.dir, error))?;
            if let Some(id) = entry.file_name().to_str()
                && is_id(id)
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
            {
                ids.push(id.to_string());
            }
        }
        Ok(ids)
    }

    fn existing(&self, id: &str) -> Result<PathBuf> {
        let path = self.dir.join(id);
        if is_id(id) && path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            Ok(path)
        } else {
            Err(Error::msg(format!("there is no longer a job {id:?}")))
        }
    }

    fn summary(&self, id: &str) -> JobSummary {
        let job = self.dir.join(id);
        let ended = stamp(&job.join(RESULT));
        if ended.is_some()
            && let Some((known, summary)) = self.known().over.get(id)
            && *known == ended
        {
            return summary.clone();
        }
        let summary = read_summary(id, &job);
        if ended.is_some() {
            self.known().over.insert(id.to_string(), (ended, summary.clone()));
        }
        summary
    }

    fn follow_events(&self, id: &str, job: &Path) -> Result<Progress> {
        let mut known = self.known();
        let place = known.followed.iter().position(|(followed, ..)| followed == id);
        let (_, mut follower, mut progress) = place.map_or_else(
            || (String::new(), Follower::new(job.join(EVENTS), WHOLE_EVENTS), Progress::default()),
            |place| known.followed.remove(place),
        );
        if follower.read(|line| progress.line(line))? {
            progress = Progress::default();
            follower.read(|line| progress.line(line))?;
        }
        if known.followed.len() >= FOLLOWED {
            known.followed.remove(0);
        }
        known.followed.push((id.to_string(), follower, progress.clone()));
        Ok(progress)
    }
}

/// The lines that were appended to a job's log since the last look; untrusted text.
#[derive(Debug)]
pub struct LogFollower {
    follower: Follower,
}

impl LogFollower {
    /// New complete lines.
    pub fn lines(&mut self, mut line: impl FnMut(String)) -> Result<()> {
        self.follower.read(|bytes| line(log_line(bytes))).map(drop)
    }

    /// New lines and an unfinished last one; for a job that has ended.
    pub fn rest(&mut self, mut line: impl FnMut(String)) -> Result<()> {
        self.lines(&mut line)?;
        let rest = self.follower.rest()?;
        if !rest.is_empty() {
            line(log_line(&rest));
        }
        Ok(())
    }
}

/// Why a worker failed that could not write its result: the end of its log, where that says so.
fn last_words(job: &Path) -> Option<String> {
    let lines = last_lines(&job.join(LOG), 20, LOG_BYTES).ok()?;
    // When the job was handed over, the last time.
    let since = stamp(&job.join(EXECUTOR)).map_or(String::new(), |(time, _)| rfc3339(time));
    // Behind the time, which is written so that texts compare as times do. What is older was another worker's.
    let says = |line: &String| {
        let (time, text) = line.split_once(' ').filter(|(time, _)| *time >= since.as_str())?;
        text.strip_prefix(FAILED).filter(|_| time.ends_with('Z')).map(String::from)
    };
    lines.iter().rev().find_map(says)
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

fn read_summary(id: &str, job: &Path) -> JobSummary {
    // Standing before events: an end that is seen has all its events before it.
    let standing = Standing::of(job);
    let progress = Progress::glance(job);
    let (kind, name, broken) = match read_spec(job) {
        Ok(job) => (Some(job.kind()), job.title(), None),
        Err(error) => (None, id.to_string(), Some(error.to_string())),
    };
    let cancel = job.join(CANCEL).exists();
    let begun = progress.started.is_some() && !progress.waiting;
    let (state, error, reason) = match standing {
        Standing::Over(result) => (result.state, result.error, None),
        Standing::Open(Life::Alive | Life::Waiting(_)) if cancel => (JobState::Cancelling, None, None),
        Standing::Open(Life::Waiting(reason)) => (JobState::Queued, None, reason),
        Standing::Open(Life::Alive) if begun => (JobState::Running, None, None),
        Standing::Open(Life::Alive) => (JobState::Queued, None, None),
        Standing::Open(Life::Gone(reason)) => {
            let why = || match () {
                () if !job.join(WORKER).exists() => "the worker did not start; see the log",
                () if cancel => "worker died while it was being cancelled",
                () => "worker died (killed or crashed); see the log",
            };
            let reason = reason.or_else(|| last_words(job)).unwrap_or_else(|| why().to_string());
            (JobState::Failed, Some(reason), None)
        }
    };
    let waits = if state == JobState::Queued { after::waits_for(job).or(reason) } else { None };
    JobSummary {
        id: id.to_string(),
        kind,
        name,
        state,
        step: progress.step,
        steps: progress.steps,
        started: progress.started.and_then(times::time),
        error: broken.or(error),
        after: after::parents(job),
        waits,
    }
}

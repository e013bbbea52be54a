//! All jobs of a library, as their directories and executors say. Safe beside other processes that change them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

use super::executors::{Handle, Local, executor_by};
use super::files::{Follower, last_lines, log_line};
use super::job_dir::{JobResult, MAX_RESULT, read_spec};
use super::kinds::AnyReport;
use super::layout::{
    CANCEL, EVENTS, EXECUTOR, HOLD, LOCK, LOG, ORDER, OUTLINE, RESULT, SPEC, WAITS, WORKER, is_id,
};
use super::order::{QueuePlace, place};
use super::progress::Progress;
use super::{Executor, JobDetail, JobState, JobSummary, Share, summary};
use crate::library::Library;
use crate::outside::{Lock, own};
use crate::{Error, Result};

/// Lines and bytes of a log that a [`JobDetail`] carries.
const LOG_LINES: usize = 200;
const LOG_BYTES: u64 = 1 << 16;
/// Events of longer files are read at their ends only.
const WHOLE_EVENTS: u64 = 64 << 20;
/// Jobs whose events stay in memory between two looks.
const FOLLOWED: usize = 16;

/// The jobs of one library. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Jobs {
    dir: PathBuf,
    /// The library's folder, where its settings are.
    library: Option<PathBuf>,
    /// The executor that was chosen; else the configuration's for new jobs, and their own for others.
    executor: Option<Arc<dyn Executor>>,
    /// What each new job takes.
    share: Share,
    known: Arc<Mutex<Known>>,
}

/// What need not be read again.
#[derive(Debug, Default)]
struct Known {
    /// Jobs as they were read last, by id.
    seen: HashMap<String, Seen>,
    /// What executors know jobs by, with the stamp of the file.
    handles: HashMap<String, (Stamp, Handle)>,
    /// Events read so far, newest look last.
    followed: Vec<(String, Follower, Progress)>,
}

/// A job as it was read.
#[derive(Debug)]
struct Seen {
    /// Its mark then.
    mark: u64,
    /// Those of the jobs that come before it.
    others: u64,
    summary: JobSummary,
    /// What decides its place among those that wait on this machine, if it is one of them.
    turn: Option<QueuePlace>,
}

/// A look at a job's directory that reads nothing.
#[derive(Debug)]
struct Glance {
    id: String,
    job: PathBuf,
    /// Of its result.
    result: Stamp,
    /// What its executor knows it by, where it has no result.
    handle: Option<Handle>,
}

/// Changes when a file does.
type Stamp = Option<(SystemTime, u64)>;

/// Whether a directory has what is asked of a job, readable or not.
fn is_job(path: &Path) -> bool {
    own::is_taken(&path.join(SPEC))
}

/// Whether a job's id is `other` with the number of one that was started in the same second.
fn is_numbered(id: &str, other: &str) -> bool {
    let number = id.strip_prefix(other).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| number.parse().is_ok_and(|number: u32| number > 1))
}

fn stamp(path: &Path) -> Stamp {
    let metadata = path.symlink_metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Jobs {
    /// The jobs of `library`. No job directory is made before a job is started. From here on paths are whole: whoever does
    /// a job may have been started elsewhere.
    ///
    /// # Errors
    /// When no state can be kept for the library.
    pub fn open(library: &Library) -> Result<Self> {
        let whole = |path: PathBuf| std::path::absolute(&path).map_err(|error| Error::io(path, error));
        let (dir, root) = (whole(library.state_dir()?.join("jobs"))?, whole(library.root.clone())?);
        Ok(Self { dir, library: Some(root), executor: None, share: Share::default(), known: Arc::default() })
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
        Self { dir, library: None, executor: Some(executor), share: Share::default(), known: Arc::default() }
    }

    /// The same jobs with another executor for those that are started or resumed.
    pub fn with_executor(self, executor: Arc<dyn Executor>) -> Self {
        Self { executor: Some(executor), ..self }
    }

    /// The same jobs; those that are started take this of the machine that does them.
    pub fn with_share(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// What new jobs take.
    pub(super) fn share_of_new(&self) -> Share {
        self.share
    }

    /// The executor that was chosen.
    pub(super) fn chosen(&self) -> Option<Arc<dyn Executor>> {
        self.executor.clone()
    }

    /// The library's folder.
    pub(super) fn library(&self) -> Option<&Path> {
        self.library.as_deref()
    }

    /// The directory of the jobs' directories.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All jobs, newest first. A job that cannot be read is a row with its error. What has not changed since the last
    /// look is not read again.
    pub fn list(&self) -> Result<Vec<JobSummary>> {
        let glances = self.glances()?;
        let marks: HashMap<&str, u64> = glances.iter().map(|at| (at.id.as_str(), self.mark(at))).collect();
        let of = |id: &str| marks.get(id).copied().unwrap_or(0);
        let mut listed: Vec<(JobSummary, Option<QueuePlace>)> = Vec::with_capacity(glances.len());
        for at in &glances {
            let mark = of(&at.id);
            // What a job waits for are others; one that has ended waits for none.
            let others = |after: &[String]| {
                let mut hasher = DefaultHasher::new();
                let after = if at.result.is_none() { after } else { &[] };
                after.iter().for_each(|parent| of(parent).hash(&mut hasher));
                hasher.finish()
            };
            if let Some(seen) = self.known().seen.get(&at.id)
                && seen.mark == mark
                && seen.others == others(&seen.summary.after)
            {
                listed.push((seen.summary.clone(), seen.turn.clone()));
                continue;
            }
            let summary = summary::read(&at.id, &at.job);
            let here = at.handle.as_ref().is_none_or(|handle| handle.executor == Local::ID);
            let waits = summary.state == JobState::Queued && here;
            let turn = waits.then(|| place(&at.job));
            let seen = Seen { mark, others: others(&summary.after), summary, turn };
            listed.push((seen.summary.clone(), seen.turn.clone()));
            self.known().seen.insert(at.id.clone(), seen);
        }
        self.known().seen.retain(|id, _| marks.contains_key(id.as_str()));
        let mut waiting: Vec<_> =
            listed.iter_mut().filter_map(|(job, turn)| Some((turn.take()?, job))).collect();
        waiting.sort_by(|a, b| a.0.cmp(&b.0));
        for (at, (_, job)) in waiting.into_iter().enumerate() {
            job.turn = Some(at + 1);
        }
        Ok(listed.into_iter().map(|(job, _)| job).collect())
    }

    /// A glance at each job, newest first. Executors have looked at all that have no result at once.
    fn glances(&self) -> Result<Vec<Glance>> {
        let mut ids = self.ids()?;
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let glances: Vec<Glance> = ids.into_iter().map(|id| self.glance(id)).collect();
        let mut asked: BTreeMap<&str, Vec<(PathBuf, Handle)>> = BTreeMap::new();
        for Glance { job, result, handle, .. } in &glances {
            if let (None, Some(handle)) = (result, handle) {
                asked.entry(&handle.executor).or_default().push((job.clone(), handle.clone()));
            }
        }
        for jobs in asked.into_values() {
            // One that is not known here says so at each of its jobs.
            if let Some(executor) = jobs.first().and_then(|(job, handle)| executor_by(job, handle).ok()) {
                executor.look_at_all(&jobs);
            }
        }
        Ok(glances)
    }

    fn glance(&self, id: String) -> Glance {
        let job = self.dir.join(&id);
        let result = stamp(&job.join(RESULT));
        let handle = if result.is_none() { self.handle(&id, &job) } else { None };
        Glance { id, job, result, handle }
    }

    /// Changes whenever the job does; nothing is read for it.
    fn mark(&self, at: &Glance) -> u64 {
        let mut hasher = DefaultHasher::new();
        at.id.hash(&mut hasher);
        at.result.hash(&mut hasher);
        if at.result.is_none() {
            for file in [EVENTS, LOG, CANCEL, HOLD, ORDER, WAITS, WORKER, EXECUTOR] {
                stamp(&at.job.join(file)).hash(&mut hasher);
            }
            let executor =
                at.handle.as_ref().and_then(|handle| Some((executor_by(&at.job, handle).ok()?, handle)));
            match executor {
                Some((executor, handle)) if !executor.locks() => {
                    executor.look(&at.job, handle).hash(&mut hasher);
                }
                _ => Lock::holder(&at.job.join(LOCK)).hash(&mut hasher),
            }
        }
        hasher.finish()
    }

    /// What a job's executor knows it by, read again when the file changes.
    fn handle(&self, id: &str, job: &Path) -> Option<Handle> {
        let written = stamp(&job.join(EXECUTOR));
        if let Some((known, handle)) = self.known().handles.get(id)
            && *known == written
        {
            return Some(handle.clone());
        }
        let handle = Handle::read(job).ok()?;
        self.known().handles.insert(id.into(), (written, handle.clone()));
        Some(handle)
    }

    /// Everything about one job. Looking again costs only what is new.
    pub fn detail(&self, id: &str) -> Result<JobDetail> {
        let job = self.existing(id)?;
        let mut summary = self.summary(id);
        let mut progress = self.follow_events(id, &job)?;
        // The curves' reader has seen every line; a glance may have missed some.
        summary.step = progress.step;
        summary.steps = progress.steps;
        if summary.state.is_over() {
            progress.eta_seconds = None;
        }
        if summary.state == JobState::Queued {
            // Of an earlier run.
            (progress.stage, progress.tokens_per_second, progress.eta_seconds) = (None, None, None);
        }
        let end = JobResult::read(&job);
        let ended = end.as_ref().and_then(|end| end.ended);
        let report = |value: Value| {
            let kind = summary.kind?;
            Some(kind.report(value).map_err(|error| format!("the result cannot be read: {error}")))
        };
        let outcome = end.and_then(|end| end.result).and_then(report);
        Ok(JobDetail {
            job: read_spec(&job).ok(),
            progress,
            log: last_lines(&job.join(LOG), LOG_LINES, LOG_BYTES)?,
            outcome,
            ended,
            summary,
        })
    }

    /// The curves of a job so far. Looking again costs only what is new.
    ///
    /// # Errors
    /// A job that is not there, or events that cannot be read.
    pub fn progress(&self, id: &str) -> Result<Progress> {
        self.follow_events(id, &self.existing(id)?)
    }

    /// What a finished job has to show: for a clustering its labels, for a training its report.
    pub fn outcome(&self, id: &str) -> Result<Option<Value>> {
        Ok(JobResult::read(&self.existing(id)?).and_then(|result| result.result))
    }

    /// What a job will report, as far as that is known while it works, where its kind says so: of an evaluation all but
    /// the scores.
    ///
    /// # Errors
    /// A job that is not there; what is in the place of the file, or cannot be read in it.
    pub fn outline(&self, id: &str) -> Result<Option<AnyReport>> {
        let job = self.existing(id)?;
        let path = job.join(OUTLINE);
        let Some(bytes) = own::read(&path, MAX_RESULT)? else { return Ok(None) };
        let Some(kind) = self.summary(id).kind else { return Ok(None) };
        let broken = |error: serde_json::Error| Error::file(&path, format!("cannot be read: {error}"));
        let value = serde_json::from_slice(&bytes).map_err(broken)?;
        kind.report(value).map(Some).map_err(broken)
    }

    /// State, step and error of one job, as in [`Self::list`].
    pub fn get(&self, id: &str) -> Result<JobSummary> {
        self.existing(id)?;
        Ok(self.summary(id))
    }

    /// The one job whose id is `prefix`, or starts with it. A whole id is never the beginning of one that was numbered
    /// because both were started in the same second: the job may be gone, and the other is another.
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
        let begins = |id: &&String| id.starts_with(prefix);
        let (others, matching): (Vec<&String>, Vec<&String>) =
            ids.iter().filter(begins).partition(|id| is_numbered(id, prefix));
        let some = |ids: &[&String]| {
            let shown: Vec<&str> = ids.iter().take(5).map(|id| id.as_str()).collect();
            shown.join(", ") + if ids.len() > 5 { ", …" } else { "" }
        };
        match matching.as_slice() {
            [id] => Ok((*id).clone()),
            [] if !others.is_empty() => {
                Err(Error::msg(format!("there is no job {prefix:?}; {} is another one", some(&others))))
            }
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
        let mut hasher = DefaultHasher::new();
        for at in self.glances().unwrap_or_default() {
            self.mark(&at).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // What is known is only a cache: a panic elsewhere cannot make it wrong.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of the real directories that a job can have and that have what is asked of one.
    pub(super) fn ids(&self) -> Result<Vec<String>> {
        let mut folders = self.folders()?;
        folders.retain(|id| self.known().seen.contains_key(id) || is_job(&self.dir.join(id)));
        Ok(folders)
    }

    /// Paths of the directories among the jobs' that are none.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn strays(&self) -> Result<Vec<PathBuf>> {
        let mut all: Vec<PathBuf> = self.folders()?.iter().map(|name| self.dir.join(name)).collect();
        all.retain(|path| !is_job(path));
        all.sort();
        Ok(all)
    }

    /// Names of the real directories with a name that a job can have.
    fn folders(&self) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // A library that is away for a while has its jobs still.
                let gone = self.library.as_ref().filter(|root| !root.is_dir());
                return gone.map_or(Ok(Vec::new()), |root| Err(Error::file(root, "there is no such folder")));
            }
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

    pub(super) fn existing(&self, id: &str) -> Result<PathBuf> {
        let path = self.dir.join(id);
        if is_id(id) && path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) && is_job(&path) {
            Ok(path)
        } else {
            Err(Error::msg(format!("there is no longer a job {id:?}")))
        }
    }

    pub(super) fn summary(&self, id: &str) -> JobSummary {
        let at = self.glance(id.to_string());
        let mark = self.mark(&at);
        if at.result.is_some()
            && let Some(seen) = self.known().seen.get(id)
            && seen.mark == mark
        {
            return seen.summary.clone();
        }
        summary::read(id, &at.job)
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

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::jobs::job_dir::JobDir;
    use crate::jobs::{After, AnyJob, ClusterSpec};
    use crate::outside::counting;

    #[test]
    fn a_whole_id_never_stands_for_another_job() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = Jobs::at(dir.path().into(), Arc::new(Local::new("/bin/true")));
        let (first, second) = ("20261124-081530-train-t", "20261124-081530-train-t-2");
        for id in [first, second] {
            std::fs::create_dir(dir.path().join(id)).unwrap();
            std::fs::write(dir.path().join(id).join(SPEC), "{}").unwrap();
        }
        assert_eq!(jobs.resolve(first).unwrap(), first);
        assert!(jobs.resolve("20261124").unwrap_err().to_string().contains("fits several"));
        std::fs::remove_dir_all(dir.path().join(first)).unwrap();
        let error = jobs.resolve(first).unwrap_err().to_string();
        assert!(error.contains(&format!("{second} is another one")), "{error}");
        for prefix in [second, "20261124", "20261124-081530-train", "20261124-081530-train-t-"] {
            assert_eq!(jobs.resolve(prefix).unwrap(), second);
        }
    }

    #[test]
    fn a_library_that_is_away_is_no_library_without_jobs() {
        let dir = tempfile::tempdir().unwrap();
        let [root, away] = ["library", "away"].map(|name| dir.path().join(name));
        std::fs::create_dir(&root).unwrap();
        let jobs = Jobs::of_folder(&root).unwrap();
        assert_eq!(jobs.list().unwrap(), []);
        std::fs::rename(&root, &away).unwrap();
        let error = jobs.list().unwrap_err().to_string();
        assert!(error.contains("there is no such folder"), "{error}");
        std::fs::rename(&away, &root).unwrap();
        assert_eq!(jobs.list().unwrap(), []);
    }

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = Jobs::at(dir.path().into(), Arc::new(Local::current()));
        let spec = AnyJob::from(ClusterSpec { library: "/lib".into(), k: 2, ..ClusterSpec::default() });
        let make = |after: &[After]| JobDir::create(dir.path(), &spec, after).unwrap();
        let end = |job: &JobDir| {
            let end = JobResult { state: JobState::Finished, error: None, result: None, ended: None };
            end.write(job.path()).unwrap();
        };
        let (alive, over): (Vec<_>, Vec<_>) =
            ((0..20).map(|_| make(&[])).collect(), (0..20).map(|_| make(&[])).collect());
        over.iter().for_each(end);
        let child = make(&[After::finished(alive[0].id())]);
        let listed = || {
            let list = jobs.list().unwrap();
            let child = list.iter().find(|job| job.id == child.id()).unwrap().clone();
            (list, child)
        };
        let (first, waits) = listed();
        assert_eq!(first.len(), 41);
        assert_eq!(waits.waits, Some(format!("waits for {}", alive[0].id())));
        let mut turns: Vec<usize> = first.iter().filter_map(|job| job.turn).collect();
        turns.sort_unstable();
        assert_eq!(turns, (1..=21).collect::<Vec<_>>());
        let counts = counting::watch(dir.path());
        let mark = jobs.fingerprint();
        assert_eq!(listed().0, first);
        assert_eq!((counts.bytes(), jobs.fingerprint()), (0, mark));
        // What one waits for is another: both are read, and no third.
        end(&alive[0]);
        let (_, waits) = listed();
        assert_eq!((waits.waits, waits.turn.is_some()), (None, true));
        let one = std::fs::metadata(child.path().join("spec.json")).unwrap().len() as usize;
        assert!((2 * one..12 * one).contains(&counts.bytes()), "{} bytes of two jobs", counts.bytes());
        assert_ne!(jobs.fingerprint(), mark);
        // An order that somebody gives is seen.
        jobs.reorder(&child.id(), crate::jobs::QueueMove::First).unwrap();
        assert_eq!(listed().1.turn, Some(1));
        jobs.hold(&[child.id()], true).unwrap();
        assert!(listed().1.held);
    }
}

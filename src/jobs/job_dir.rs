//! The directory of one job: made in one piece, read by anybody, alive while its lock is held.

use std::fs::File;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::after::After;
use super::kinds::{AnyJob, Use};
use super::layout::{
    AFTER, CANCEL, CORES, EVENTS, EXECUTOR, GROUP, HOLD, LIBRARY, LOCK, LOG, ORDER, ORIGIN, OUTLINE, RESULT,
    SEEN, SPEC, STATE, WAITS, WORKER,
};
use super::{JobState, origin, times};
use crate::clock::rfc3339;
use crate::library::moved;
use crate::outside::{Holder, Lock, TEMPORARY, Unfinished, UnfinishedFolder, own, remove_whole, sweep};
use crate::{Error, Result};

/// How long the lock may be busy: those who only look take it for a moment.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Beginning of the names of jobs that are being made.
const UNFINISHED: &str = ".new-";
const MAX_SPEC: u64 = 1 << 20;
pub const MAX_RESULT: u64 = 1 << 26;
const MAX_PLACE: u64 = 1 << 12;

/// A job's directory; whoever made it holds its lock until it is dropped or handed to a worker.
#[derive(Debug)]
pub struct JobDir {
    path: PathBuf,
    /// `None` once it was released.
    lock: Option<Lock>,
}

impl JobDir {
    /// Makes the directory of a new job below `jobs` (which exists), which begins after those of `after`. It appears
    /// whole and locked, under a name that no other job has.
    ///
    /// # Errors
    /// What the file system says; storage without locks.
    pub(super) fn create(jobs: &Path, job: &AnyJob, after: &[After]) -> Result<Self> {
        Self::create_with(jobs, job, after, Lock::new)
    }

    /// [`Self::create`] for a job that lives whoever has its lock: where the storage has no locks, it has none.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn create_anywhere(jobs: &Path, job: &AnyJob, after: &[After]) -> Result<Self> {
        Self::create_with(jobs, job, after, Lock::new_where_possible)
    }

    fn create_with(
        jobs: &Path,
        job: &AnyJob,
        after: &[After],
        lock: fn(&Path) -> Result<Lock>,
    ) -> Result<Self> {
        let text = serde_json::to_vec_pretty(job)
            .map_err(|error| Error::usage(format!("this job cannot be written: {error}")))?;
        let mut fresh = UnfinishedFolder::new_in(jobs, UNFINISHED).map_err(|error| Error::io(jobs, error))?;
        let lock = lock(&fresh.path().join(LOCK))?;
        own::create(&fresh.path().join(SPEC), &text)?;
        if !after.is_empty() {
            let text = serde_json::to_vec(after).map_err(|error| Error::msg(error.to_string()))?;
            own::create(&fresh.path().join(AFTER), &text)?;
        }
        if let Some(place) = place_of(fresh.path(), job) {
            own::create(&fresh.path().join(LIBRARY), place.as_bytes())?;
        }
        origin::mark(fresh.path());
        let stem = id_stem(SystemTime::now(), job);
        for attempt in 1..10_000 {
            let id = if attempt == 1 { stem.clone() } else { format!("{stem}-{attempt}") };
            let path = jobs.join(id);
            match fresh.finish(&path) {
                Ok(()) => return Ok(Self { path, lock: Some(lock) }),
                Err(_) if own::is_taken(&path) => {}
                Err(error) => return Err(Error::io(path, error)),
            }
        }
        Err(Error::file(jobs, format!("too many jobs are named {stem}")))
    }

    /// Takes over the job at `path`, whose worker is gone.
    ///
    /// # Errors
    /// When its lock is taken, or it is no job; storage without locks.
    pub(super) fn reopen(path: PathBuf) -> Result<Self> {
        Self::reopen_with(path, |lock| Lock::take_existing(lock, LOCK_PATIENCE))
    }

    /// [`Self::reopen`] for a job that lives whoever has its lock: where the storage has no locks, it has none.
    ///
    /// # Errors
    /// As there, but for the storage.
    pub(super) fn reopen_anywhere(path: PathBuf) -> Result<Self> {
        Self::reopen_with(path, |lock| match Lock::holder(lock) {
            Holder::Unknown => Lock::take_where_possible(lock),
            Holder::Somebody | Holder::Nobody => Lock::take_existing(lock, LOCK_PATIENCE),
        })
    }

    fn reopen_with(path: PathBuf, lock: impl Fn(&Path) -> Result<Option<Lock>>) -> Result<Self> {
        // What the worker will write to must not lead elsewhere: the directory may come from anywhere.
        let files = [
            LOCK, WORKER, EVENTS, LOG, RESULT, STATE, OUTLINE, AFTER, EXECUTOR, ORIGIN, GROUP, ORDER, HOLD,
            CORES, LIBRARY, WAITS, SEEN,
        ];
        for name in files {
            own::open(&path.join(name))?;
        }
        // What workers that were killed left behind.
        sweep(&path);
        let lock_path = path.join(LOCK);
        if !own::is_taken(&lock_path) {
            return Err(Error::file(&path, "no job is here"));
        }
        match lock(&lock_path)? {
            Some(lock) => Ok(Self { path, lock: Some(lock) }),
            None => Err(busy(&path)),
        }
    }

    /// Writes down what is asked of the job from now on.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn rewrite(&self, job: &AnyJob) -> Result<()> {
        let text = serde_json::to_vec_pretty(job)
            .map_err(|error| Error::usage(format!("this job cannot be written: {error}")))?;
        own::replace(&self.path.join(SPEC), &text)
    }

    /// Forgets how the job ended, so that another worker can resume it.
    pub(super) fn clear(&self) -> Result<()> {
        // The result last: until then readers see the job as it was.
        for name in [CANCEL, HOLD, WAITS, WORKER, SEEN, EXECUTOR, RESULT] {
            own::remove(&self.path.join(name))?;
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, which names the job.
    pub fn id(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The locked file, unless it was released. Whoever keeps a duplicate of it open keeps the job alive.
    pub fn lock(&self) -> Option<&File> {
        self.lock.as_ref().map(Lock::file)
    }

    /// Gives the lock back: somebody else says from now on whether the job lives.
    pub fn release(&mut self) {
        self.lock = None;
    }
}

/// The error for a job whose lock another process has.
pub fn busy(job: &Path) -> Error {
    Error::file(job, "another worker does this job")
}

/// Removes the directory of a job that nobody does, in one step.
///
/// # Errors
/// What the file system says.
pub fn discard(job: &Path) -> Result<()> {
    remove_whole(job).map_err(|error| Error::io(job, error))
}

/// `20261124-081530-train-plural`: sortable, readable, plain ASCII.
pub fn id_stem(time: SystemTime, job: &AnyJob) -> String {
    let stamp: String = rfc3339(time)
        .chars()
        .filter_map(|c| match c {
            'T' => Some('-'),
            c if c.is_ascii_digit() => Some(c),
            _ => None,
        })
        .collect();
    format!("{stamp}-{}", slug(job))
}

/// What follows the time in a job's id: `train-plural`.
pub fn slug(job: &AnyJob) -> String {
    let mut slug = String::new();
    for c in job.title().chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= 40 {
            break;
        }
    }
    format!("{}-{slug}", job.kind().name).trim_end_matches('-').to_string()
}

/// What `result.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobResult {
    pub state: JobState,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub result: Option<serde_json::Value>,
    #[serde(default, with = "times")]
    pub ended: Option<SystemTime>,
}

impl JobResult {
    /// Writes the end of a job, in one piece.
    pub fn write(&self, job: &Path) -> Result<()> {
        own::replace(&job.join(RESULT), &self.text(job)?)
    }

    fn text(&self, job: &Path) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| Error::file(job.join(RESULT), format!("the result cannot be written: {error}")))
    }

    /// The end of a job, `None` while it has none. A broken file is an end too: a failed one.
    pub fn read(job: &Path) -> Option<Self> {
        let path = job.join(RESULT);
        let broken = |problem: String| Self {
            state: JobState::Failed,
            error: Some(problem),
            result: None,
            ended: None,
        };
        match own::read(&path, MAX_RESULT) {
            Ok(None) => None,
            Ok(Some(bytes)) => Some(match serde_json::from_slice::<Self>(&bytes) {
                Ok(result) if result.state.is_over() => result,
                Ok(_) => broken("result.json names a state that is no end".into()),
                Err(error) => broken(format!("result.json cannot be read: {error}")),
            }),
            Err(error) => Some(broken(error.to_string())),
        }
    }
}

/// Room on the disk for the end of a job, taken while there is some.
#[derive(Debug)]
pub struct ResultRoom(Unfinished);

impl ResultRoom {
    /// For most results, and for every reason of a failure.
    const BYTES: u64 = 64 << 10;

    /// Takes the room.
    ///
    /// # Errors
    /// A disk without it.
    pub fn take(job: &Path) -> Result<Self> {
        let path = job.join(RESULT);
        let room =
            Unfinished::new(&path, TEMPORARY).and_then(|room| room.reserve(Self::BYTES).map(|()| room));
        room.map(Self).map_err(|error| Error::io(path, error))
    }

    /// Writes the end of the job into it, in one piece.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(mut self, end: &JobResult, job: &Path) -> Result<()> {
        let text = end.text(job)?;
        let written = self.0.output().write_all(&text).and_then(|()| self.0.finish());
        written.map_err(|error| Error::io(job.join(RESULT), error))
    }
}

/// The library that a job works on.
fn library_of_spec(spec: &AnyJob) -> Option<PathBuf> {
    spec.uses().into_iter().find(|(how, _)| *how == Use::Library).map(|(_, path)| path)
}

/// What is noted of the library of a job that is not the folder in whose state its directory lies: where it is below that
/// folder (`private` of an experiment, which has several libraries), or nothing where it lies elsewhere.
fn place_of(job: &Path, spec: &AnyJob) -> Option<String> {
    let home = origin::library_of(job)?;
    let library = library_of_spec(spec)?.canonicalize().ok()?;
    let place = library.strip_prefix(&home).map_or(Some(""), Path::to_str)?.to_string();
    (library != home).then_some(place)
}

/// The library in which the job's directory lies, or the one below it that was noted when the job was made; `None` where
/// its library lies elsewhere, and does not move along.
fn home_of(job: &Path) -> Option<PathBuf> {
    let home = origin::library_of(job)?;
    let Some(noted) = own::read(&job.join(LIBRARY), MAX_PLACE).ok().flatten() else { return Some(home) };
    let place = PathBuf::from(String::from_utf8(noted).ok()?);
    // Anybody may have written it: it leads nowhere else.
    let is_below = place.components().all(|part| matches!(part, Component::Normal(_)));
    match (is_below, place == Path::new("")) {
        (_, true) => None,
        (true, false) => Some(home.join(place)),
        (false, false) => Some(home),
    }
}

/// The spec of the job in `job`. Where its library has moved since, paths are where they are now: a job works on the
/// library in which its directory lies, or on one below that.
pub fn read_spec(job: &Path) -> Result<AnyJob> {
    let mut spec = read_written(job)?;
    let Some(home) = home_of(job) else { return Ok(spec) };
    let library = library_of_spec(&spec);
    if let Some(old) = library.filter(|old| *old != home)
        && old.canonicalize().map_or(true, |real| real != home)
    {
        spec.paths(&mut |path, how| {
            *path = if how == Use::Library { home.clone() } else { moved(path, &old, &home) };
        });
    }
    Ok(spec)
}

/// The spec as it was written.
fn read_written(job: &Path) -> Result<AnyJob> {
    let path = job.join(SPEC);
    let bytes = own::read(&path, MAX_SPEC)?.ok_or_else(|| Error::file(&path, "missing: this is no job"))?;
    AnyJob::read(&bytes).map_err(|problem| Error::file(&path, problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::layout::is_id;
    use crate::jobs::{AnyJob, ClusterSpec};
    use std::time::{Duration, UNIX_EPOCH};

    fn spec(library: &str) -> AnyJob {
        ClusterSpec { library: library.into(), k: 3, ..ClusterSpec::default() }.into()
    }

    #[test]
    fn ids_are_plain_whatever_the_library_is_called() {
        let time = UNIX_EPOCH + Duration::from_secs(1_795_508_130);
        for (library, id) in [
            ("/data/Flan v2", "20261124-081530-cluster-flan-v2-k-3"),
            ("/data/../\u{202e}日本", "20261124-081530-cluster-k-3"),
            ("/", "20261124-081530-cluster-k-3"),
        ] {
            let stem = id_stem(time, &spec(library));
            assert_eq!(stem, id);
            assert!(is_id(&stem));
        }
        assert!(!is_id(".new-x") && !is_id("..") && !is_id("") && !is_id("a/b") && !is_id("a\nb"));
    }

    #[test]
    fn a_new_job_is_whole_locked_and_alone_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let jobs: Vec<JobDir> =
            (0..5).map(|_| JobDir::create(dir.path(), &spec("/data/lib"), &[]).unwrap()).collect();
        for job in &jobs {
            assert!(Lock::is_taken(&job.path().join(LOCK)));
            assert_eq!(read_spec(job.path()).unwrap(), spec("/data/lib"));
        }
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 5, "{names:?}");
        let path = jobs[0].path().to_path_buf();
        drop(jobs);
        assert!(!Lock::is_taken(&path.join(LOCK)));
    }

    #[test]
    fn a_job_on_a_library_below_its_home_follows_it_there() {
        let place = tempfile::tempdir().unwrap();
        let (old, new) = (place.path().join("old"), place.path().join("new"));
        for folder in ["private", "mbc", ".lora-tui/jobs"] {
            std::fs::create_dir_all(old.join(folder)).unwrap();
        }
        let library = |home: &Path| home.canonicalize().unwrap().join("private");
        let asked = spec(&library(&old).display().to_string());
        let job = JobDir::create(&old.join(".lora-tui/jobs"), &asked, &[]).unwrap();
        assert_eq!(read_spec(job.path()).unwrap(), asked);
        let id = job.id();
        std::fs::rename(&old, &new).unwrap();
        let job = new.join(".lora-tui/jobs").join(id);
        assert_eq!(read_spec(&job).unwrap(), spec(&library(&new).display().to_string()));
        // A place that leads elsewhere is none.
        std::fs::write(job.join(LIBRARY), "../mbc").unwrap();
        let home = new.canonicalize().unwrap().display().to_string();
        assert_eq!(read_spec(&job).unwrap(), spec(&home));
        // A library elsewhere stays there.
        let elsewhere = place.path().canonicalize().unwrap().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        let asked = spec(&elsewhere.display().to_string());
        let job = JobDir::create(&new.join(".lora-tui/jobs"), &asked, &[]).unwrap();
        assert_eq!(read_spec(job.path()).unwrap(), asked);
    }

    #[test]
    fn a_result_that_is_no_end_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", "[]", r#"{"state":"running"}"#, r#"{"state":"exploded"}"#] {
            std::fs::write(dir.path().join(RESULT), text).unwrap();
            let result = JobResult::read(dir.path()).unwrap();
            assert_eq!(result.state, JobState::Failed, "{text}");
            assert!(result.error.unwrap().starts_with("result.json"));
        }
        std::fs::write(dir.path().join(RESULT), r#"{"state":"finished","new_key":1}"#).unwrap();
        assert_eq!(JobResult::read(dir.path()).unwrap().state, JobState::Finished);
    }
}

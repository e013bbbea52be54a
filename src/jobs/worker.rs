//! The worker process of one job, from its first moment to its result.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::events::{EventLog, FAILED, say};
use super::executors::{Ending, Executor, Handle, Slots, executor_of};
use super::job_dir::{JobResult, LOCK_PATIENCE, ResultRoom, busy, read_spec};
use super::kinds::{AnyJob, JobContext};
use super::layout::{CANCEL, LOCK, LOG, RESULT, SPEC, STATE, WORKER};
use super::manifest::{Head, Manifest, library_mark};
use super::times;
use super::waits::{Patience, wait_for_parents};
use super::{JobState, origin, queue, waits};
use crate::devices;
use crate::outside::{Lock, make_folders, null_device, own, read_limited};
use crate::signals::{Signal, Signals};
use crate::{Cancel, Error, Result};

/// How often the worker looks whether it should stop.
const BETWEEN_LOOKS: Duration = Duration::from_millis(150);
/// The same where the job lies on a shared file system, which may be slow or away for a while.
const SHARED_PATIENCE: Duration = Duration::from_secs(120);
/// Largest `worker.json` that is read.
const MAX_WORKER: u64 = 1 << 16;
/// The error of a job whose directory went away.
const GONE: &str = "its directory was deleted or moved while it worked; delete .lora-tui, or move the library, only \
     while no job runs";
/// Below what a person is doing at the same time.
#[cfg(all(unix, not(test)))]
const NICENESS: i32 = 10;

/// Does the job in `job_dir`: waits for a slot, works, writes the result. Started by an
/// [`Executor`](super::Executor), once per submission.
///
/// Returns how the job ended; why is in its result and its log.
///
/// # Errors
/// Without touching anything: no job there, a job that has ended, or one that another worker does. At the
/// end: a result that cannot be written.
pub fn worker(job_dir: &Path) -> Result<JobState> {
    let job = &std::path::absolute(job_dir).map_err(|error| Error::io(job_dir, error))?;
    let watched = Watched::of(job);
    // First of all: from here on a signal is a request.
    watch(&watched)?;
    work(job, &watched)
}

/// Does the jobs of one task of a `Manifest`, one after the other: those that have no result yet, and that were not
/// handed over again since. Started by an [`Executor`](super::Executor) that takes many jobs together, on whatever
/// machine it finds, and again when that machine is lost.
///
/// Returns how they ended: the first state that is not [`JobState::Finished`], if there is one.
///
/// # Errors
/// Without touching anything: a manifest that cannot be read or lacks the task. Else the first error of [`worker`].
pub fn worker_of_manifest(path: &Path, task: usize) -> Result<JobState> {
    let path = std::path::absolute(path).map_err(|error| Error::io(path, error))?;
    let manifest = Manifest::read(&path)?;
    let ids = manifest.tasks.get(task).ok_or_else(|| {
        Error::file(&path, format!("lists {} tasks, so there is no number {task}", manifest.tasks.len()))
    })?;
    // `jobs/.slurm/token/manifest.jsonl`
    let jobs = path.ancestors().nth(3).ok_or_else(|| Error::file(&path, "is in no folder of jobs"))?;
    // A folder that is no job: nothing is marked there.
    let watched = Watched::of(jobs);
    lock(&watched).shared = true;
    watch(&watched)?;
    let mut ended = Ok(JobState::Finished);
    for id in ids {
        let job = jobs.join(id);
        // What asked one job to stop asks those after it.
        if lock(&watched).asked.is_some() {
            return ended.and(Ok(JobState::Cancelled));
        }
        // Before anything is concluded from what is not there.
        is_back_in_time(&job, &Cancel::new());
        if job.join(RESULT).exists() || Handle::read(&job)?.token != manifest.head.token {
            continue;
        }
        log_to(&job)?;
        lock(&watched).next(&job);
        let done = match differs(&manifest, jobs) {
            None => work(&job, &watched),
            Some(problem) => fail(&job, problem),
        };
        ended = match (ended, done) {
            (Ok(JobState::Finished), done) => done,
            (ended, _) => ended,
        };
    }
    ended
}

/// What is not here as it was where the jobs were handed over.
fn differs(manifest: &Manifest, jobs: &Path) -> Option<String> {
    let Head { version, library, .. } = &manifest.head;
    let here = env!("CARGO_PKG_VERSION");
    if version != here {
        return Some(format!(
            "version {version} of lora-tui handed this job over, but here is {here}: install the same, or set program \
             in [executor.slurm], and resume it"
        ));
    }
    match library_mark(jobs) {
        Ok(mark) if mark == *library => None,
        Ok(_) => Some(
            "library.toml names another base model or template than when this job was handed over; resume it if that \
             is right"
                .into(),
        ),
        Err(error) => Some(error.to_string()),
    }
}

/// Ends a job before it has begun.
fn fail(job: &Path, problem: String) -> Result<JobState> {
    say(&format!("{FAILED}{problem}"));
    let end = JobResult {
        state: JobState::Failed,
        error: Some(problem),
        result: None,
        ended: Some(SystemTime::now()),
    };
    end.write(job)?;
    Ok(end.state)
}

/// From here on, what this process prints goes into the log of the job.
fn log_to(job: &Path) -> Result<()> {
    let path = job.join(LOG);
    let log = own::append(&path)?.into_file();
    #[cfg(unix)]
    {
        let fail = |error: rustix::io::Errno| Error::io(&path, error.into());
        rustix::stdio::dup2_stdout(&log).map_err(fail)?;
        rustix::stdio::dup2_stderr(&log).map_err(fail)?;
    }
    #[cfg(not(unix))]
    drop(log);
    Ok(())
}

fn work(job: &Path, watched: &Arc<Mutex<Watched>>) -> Result<JobState> {
    let (executor, _) = executor_of(job)?;
    let held = if executor.locks() { Some(hold_lock(job)?) } else { try_lock(job)? };
    if job.join(RESULT).exists() {
        return Err(Error::file(job, "this job has ended"));
    }
    let interruptions = interruptions(job);
    introduce(job, interruptions);
    lower_priority();

    let cancel = lock(watched).cancel.clone();
    let asked = read_spec(job);
    let room = ResultRoom::take(job);
    let mut lost = None;
    let done = match (&asked, &room) {
        (Ok(asked), Ok(_)) => work_in_turn(job, asked, &*executor, &mut lost, &cancel),
        (Err(error), _) | (_, Err(error)) => Err(Error::msg(error.to_string())),
    };
    if !executor.locks() && !lock(watched).gone {
        // Its end is written when there is a place for it.
        is_back_in_time(job, &Cancel::new());
    }
    let (gone, signal) = {
        let watched = lock(watched);
        (watched.gone, watched.asked.filter(|_| !job.join(CANCEL).exists()))
    };
    let (state, error, result) = match (done, signal) {
        (Err(_), _) if gone => (JobState::Failed, Some(GONE.to_string()), None),
        (Ok(value), _) => (JobState::Finished, None, Some(value)),
        (Err(Error::Cancelled), Some(signal)) => {
            if signal == Signal::Warning {
                introduce(job, interruptions + 1);
            }
            let keeps = lost.is_none() && asked.as_ref().is_ok_and(|asked| asked.kind().resumes);
            match executor.interrupted(signal, interruptions, keeps) {
                Ending::Cancelled => (JobState::Cancelled, lost, None),
                Ending::Failed(reason) => (JobState::Failed, Some(with(reason, lost)), None),
                Ending::Left => {
                    let kept = lost.unwrap_or_else(|| "what was done is saved".into());
                    say(&format!("stopped by the scheduler; {kept}"));
                    return Ok(JobState::Cancelled);
                }
            }
        }
        (Err(Error::Cancelled), None) => (JobState::Cancelled, lost, None),
        (Err(error), _) => (JobState::Failed, Some(with(error.to_string(), lost)), None),
    };
    say(&match &error {
        None => state.name().to_string(),
        Some(error) if state == JobState::Failed => format!("{FAILED}{error}"),
        Some(lost) => format!("{}: {lost}", state.name()),
    });
    let end = JobResult { state, error, result, ended: Some(SystemTime::now()) };
    if gone {
        if let Ok(asked) = &asked {
            leave_a_trace(job, asked, &end)?;
        }
        return Ok(state);
    }
    match room {
        Ok(room) => room.write(&end, job)?,
        Err(_) => end.write(job)?,
    }
    drop(held);
    Ok(state)
}

/// Why a job failed, with what could not be saved of it.
fn with(reason: String, lost: Option<String>) -> String {
    lost.map_or(reason.clone(), |lost| format!("{reason}; {lost}"))
}

/// A job whose directory was deleted gets one again that says so, if its library is still there.
fn leave_a_trace(job: &Path, asked: &AnyJob, end: &JobResult) -> Result<()> {
    let library = job.ancestors().nth(3);
    if !library.is_some_and(Path::is_dir) || own::is_taken(job) {
        return Ok(());
    }
    make_folders(job)?;
    let text = serde_json::to_vec_pretty(asked).map_err(|error| Error::msg(error.to_string()))?;
    own::create(&job.join(SPEC), &text)?;
    origin::mark(job);
    own::create(&job.join(LOCK), b"")?;
    let line = format!("{} {FAILED}{GONE}\n", times::text(Some(SystemTime::now())));
    own::create(&job.join(LOG), line.as_bytes())?;
    end.write(job)
}

/// Does the work, once it is this job's turn. `lost` gets what could not be saved of a job that ends early.
fn work_in_turn(
    dir: &Path,
    job: &AnyJob,
    executor: &dyn Executor,
    lost: &mut Option<String>,
    cancel: &Cancel,
) -> Result<serde_json::Value> {
    let name = format!("{} {}", job.kind().name, job.title());
    let mut report = |reason: &str| say(&format!("{name}: {reason}"));
    let slots = executor.slots()?;
    // A node is not kept for a parent that has failed.
    let patience = match slots {
        Slots::Library(_) => Patience::ForEver,
        Slots::Executor => Patience::WhileUnderWay,
    };
    wait_for_parents(dir, patience, &mut report, cancel)?;
    let _turn = match slots {
        Slots::Library(slots) => {
            let (need, machine) = (queue::Need::of(job, dir), queue::Machine::here(slots));
            let mut report = |reason: &str| {
                report(reason);
                waits::note(dir, reason);
            };
            let turn = queue::wait_for_slot(dir, &need, &machine, &mut report, cancel)?;
            waits::forget(dir);
            if let Some((number, what)) = &turn.gpu {
                devices::assign(*number);
                say(&format!("{name}: on cuda:{number}{what}"));
            }
            Some(turn)
        }
        Slots::Executor => None,
    };
    say(&name);
    let mut events = EventLog::open(dir, say)?;
    events.started(0);
    let run = |events: &mut EventLog| {
        without_panic(|| job.run(&mut JobContext { state: &dir.join(STATE), events, cancel }))
    };
    let mut done = run(&mut events);
    // What a shared file system that was away has broken is resumed from its saved state.
    while done.is_err() && !executor.locks() && !cancel.is_cancelled() && is_away(dir) {
        if let Err(error) = &done {
            say(&format!("{error}; it resumes from its saved state when its folder is back"));
        }
        if !is_back_in_time(dir, cancel) {
            break;
        }
        events.resumed();
        done = run(&mut events);
    }
    events.flush();
    if done.is_err() {
        *lost = events.lost().map(String::from);
    }
    done?.value()
}

/// Whether the directory of a job cannot be seen.
fn is_away(job: &Path) -> bool {
    job.join(LOCK).symlink_metadata().is_err()
}

/// Waits until the directory of a job on a shared file system can be seen again, for as long as that may be away.
fn is_back_in_time(job: &Path, cancel: &Cancel) -> bool {
    let since = Instant::now();
    while is_away(job) {
        if since.elapsed() >= SHARED_PATIENCE || cancel.is_cancelled() {
            return false;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    true
}

/// The work's panic as its error, so that the job ends with a result.
fn without_panic<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Err(Error::msg(format!("internal error: {}", message.lines().next().unwrap_or_default())))
    })
}

/// The lock that keeps this job alive: inherited as standard input, or taken by a worker that was started
/// by other means.
fn hold_lock(job: &Path) -> Result<Lock> {
    let path = job.join(LOCK);
    let lock = match inherited_lock(&path) {
        Some(lock) => Lock::inherited(lock, &path, LOCK_PATIENCE)?,
        None if !own::is_taken(&path) => return Err(Error::file(job, "no job is here")),
        None => Lock::take_existing(&path, LOCK_PATIENCE)?,
    };
    lock.ok_or_else(|| busy(job))
}

/// The lock, where it can be had: what decides that this job lives is what its executor says. `None` where the storage
/// has no locks.
///
/// # Errors
/// Another worker that has it.
fn try_lock(job: &Path) -> Result<Option<Lock>> {
    let path = job.join(LOCK);
    if !own::is_taken(&path) {
        return Err(Error::file(job, "no job is here"));
    }
    match Lock::take_existing(&path, SHARED_PATIENCE) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(busy(job)),
        Err(_) => Ok(None),
    }
}

/// Standard input, if it is the lock; then it is moved away, so that no child of the worker can keep the
/// lock when the worker is dead.
#[cfg(unix)]
fn inherited_lock(path: &Path) -> Option<File> {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let lock = File::from(std::io::stdin().as_fd().try_clone_to_owned().ok()?);
    let (ours, wanted) = (lock.metadata().ok()?, path.metadata().ok()?);
    if (ours.dev(), ours.ino()) != (wanted.dev(), wanted.ino()) {
        return None;
    }
    rustix::stdio::dup2_stdin(null_device()?).ok()?;
    Some(lock)
}

#[cfg(not(unix))]
fn inherited_lock(_path: &Path) -> Option<File> {
    None
}

#[cfg(all(unix, not(test)))]
fn lower_priority() {
    // A worker at normal priority is no failure.
    let _ = rustix::process::nice(NICENESS);
}

/// The tests' workers do not wait behind other tests.
#[cfg(any(not(unix), test))]
fn lower_priority() {}

/// Says who does the job; and how often one before was interrupted.
pub(super) fn introduce(job: &Path, interruptions: u64) {
    let text = serde_json::json!({
        "pid": std::process::id(),
        "host": host_name(),
        "version": env!("CARGO_PKG_VERSION"),
        "since": times::text(Some(SystemTime::now())),
        "interruptions": interruptions,
    });
    if let Err(error) = own::replace(&job.join(WORKER), text.to_string().as_bytes()) {
        say(&error.to_string());
    }
}

/// What an earlier worker has written down.
fn interruptions(job: &Path) -> u64 {
    let bytes = own::read(&job.join(WORKER), MAX_WORKER).ok().flatten().unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    value.get("interruptions").and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// The name of this machine; empty where the system does not say it in a file.
fn host_name() -> String {
    let bytes = read_limited(Path::new("/proc/sys/kernel/hostname"), 256).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().into()
}

/// The job that is done now, and what was asked of it.
#[derive(Debug)]
struct Watched {
    job: PathBuf,
    /// It is one already: its directory has to be there.
    is_job: bool,
    /// It is on a shared file system, and its executor says what a signal means.
    shared: bool,
    /// Raised when it is to stop.
    cancel: Cancel,
    /// Its directory went away.
    gone: bool,
    /// When that was first seen.
    missing: Option<Instant>,
    /// The signal that asked this process to end.
    asked: Option<Signal>,
}

impl Watched {
    fn of(job: &Path) -> Arc<Mutex<Self>> {
        let (shared, is_job) = (is_shared(job), job.join(SPEC).exists());
        let (job, cancel) = (job.to_path_buf(), Cancel::new());
        Arc::new(Mutex::new(Self { job, is_job, shared, cancel, gone: false, missing: None, asked: None }))
    }

    /// Goes on to another job.
    fn next(&mut self, job: &Path) {
        self.job = job.to_path_buf();
        (self.is_job, self.shared) = (true, is_shared(job));
        (self.cancel, self.gone, self.missing) = (Cancel::new(), false, None);
        if self.asked.is_some() {
            self.cancel.cancel();
        }
    }

    /// Looks for the marker, and whether the directory is still there.
    fn look(&mut self) {
        if !self.is_job {
            return;
        }
        let lock = self.job.join(LOCK).symlink_metadata();
        if lock.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            if self.missing.is_none() && self.shared {
                say(&format!(
                    "its folder is away: the work continues, and what it needs there waits up to {} s",
                    SHARED_PATIENCE.as_secs()
                ));
            }
            let since = self.missing.get_or_insert_with(Instant::now).elapsed();
            // A shared file system may be away for a while.
            if !self.shared || since >= SHARED_PATIENCE {
                self.gone = true;
                self.cancel.cancel();
            }
        } else if self.missing.take().is_some() && self.shared {
            say("its folder is back");
        }
        if self.job.join(CANCEL).exists() {
            self.cancel.cancel();
        }
    }

    /// A signal asks for the end. On this machine that counts as if the job had been cancelled.
    fn hear(&mut self, signal: Signal) {
        let again = self.asked.replace(self.asked.unwrap_or(signal)).is_some();
        if again && !self.shared {
            let ended = Some(SystemTime::now());
            let end = JobResult { state: JobState::Cancelled, error: None, result: None, ended };
            let _ = end.write(&self.job);
            std::process::exit(130);
        }
        if !self.shared {
            // Readers see "cancelling", whoever asked for it.
            let _ = own::mark(&self.job.join(CANCEL));
        }
        self.cancel.cancel();
    }
}

/// Without `executor.json`, as in earlier versions, it is a process of this machine.
fn is_shared(job: &Path) -> bool {
    executor_of(job).is_ok_and(|(executor, _)| !executor.locks())
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    // What is watched makes sense at any moment.
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Raises the job's `cancel` when its marker appears, when its directory is gone, or when a signal asks for the end; where
/// workers are processes of this machine, a second signal ends the process at once.
fn watch(watched: &Arc<Mutex<Watched>>) -> Result<()> {
    let fail = |error| Error::msg(format!("cannot listen to signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen(&[Signal::Terminate, Signal::Interrupt, Signal::HangUp, Signal::Warning])
            .map_err(fail)?
    };
    let watched = watched.clone();
    let watcher = move || {
        runtime.block_on(async move {
            let mut looks = tokio::time::interval(BETWEEN_LOOKS);
            loop {
                tokio::select! {
                    signal = signals.next() => lock(&watched).hear(signal),
                    _ = looks.tick() => lock(&watched).look(),
                }
            }
        });
    };
    std::thread::Builder::new().name("cancel-watch".into()).spawn(watcher).map_err(fail)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_one_line() {
        let error = without_panic::<()>(|| panic!("index {} is out of\nbounds", 7)).unwrap_err();
        assert_eq!(error.to_string(), "internal error: index 7 is out of");
        let error = without_panic::<()>(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(error.to_string(), "internal error: no message");
        assert_eq!(without_panic(|| Ok(7)).unwrap(), 7);
    }
}

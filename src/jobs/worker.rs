//! The worker process of one job, from its first moment to its result.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::after::wait_for_parents;
use super::events::{EventLog, FAILED, say};
use super::executors::{Slots, executor_of};
use super::job_dir::{JobResult, LOCK_PATIENCE, ResultRoom, busy, read_spec};
use super::kinds::{AnyJob, JobContext};
use super::layout::{CANCEL, LOCK, LOG, RESULT, SPEC, STATE, WORKER};
use super::times;
use super::{JobState, origin, queue};
use crate::outside::{Lock, make_folders, null_device, own};
use crate::signals::{Signal, Signals};
use crate::{Cancel, Error, Result};

/// How often the worker looks whether it should stop.
const BETWEEN_LOOKS: Duration = Duration::from_millis(150);
/// The error of a job whose directory went away.
const GONE: &str = "its directory was deleted or moved while it worked; delete .lora-tui, or move the library, only \
     while no job runs";
/// Below what a person is doing at the same time.
#[cfg(all(unix, not(test)))]
const NICENESS: i32 = 10;

/// Does the job in `job_dir`: waits for a slot, works, writes the result. Started by an
/// [`Executor`](super::Executor), once per job.
///
/// Returns how the job ended; why is in its result and its log.
///
/// # Errors
/// Without touching anything: no job there, a job that has ended, or one that another worker does. At the
/// end: a result that cannot be written.
pub fn worker(job_dir: &Path) -> Result<JobState> {
    let job = &std::path::absolute(job_dir).map_err(|error| Error::io(job_dir, error))?;
    let cancel = Cancel::new();
    let gone = Arc::new(AtomicBool::new(false));
    // First of all: from here on a signal is a request.
    watch(job, &cancel, &gone)?;
    let lock = hold_lock(job)?;
    if job.join(RESULT).exists() {
        return Err(Error::file(job, "this job has ended"));
    }
    introduce(job);
    lower_priority();

    let asked = read_spec(job);
    let room = ResultRoom::take(job);
    let done = match (&asked, &room) {
        (Ok(asked), Ok(_)) => work_in_turn(job, asked, &cancel),
        (Err(error), _) | (_, Err(error)) => Err(Error::msg(error.to_string())),
    };
    let (state, error, result) = match done {
        Err(_) if gone.load(Ordering::Relaxed) => (JobState::Failed, Some(GONE.to_string()), None),
        Ok(value) => (JobState::Finished, None, Some(value)),
        Err(Error::Cancelled) => (JobState::Cancelled, None, None),
        Err(error) => (JobState::Failed, Some(error.to_string()), None),
    };
    say(&match &error {
        None => state.name().to_string(),
        Some(error) => format!("{FAILED}{error}"),
    });
    let end = JobResult { state, error, result, ended: Some(SystemTime::now()) };
    if gone.load(Ordering::Relaxed) {
        if let Ok(asked) = &asked {
            leave_a_trace(job, asked, &end)?;
        }
        return Ok(state);
    }
    match room {
        Ok(room) => room.write(&end, job)?,
        Err(_) => end.write(job)?,
    }
    drop(lock);
    Ok(state)
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

fn work_in_turn(dir: &Path, job: &AnyJob, cancel: &Cancel) -> Result<serde_json::Value> {
    let name = format!("{} {}", job.kind().name, job.title());
    wait_for_parents(dir, &mut |reason| say(&format!("{name}: {reason}")), cancel)?;
    let mut wait = || say(&format!("{name}: waiting for its turn"));
    let (executor, _) = executor_of(dir)?;
    let _slot = match executor.slots()? {
        Slots::Library(slots) => Some(queue::wait_for_slot(dir, slots, &mut wait, cancel)?),
        Slots::Executor => None,
    };
    say(&name);
    let mut events = EventLog::open(dir, say)?;
    events.started(0);
    let done =
        without_panic(|| job.run(&mut JobContext { state: &dir.join(STATE), events: &mut events, cancel }));
    events.flush();
    done?.value()
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

/// Says who does the job; nothing decides anything by it.
fn introduce(job: &Path) {
    let text = serde_json::json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "since": times::text(Some(SystemTime::now())),
    });
    if let Err(error) = own::replace(&job.join(WORKER), text.to_string().as_bytes()) {
        say(&error.to_string());
    }
}

/// Raises `cancel` when the job's marker appears, when its directory is `gone`, or when a signal asks for the end; a second signal ends the
/// process at once.
fn watch(job: &Path, cancel: &Cancel, gone: &Arc<AtomicBool>) -> Result<()> {
    let fail = |error| Error::msg(format!("cannot listen to signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen(&[Signal::Terminate, Signal::Interrupt, Signal::HangUp]).map_err(fail)?
    };
    let (job, cancel, gone) = (job.to_path_buf(), cancel.clone(), gone.clone());
    let watcher = move || {
        runtime.block_on(async move {
            let mut signalled = false;
            let mut looks = tokio::time::interval(BETWEEN_LOOKS);
            loop {
                tokio::select! {
                    _ = signals.next() => {
                        if signalled {
                            let ended = Some(SystemTime::now());
                            let end = JobResult { state: JobState::Cancelled, error: None, result: None, ended };
                            let _ = end.write(&job);
                            std::process::exit(130);
                        }
                        signalled = true;
                        // Readers see "cancelling", whoever asked for it.
                        let _ = own::mark(&job.join(CANCEL));
                        cancel.cancel();
                    }
                    _ = looks.tick() => {
                        let lock = job.join(LOCK).symlink_metadata();
                        if lock.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
                            gone.store(true, Ordering::Relaxed);
                            cancel.cancel();
                        }
                        if job.join(CANCEL).exists() {
                            cancel.cancel();
                        }
                    }
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

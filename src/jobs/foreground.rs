//! Evaluations that the process of a command does itself: others see them as they see any job.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::events::EventLog;
use super::executors::{Handle, Local};
use super::job_dir::{JobDir, JobResult, read_spec};
use super::kinds::{AnyJob, Heard};
use super::layout::{CANCEL, EVENTS, RESULT, STATE};
use super::worker::introduce;
use super::{JobState, Jobs, origin};
use crate::eval::{EvalEvent, EvalReport, EvalSpec, evaluate};
use crate::outside::{make_folders, own};
use crate::{Cancel, Error, Result};

/// How often somebody else's request to stop it is looked for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(150);

/// [`evaluate`] here and now. From the moment at which it is planned, it is a job of its library, which others can
/// watch and cancel, and whose scores stay; the same evaluation once more takes the place of the one before. `told` hears
/// everything, as there.
///
/// # Errors
/// As [`evaluate`]. A job that cannot be made is a note only.
pub fn evaluate_in_foreground(
    spec: &EvalSpec,
    told: &mut dyn FnMut(EvalEvent),
    cancel: &Cancel,
) -> Result<EvalReport> {
    let mut listed: Option<Listed> = None;
    let done = {
        let mut hear = |event: EvalEvent| {
            if let (EvalEvent::Planned(_), None) = (&event, &listed) {
                match Listed::new(spec, cancel) {
                    Ok(new) => listed = Some(new),
                    Err(error) => {
                        told(EvalEvent::Note(format!("this evaluation is not listed among jobs: {error}")));
                    }
                }
            }
            if let Some(listed) = &mut listed {
                let state = listed.dir.path().join(STATE);
                listed.heard.take(&event, &state, &mut listed.events);
            }
            told(event);
        };
        evaluate(spec, &mut hear, cancel)
    };
    // Where all was known before, nothing had to be planned.
    if listed.is_none() && done.is_ok() {
        listed = Listed::new(spec, cancel).ok();
    }
    // What was found out is there, listed or not.
    if let Some(Err(error)) = listed.map(|listed| listed.end(&done)) {
        told(EvalEvent::Note(error.to_string()));
    }
    done
}

/// An evaluation under way, as a job.
struct Listed {
    dir: JobDir,
    events: EventLog,
    heard: Heard,
    /// Ends the thread that looks whether it is to stop.
    over: Arc<AtomicBool>,
}

impl Listed {
    fn new(spec: &EvalSpec, cancel: &Cancel) -> Result<Self> {
        let jobs = Jobs::of_folder(&spec.library)?;
        let mut job = AnyJob::from(spec.clone());
        job.prepare()?;
        make_folders(jobs.dir())?;
        let dir = match earlier(&jobs, &job)? {
            Some(dir) => dir,
            None => JobDir::create_anywhere(jobs.dir(), &job, &[])?,
        };
        Handle::early(Local::ID).write(dir.path())?;
        introduce(dir.path(), 0);
        let mut events = EventLog::open(dir.path(), |_| ())?;
        events.started(0);
        let over = Arc::new(AtomicBool::new(false));
        look_for_end(dir.path(), over.clone(), cancel.clone());
        Ok(Self { dir, events, heard: Heard::new(), over })
    }

    fn end(mut self, done: &Result<EvalReport>) -> Result<()> {
        self.events.flush();
        let (state, error, result) = match done {
            Ok(report) => {
                let value = serde_json::to_value(report).map_err(|error| Error::msg(error.to_string()))?;
                (JobState::Finished, None, Some(value))
            }
            Err(Error::Cancelled) => (JobState::Cancelled, None, None),
            Err(error) => (JobState::Failed, Some(error.to_string()), None),
        };
        JobResult { state, error, result, ended: Some(SystemTime::now()) }.write(self.dir.path())
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The same evaluation, if one is over and this user's: it is forgotten how it went.
fn earlier(jobs: &Jobs, job: &AnyJob) -> Result<Option<JobDir>> {
    let is_same = |path: &Path| origin::is_ours(path) && read_spec(path).is_ok_and(|other| other == *job);
    for id in jobs.ids()? {
        let path = jobs.dir().join(&id);
        if !path.join(RESULT).exists() || !is_same(&path) {
            continue;
        }
        // Somebody else may do it again at this moment.
        let Ok(dir) = JobDir::reopen_anywhere(path) else { continue };
        own::remove(&dir.path().join(EVENTS))?;
        dir.clear()?;
        return Ok(Some(dir));
    }
    Ok(None)
}

/// Raises `cancel` once the job in `job` is to stop.
fn look_for_end(job: &Path, over: Arc<AtomicBool>, cancel: Cancel) {
    let marker = job.join(CANCEL);
    let look = move || {
        while !over.load(Ordering::Relaxed) {
            if marker.exists() {
                return cancel.cancel();
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    };
    // Without it, Ctrl-C is left.
    drop(std::thread::Builder::new().name("cancel-watch".into()).spawn(look));
}

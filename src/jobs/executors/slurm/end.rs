//! What Slurm's word means for a job that has no result, and why one ended.

use std::path::Path;
use std::time::SystemTime;

use super::record::{Record, Task};
use super::states::{self, Means};
use super::{DELAY, manifest_of, poll, submit, task_of};
use crate::configuration;
use crate::jobs::executors::{Handle, Life};
use crate::jobs::files::last_lines;
use crate::jobs::layout::{CANCEL, WORKER};
use crate::signals::Signal;
use crate::text::short;

/// What Slurm's word means for a job that has no result.
pub fn life(job: &Path, handle: &Handle, (array, index): Task, record: &Record) -> Life {
    let id = format!("{array}_{index}");
    let Some(state) = record.state else {
        return Life::Waiting(Some(format!(
            "Slurm calls its state {}, which this version does not know",
            record.called
        )));
    };
    let place = || {
        let nodes = if record.nodes.is_empty() { String::new() } else { format!(" on {}", record.nodes) };
        let words = if state.words.is_empty() { String::new() } else { format!(", which {}", state.words) };
        format!("Slurm job {id}{nodes}{words}")
    };
    match state.means {
        Means::Waits => {
            let reason = states::reason(&record.reason);
            let words = if state.words.is_empty() { reason } else { state.words.into() };
            Life::Waiting(Some(words).filter(|words| !words.is_empty()))
        }
        Means::Runs => Life::Alive(Some(place())),
        Means::Completed => completed(job, handle, (array, index), record, place()),
        Means::Stopped if job.join(CANCEL).exists() => Life::Stopped,
        Means::Stopped => {
            let by = record.by.as_deref().map_or("somebody".into(), user);
            Life::Gone(Some(format!("Slurm job {id} was cancelled by {by}, not by `jobs cancel`")))
        }
        // Ended in the instant of its launch, it may count as failed.
        Means::Ended if job.join(CANCEL).exists() => Life::Stopped,
        Means::Ended => Life::Gone(Some(ended(job, handle, &id, record, state.words))),
    }
}

/// What it means that a job has completed and has left no result, which may show later.
fn completed(job: &Path, handle: &Handle, task: Task, record: &Record, place: String) -> Life {
    let id = format!("{}_{}", task.0, task.1);
    let before = Before::of(job, handle);
    if let Some(before) = before.as_ref().filter(|before| before.by_setup) {
        return Life::Gone(Some(before.words(&format!("Slurm job {id} has completed"), 0)));
    }
    if poll::ended_for(&handle.cluster, task) < DELAY && ended_just_now(record) {
        return Life::Alive(Some(format!("{place}; its result is not here yet")));
    }
    let or = match before.filter(|before| before.has_setup) {
        Some(_) => format!(
            ", and whether setup in [executor.slurm]{} ends the script, as `exec` in its lines does",
            of_configuration()
        ),
        None => String::new(),
    };
    Life::Gone(Some(format!(
        "Slurm job {id} has completed without this job's result: look at the end of its log, and whether all nodes see \
         this folder{or}"
    )))
}

/// Why a job ended that has left no result.
fn ended(job: &Path, handle: &Handle, id: &str, record: &Record, words: &str) -> String {
    let how = match record.exit {
        Some((_, signal)) if signal > 0 => format!(" (signal {signal})"),
        Some((code, _)) if code > 0 => format!(" (exit status {code})"),
        _ => String::new(),
    };
    let nodes = if record.nodes.is_empty() { String::new() } else { format!(" on {}", record.nodes) };
    let began = job.join(WORKER).exists();
    // Of the warning before the time limit only the script dies: a worker takes it for a request.
    if is_warning(record.exit) || record.state.is_some_and(|state| state.name == "TIMEOUT") && !began {
        return format!(
            "Slurm job {id}{nodes} reached its time limit during setup, before its worker began: set a longer time in \
             [executor.slurm], or do less in setup, and resume it"
        );
    }
    if matches!(record.exit, Some((_, NO_OUTPUT)))
        && let Some(jobs) = job.parent()
    {
        let folder = submit::folder(jobs, &handle.token);
        let why = match folder.is_dir() {
            true => "the node does not see this folder, or may not write to it",
            false => "this folder is not there any more",
        };
        return format!(
            "Slurm job {id}{nodes} could not write its output to {}: {why}; mend that and resume it",
            folder.display()
        );
    }
    let mut text = format!("Slurm job {id}{nodes} {words}{how}");
    let Some(before) = Before::of(job, handle) else { return text };
    // What the worker said itself was said behind setup.
    if let Some((code @ 1.., 0)) = record.exit
        && (before.by_setup
            || !matches!(code, 126 | 127) && !before.said.contains(OWN_WORDS) && before.has_setup)
    {
        return before.words(&text, code);
    }
    if !before.said.is_empty() {
        text += &format!(": {}", short(&before.said));
    }
    // As shells say that there is no such program, or that it cannot be run.
    if matches!(record.exit, Some((126 | 127, _))) {
        text += "; set program in [executor.slurm] to lora-tui on the nodes, and mend setup";
    }
    text
}

/// The signal by which Slurm says that it could not open the file for a script's output.
const NO_OUTPUT: u32 = 53;

/// The script of a task whose worker has not begun.
struct Before {
    /// It said that its `setup` ended it.
    by_setup: bool,
    /// It has lines of `setup`.
    has_setup: bool,
    /// What else it said last.
    said: String,
}

impl Before {
    /// `None` where a worker of the task has begun, or nothing is known of its script.
    fn of(job: &Path, handle: &Handle) -> Option<Self> {
        let (jobs, (_, index)) = job.parent().zip(task_of(handle))?;
        let manifest = manifest_of(job, handle)?;
        let mut of_task = manifest.tasks.get(usize::try_from(index).ok()?)?.iter();
        if of_task.any(|id| jobs.join(id).join(WORKER).exists()) {
            return None;
        }
        let folder = submit::folder(jobs, &handle.token);
        let mut lines = last_lines(&folder.join(format!("{index}.out")), 2, 4096).unwrap_or_default();
        let is_end = |line: &String| line.starts_with(submit::SETUP_ENDED);
        let by_setup = lines.last().is_some_and(is_end);
        // A task that was queued again may have said it before.
        lines.retain(|line| !is_end(line));
        Some(Self { by_setup, has_setup: submit::has_setup(&folder), said: lines.pop().unwrap_or_default() })
    }

    /// That setup ended a task with a status, behind what is known of its end.
    fn words(&self, text: &str, code: u32) -> String {
        let said = if self.said.is_empty() { String::new() } else { format!(" ({})", short(&self.said)) };
        format!(
            "{text}: setup in [executor.slurm]{} ended with status {code} before the worker began{said}; mend its lines \
             and resume it",
            of_configuration()
        )
    }
}

/// The file in which `setup` stands.
fn of_configuration() -> String {
    configuration::file().map_or(String::new(), |path| format!(" of {}", path.display()))
}

/// What stands before an error of this program.
const OWN_WORDS: &str = "lora-tui: ";

/// Whether what ended a script is the signal that Slurm sends before the time limit: as Slurm says it, or as a shell does.
fn is_warning(exit: Option<(u32, u32)>) -> bool {
    let warning = Signal::Warning.number().unsigned_abs();
    matches!(exit, Some((_, signal)) if signal == warning) || exit == Some((128 + warning, 0))
}

/// Whether a job ended within the last minute by Slurm's clock, which may differ from ours: then this process decides
/// by when it first saw it.
fn ended_just_now(record: &Record) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    record.ended.is_none_or(|ended| now.saturating_sub(ended) < DELAY.as_secs() as i64)
}

/// A user by a number or a name.
fn user(by: &str) -> String {
    match by {
        "0" => "root".into(),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => format!("user {number}"),
        name => name.into(),
    }
}

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
        Means::Completed
            if poll::ended_for(&handle.cluster, (array, index)) < DELAY && ended_just_now(record) =>
        {
            Life::Alive(Some(format!("{}; its result is not here yet", place())))
        }
        Means::Completed => Life::Gone(Some(format!(
            "Slurm job {id} has completed without this job's result: look at the end of its log, and whether all nodes \
             see this folder"
        ))),
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
    let mut text = format!("Slurm job {id}{nodes} {words}{how}");
    // What the script said before there was a worker.
    if !began
        && let Some((jobs, (_, index))) = job.parent().zip(task_of(handle))
        && manifest_of(job, handle).is_some()
    {
        let folder = submit::folder(jobs, &handle.token);
        let path = folder.join(format!("{index}.out"));
        let mut lines = last_lines(&path, 2, 4096).unwrap_or_default();
        let mut last = lines.pop().unwrap_or_default();
        let was_setup = last.starts_with(submit::SETUP_ENDED);
        if was_setup {
            last = lines.pop().unwrap_or_default();
        }
        // What the worker said itself was said behind setup.
        if let Some((code, 0)) = record.exit
            && (was_setup
                || !matches!(code, 0 | 126 | 127) && !last.contains(OWN_WORDS) && submit::has_setup(&folder))
        {
            let place = configuration::file().map_or(String::new(), |path| format!(" of {}", path.display()));
            let said = if last.is_empty() { String::new() } else { format!(" ({})", short(&last)) };
            return format!(
                "{text}: setup in [executor.slurm]{place} ended with status {code} before the worker began{said}; mend \
                 its lines and resume it"
            );
        }
        if !last.is_empty() {
            text += &format!(": {}", short(&last));
        }
        // As shells say that there is no such program, or that it cannot be run.
        if matches!(record.exit, Some((126 | 127, _))) {
            text += "; set program in [executor.slurm] to lora-tui on the nodes, and mend setup";
        }
    }
    text
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

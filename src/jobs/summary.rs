//! One job as lists show it, read from its directory.

use std::path::Path;

use super::events::FAILED;
use super::executors::Life;
use super::files::last_lines;
use super::job_dir::read_spec;
use super::layout::{CANCEL, EXECUTOR, GROUP, HOLD, LOG, WORKER, is_id};
use super::life::Standing;
use super::progress::{Point, Progress};
use super::share::Share;
use super::{Figures, JobState, JobSummary, after, times, waits};
use crate::clock::rfc3339;
use crate::outside::own;

/// What of a log's end is read for the reason of a failure.
const LOG_BYTES: u64 = 1 << 16;
/// Largest `group` that is read.
const MAX_GROUP: u64 = 256;

/// Why a worker failed that could not write its result: the end of its log, where that says so.
fn last_words(job: &Path) -> Option<String> {
    let lines = last_lines(&job.join(LOG), 20, LOG_BYTES).ok()?;
    // When the job was handed over, the last time.
    let handed_over = job.join(EXECUTOR).symlink_metadata().and_then(|metadata| metadata.modified());
    let since = handed_over.map_or(String::new(), rfc3339);
    // Behind the time, which is written so that texts compare as times do. What is older was another worker's.
    let says = |line: &String| {
        let (time, text) = line.split_once(' ').filter(|(time, _)| *time >= since.as_str())?;
        text.strip_prefix(FAILED).filter(|_| time.ends_with('Z')).map(String::from)
    };
    lines.iter().rev().find_map(says)
}

/// The first of the jobs that were started together with the one in `job`.
fn group(job: &Path) -> Option<String> {
    let bytes = own::read(&job.join(GROUP), MAX_GROUP).ok().flatten()?;
    String::from_utf8(bytes).ok().filter(|name| is_id(name))
}

/// Reads the job `id` in the directory `job`.
pub fn read(id: &str, job: &Path) -> JobSummary {
    // Standing before events: an end that is seen has all its events before it.
    let standing = Standing::of(job);
    let progress = Progress::glance(job);
    let (kind, name, facts, broken) = match read_spec(job) {
        Ok(job) => (Some(job.kind()), job.title(), job.facts(), None),
        Err(error) => (None, id.to_string(), Vec::new(), Some(error.to_string())),
    };
    let cancel = job.join(CANCEL).exists();
    let begun = progress.started.is_some() && !progress.waiting;
    let (mut place, mut unseen) = (None, None);
    let last = |curve: &[Point]| curve.last().map(|point| point.value);
    let mut figures = Figures {
        loss: last(&progress.losses),
        validation_loss: last(&progress.validation),
        tokens_per_second: progress.tokens_per_second.filter(|speed| speed.is_finite()),
        left: progress.eta_seconds.filter(|left| left.is_finite() && *left >= 0.0),
        facts,
        ..Figures::default()
    };
    let (state, error, reason) = match standing {
        Standing::Over(result) => {
            figures.ended = result.ended;
            let report = result.result.and_then(|value| kind?.report(value).ok());
            figures.measure = report.and_then(|report| report.findings().measure);
            (result.state, result.error, None)
        }
        Standing::Open(Life::Unseen(why)) => {
            unseen = Some(format!("whether it still runs is unknown: {why}"));
            let state = match () {
                () if cancel => JobState::Cancelling,
                () if begun => JobState::Running,
                () => JobState::Queued,
            };
            (state, None, Some(why))
        }
        Standing::Open(Life::Alive(_) | Life::Waiting(_)) if cancel => (JobState::Cancelling, None, None),
        Standing::Open(Life::Waiting(reason)) => (JobState::Queued, None, reason),
        Standing::Open(Life::Alive(at)) => {
            place = at;
            // Of a worker here that waits, its own words; elsewhere something comes before it.
            let before =
                place.as_ref().map(|_| "its task runs: setup, or a job before it, is not done yet".into());
            if begun { (JobState::Running, None, None) } else { (JobState::Queued, None, before) }
        }
        Standing::Open(Life::Stopped) => (JobState::Cancelled, None, None),
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
    let held = state == JobState::Queued && job.join(HOLD).exists();
    let queued = state == JobState::Queued;
    if queued {
        // What was said of an earlier run says nothing of the one to come.
        (figures.tokens_per_second, figures.left) = (None, None);
    }
    let waits = queued.then(|| waits::why(job, held, reason)).flatten();
    JobSummary {
        id: id.to_string(),
        kind,
        name,
        state,
        step: progress.step,
        steps: progress.steps,
        started: progress.started.and_then(times::time),
        error: broken.or(error),
        after: after::parents(job).into_iter().map(|after| after.id).collect(),
        waits,
        held,
        place,
        unseen: unseen.filter(|_| !queued),
        group: group(job),
        share: Share::read(job),
        turn: None,
        figures,
    }
}

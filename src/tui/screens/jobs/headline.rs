//! How it stands with all jobs, in a sentence or two.

use super::pace::remaining;
use crate::jobs::{JobState, JobSummary};
use crate::text::{counted, duration};
use crate::tui::Shared;

/// What runs and until when, what waits, what has failed last.
pub struct Headline {
    pub calm: String,
    /// The job that has failed last, and why.
    pub failed: Option<String>,
}

/// Of all jobs.
pub fn headline(shared: &Shared) -> Headline {
    let jobs = &shared.jobs;
    let count = |state: JobState| jobs.iter().filter(|job| job.state == state).count();
    let (running, held) = (count(JobState::Running), jobs.iter().filter(|job| job.held).count());
    let (waiting, failed) = (count(JobState::Queued).saturating_sub(held), count(JobState::Failed));
    let mut parts = Vec::new();
    if running > 0 {
        let left = jobs.iter().filter_map(|job| remaining(job, None, shared.now)).fold(0.0, f64::max);
        let left =
            if left > 0.0 { format!(", {} left for those that run", duration(left)) } else { String::new() };
        let verb = if running == 1 { "runs" } else { "run" };
        parts.push(format!("{} {verb}{left}.", counted(running, "job")));
    }
    if waiting > 0 {
        parts.push(format!("{waiting} {}.", if waiting == 1 { "waits" } else { "wait" }));
    }
    if held > 0 {
        parts.push(format!("{held} {} held.", if held == 1 { "is" } else { "are" }));
    }
    if running + waiting + held == 0 && count(JobState::Cancelling) == 0 {
        parts.push(format!("Nothing runs: {} finished.", counted(count(JobState::Finished), "job")));
    }
    // The newest is the first.
    let last = jobs.iter().find(|job| job.state == JobState::Failed);
    let failed = last.map(|job: &JobSummary| {
        let why = job.error.as_deref().unwrap_or("it gives no reason");
        let which = if failed == 1 { "1 failed" } else { "last" };
        let all = if failed == 1 { String::new() } else { format!("{failed} failed, ") };
        format!("{all}{which}: {}: {why}", job.name)
    });
    Headline { calm: parts.join(" "), failed }
}

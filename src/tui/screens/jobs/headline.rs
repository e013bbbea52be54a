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
    let cancelling = count(JobState::Cancelling);
    let mut parts = Vec::new();
    if running > 0 {
        let left = jobs.iter().filter_map(|job| remaining(job, shared.now)).fold(0.0, f64::max);
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
    // Beside others, its row says so.
    if cancelling > 0 && running + waiting + held == 0 {
        let are = if cancelling == 1 { "is" } else { "are" };
        parts.push(format!("{cancelling} {are} being cancelled."));
    }
    if running + waiting + held + cancelling == 0 {
        // What has failed is told below.
        let ends = [JobState::Finished, JobState::Cancelled].map(|state| (count(state), state.name()));
        let ends: Vec<String> = ends
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .enumerate()
            .map(|(at, (count, end))| match at {
                0 => format!("{} {end}", counted(count, "job")),
                _ => format!("{count} {end}"),
            })
            .collect();
        parts.push(match ends.as_slice() {
            [] => "Nothing runs.".into(),
            ends => format!("Nothing runs: {}.", ends.join(", ")),
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    /// What is said of jobs in these states.
    fn calm(states: &[JobState]) -> String {
        let all = fixtures::jobs();
        let one = |state: &JobState| all.iter().find(|job| job.state == *state).unwrap().clone();
        let mut shared = Shared { now: fixtures::NOW, ..Shared::default() };
        shared.jobs = states.iter().map(one).collect();
        headline(&shared).calm
    }

    #[test]
    fn what_is_over_is_said_by_how_it_ended() {
        use JobState::{Cancelled, Cancelling, Failed, Finished};
        assert_eq!(calm(&[Cancelled]), "Nothing runs: 1 job cancelled.");
        assert_eq!(calm(&[Finished, Cancelled, Finished]), "Nothing runs: 2 jobs finished, 1 cancelled.");
        assert_eq!(calm(&[Failed]), "Nothing runs.");
        assert_eq!(calm(&[Cancelling, Finished]), "1 is being cancelled.");
    }
}

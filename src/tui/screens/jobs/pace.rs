//! How far a job is, and how long it will still take.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::jobs::{JobState, JobSummary};

/// Seconds since the epoch.
pub fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Remaining seconds of a running job: its own word, else from the steps so far. The one answer, wherever it is shown.
pub fn remaining(job: &JobSummary, now: f64) -> Option<f64> {
    if job.state != JobState::Running {
        return None;
    }
    if job.figures.left.is_some() {
        return job.figures.left;
    }
    let elapsed = now - seconds(job.started?);
    let (done, all) = (job.step as f64, job.steps as f64);
    (done > 0.0 && all >= done && elapsed > 0.0).then(|| elapsed * (all - done) / done)
}

/// Share done, 0..=1; never 1 before it has ended.
pub fn share(job: &JobSummary) -> Option<f64> {
    if job.state == JobState::Finished {
        return Some(1.0);
    }
    let most = if job.state.is_over() { 1.0 } else { 0.99 };
    (job.steps > 0).then(|| (job.step as f64 / job.steps as f64).min(most))
}

/// Seconds until those of several jobs that run or wait will be done, by as many at once as run now. What was cancelled or
/// has failed will take none. Nothing unless one of them runs and the time that one takes is known: as a rule, of those
/// that run and have finished, whenever that was.
pub fn remaining_of_all<'a>(jobs: impl Iterator<Item = &'a JobSummary> + Clone, now: f64) -> Option<f64> {
    let running = jobs.clone().filter(|job| job.state == JobState::Running);
    let at_once = running.clone().count();
    if at_once == 0 {
        return None;
    }
    let open = |job: &JobSummary| 1.0 - share(job).unwrap_or(0.0);
    let whole = |job: &JobSummary| match job.state {
        JobState::Running => Some(remaining(job, now)? / open(job)),
        JobState::Finished => Some(seconds(job.figures.ended?) - seconds(job.started?)),
        JobState::Queued | JobState::Cancelling | JobState::Cancelled | JobState::Failed => None,
    };
    let mut times: Vec<f64> =
        jobs.clone().filter_map(whole).filter(|time| time.is_finite() && *time >= 0.0).collect();
    // The median: one that was resumed after a day lasted a day.
    let middle = times.len() / 2;
    if times.is_empty() {
        return None;
    }
    let usual = *times.select_nth_unstable_by(middle, f64::total_cmp).1;
    let left = |job: &JobSummary| remaining(job, now).unwrap_or(usual * open(job));
    let longest = running.clone().map(left).fold(0.0, f64::max);
    let waiting = jobs.filter(|job| job.state == JobState::Queued).map(|job| usual * open(job));
    let work: f64 = running.map(left).chain(waiting).sum();
    Some((work / at_once as f64).max(longest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::jobs::Figures;
    use crate::tui::fixtures;

    fn job(state: JobState, step: usize, left: Option<f64>, lasted: Option<[u64; 2]>) -> JobSummary {
        let time = |at| UNIX_EPOCH + Duration::from_secs(at);
        let started = lasted.map(|[from, _]| time(from));
        let figures = Figures { left, ended: lasted.map(|[_, to]| time(to)), ..Figures::default() };
        JobSummary { state, step, steps: 100, started, figures, ..fixtures::jobs().remove(1) }
    }

    #[test]
    fn the_time_left_for_several_is_that_of_those_that_will_run() {
        use JobState::{Cancelled, Failed, Finished, Queued, Running};
        let left = |jobs: &[JobSummary]| remaining_of_all(jobs.iter(), 100_000.0);
        // One is half done with 50 s to go, three wait: 350 s one by one.
        let mut jobs = vec![job(Running, 50, Some(50.0), None)];
        jobs.extend((0..3).map(|_| job(Queued, 0, None, None)));
        assert_eq!(left(&jobs), Some(350.0));
        // What will never run takes no time, and neither does what lies between yesterday's jobs and today's.
        jobs.extend((0..20).map(|at| job(if at < 10 { Cancelled } else { Failed }, 0, None, None)));
        jobs.push(job(Finished, 100, None, Some([0, 100])));
        assert_eq!(left(&jobs), Some(350.0));
        // Two at once take half of the time, and no less than the longest of them.
        jobs.push(job(Running, 50, Some(50.0), None));
        assert_eq!(left(&jobs), Some(200.0));
        let two = [job(Running, 50, Some(50.0), None), job(Running, 10, Some(90.0), None)];
        assert_eq!(left(&two), Some(90.0));
        // Before its first step, one takes what those before it took; without any, nobody knows.
        let first = job(Running, 0, None, None);
        assert_eq!(left(&[first.clone(), job(Finished, 100, None, Some([500, 560]))]), Some(60.0));
        assert_eq!(left(&[JobSummary { started: None, ..first }]), None);
        assert_eq!(left(&[job(Queued, 0, None, None)]), None);
    }
}

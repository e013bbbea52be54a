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

//! What the Jobs tab knows: the cursor, the details of one job, what was asked.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::chooser::Chooser;
use crate::jobs::{JobDetail, JobState, JobSummary};
use crate::tui::{Effect, JobsEffect, List, Shared};

/// State of the Jobs tab.
#[derive(Debug, Default)]
pub struct JobsScreen {
    pub(super) list: List,
    /// The job under the cursor, so that new jobs do not move it.
    pub(super) selected: Option<String>,
    pub(super) detail: Option<Arc<JobDetail>>,
    /// Jobs were listed at least once.
    pub(super) listed: bool,
    /// The job that `x` asked about.
    pub(super) confirming: Option<String>,
    /// What to start is being chosen.
    pub(super) choosing: Option<Chooser>,
    /// The details have the focus.
    pub(super) reading: bool,
    /// Lines scrolled back from the end of the log.
    pub(super) back: usize,
    /// Furthest useful scroll, known once drawn.
    pub(super) back_end: Cell<usize>,
}

impl JobsScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn job<'a>(&self, shared: &'a Shared) -> Option<&'a JobSummary> {
        shared.jobs.get(self.list.cursor())
    }

    /// The details of the job under the cursor, once they are here.
    pub(super) fn detail(&self) -> Option<&JobDetail> {
        self.detail.as_deref().filter(|detail| Some(&detail.summary.id) == self.selected.as_ref())
    }

    /// Follows the job under the cursor.
    pub(super) fn follow_cursor(&mut self, shared: &Shared) -> Vec<Effect> {
        let id = self.job(shared).map(|job| job.id.clone());
        if id == self.selected {
            return Vec::new();
        }
        self.selected.clone_from(&id);
        self.back = 0;
        vec![Effect::Jobs(JobsEffect::Watch { id })]
    }

    /// Takes another list, the cursor staying on its job.
    pub(super) fn take_list(&mut self, jobs: &[JobSummary]) {
        self.listed = true;
        let kept = self.selected.as_ref().and_then(|id| jobs.iter().position(|job| job.id == *id));
        self.list.select(kept.unwrap_or(self.list.cursor()), jobs.len());
        let asked = self.confirming.as_ref();
        if asked.is_some_and(|id| !jobs.iter().any(|job| job.id == *id && can_cancel(job))) {
            self.confirming = None;
        }
    }

    /// Selects a job that was started just now.
    pub(super) fn select_new(&mut self, id: &str, shared: &Shared) -> Vec<Effect> {
        // It will be first in the next list.
        self.selected = Some(id.to_string());
        self.list.select(0, shared.jobs.len());
        self.reading = false;
        self.back = 0;
        vec![Effect::Jobs(JobsEffect::Watch { id: Some(id.to_string()) })]
    }
}

/// Whether a job can be cancelled.
pub fn can_cancel(job: &JobSummary) -> bool {
    matches!(job.state, JobState::Queued | JobState::Running)
}

/// Seconds since the epoch.
pub fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Remaining seconds of a running job: its own word, else from the steps so far.
pub fn remaining(job: &JobSummary, detail: Option<&JobDetail>, now: f64) -> Option<f64> {
    if job.state != JobState::Running {
        return None;
    }
    if let Some(eta) = detail.and_then(|detail| detail.progress.eta_seconds) {
        return Some(eta);
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
    (job.steps > 0).then(|| (job.step as f64 / job.steps as f64).min(0.99))
}

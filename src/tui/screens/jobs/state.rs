//! What the Jobs tab knows: the cursor, the details of one job, what was asked.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::chooser::Chooser;
use crate::jobs::kinds::Made;
use crate::jobs::{JobDetail, JobState, JobSummary};
use crate::tui::keymap::Motion;
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
    pub(super) scroll: Scroll,
    /// A job that was started just now and is not in the list yet.
    pub(super) awaited: Option<String>,
}

/// Which part of the details is shown.
#[derive(Debug, Default)]
pub struct Scroll {
    /// First line shown; `None` shows what matters most, which is the end of a log.
    pub first: Option<usize>,
    /// First line shown when nobody scrolls, and the last useful one; known once drawn.
    pub usual: Cell<usize>,
    pub end: Cell<usize>,
}

impl Scroll {
    /// The first line to show of a text.
    pub fn first(&self, usual: usize, end: usize) -> usize {
        self.usual.set(usual);
        self.end.set(end);
        self.first.unwrap_or(usual).min(end)
    }

    /// Scrolls.
    pub fn go(&mut self, motion: Motion) {
        let (usual, end) = (self.usual.get(), self.end.get());
        let to = motion.scroll(self.first.unwrap_or(usual).min(end), end);
        // At the end of a log, what is written next shows, too.
        self.first = Some(to).filter(|&to| to != usual);
    }
}

impl JobsScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    /// The selected job; `None` also while one that was started just now is not in the list.
    pub(super) fn job<'a>(&self, shared: &'a Shared) -> Option<&'a JobSummary> {
        if self.awaited.is_some() { None } else { shared.jobs.get(self.list.cursor()) }
    }

    /// The details of the job under the cursor, once they are here.
    pub(super) fn detail(&self) -> Option<&JobDetail> {
        self.detail.as_deref().filter(|detail| Some(&detail.summary.id) == self.selected.as_ref())
    }

    /// What the selected job made.
    pub(super) fn made(&self) -> Option<Made> {
        self.detail()?.outcome.as_ref()?.as_ref().ok()?.findings().made
    }

    /// Follows the job under the cursor.
    pub(super) fn follow_cursor(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.awaited.is_some() {
            return Vec::new();
        }
        let id = self.job(shared).map(|job| job.id.clone());
        if id == self.selected {
            return Vec::new();
        }
        self.selected.clone_from(&id);
        self.scroll.first = None;
        vec![Effect::Jobs(JobsEffect::Watch { id })]
    }

    /// Takes another list, the cursor staying on its job.
    pub(super) fn take_list(&mut self, jobs: &[JobSummary]) {
        self.listed = true;
        let kept = self.selected.as_ref().and_then(|id| jobs.iter().position(|job| job.id == *id));
        self.awaited.take_if(|_| kept.is_some());
        self.list.select(kept.unwrap_or(self.list.cursor()), jobs.len());
        let asked = self.confirming.as_ref();
        if asked.is_some_and(|id| !jobs.iter().any(|job| job.id == *id && can_cancel(job))) {
            self.confirming = None;
        }
    }

    /// Selects a job, which may have been started just now.
    pub(super) fn select_job(&mut self, id: &str, shared: &Shared) -> Vec<Effect> {
        self.selected = Some(id.to_string());
        // The list that has it may have come already; else it will be the first of the next one.
        let row = shared.jobs.iter().position(|job| job.id == id);
        self.awaited = row.is_none().then(|| id.to_string());
        self.list.select(row.unwrap_or(0), shared.jobs.len());
        self.reading = false;
        self.scroll.first = None;
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

//! What the Jobs tab knows: the cursor, the details of one job, what was asked.

use std::cell::Cell;
use std::sync::Arc;

use super::chooser::Chooser;
use super::groups::{Group, Row, Rows};
use crate::jobs::kinds::Made;
use crate::jobs::{JobDetail, JobState, JobSummary};
use crate::tui::keymap::Motion;
use crate::tui::{Effect, JobsEffect, List, Shared};

/// State of the Jobs tab.
#[derive(Debug, Default)]
pub struct JobsScreen {
    pub(super) list: List,
    /// The jobs and groups as rows.
    pub(super) rows: Rows,
    /// The job or group under the cursor, so that new jobs do not move it.
    pub(super) selected: Option<String>,
    pub(super) detail: Option<Arc<JobDetail>>,
    /// Jobs were listed at least once.
    pub(super) listed: bool,
    /// The job or group that `x` asked about.
    pub(super) confirming: Option<Asked>,
    /// What to start is being chosen.
    pub(super) choosing: Option<Chooser>,
    /// The details have the focus.
    pub(super) reading: bool,
    pub(super) scroll: Scroll,
    /// A job that was started just now and is not in the list yet.
    pub(super) awaited: Option<String>,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A job.
    Job(String),
    /// A group, by its name.
    Group(String),
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
        if self.awaited.is_some() { None } else { shared.jobs.get(self.rows.job(self.list.cursor())?) }
    }

    /// The selected group of jobs.
    pub(super) fn group(&self) -> Option<&Group> {
        if self.awaited.is_some() { None } else { self.rows.group(self.list.cursor()) }
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
        let selected = id.clone().or_else(|| self.group().map(|group| group_name(&group.id)));
        if selected == self.selected {
            return Vec::new();
        }
        self.selected = selected;
        self.scroll.first = None;
        vec![Effect::Jobs(JobsEffect::Watch { id })]
    }

    /// Takes another list, the cursor staying on its job or group.
    pub(super) fn take_list(&mut self, jobs: &[JobSummary]) {
        self.listed = true;
        self.rows.arrange(jobs);
        let awaited = self.awaited.clone().and_then(|id| self.rows.find(&id, jobs));
        let kept = awaited.or_else(|| {
            let selected = self.selected.as_ref()?;
            let of_job = |row: &Row| match row {
                Row::Job { at, .. } => jobs.get(*at).is_some_and(|job| job.id == *selected),
                Row::Group(number) => {
                    self.rows.groups.get(*number).is_some_and(|group| group_name(&group.id) == *selected)
                }
            };
            self.rows.rows.iter().position(of_job)
        });
        self.awaited.take_if(|_| kept.is_some());
        self.list.select(kept.unwrap_or(self.list.cursor()), self.rows.rows.len());
        let still = |asked: &Asked| match asked {
            Asked::Job(id) => jobs.iter().any(|job| job.id == *id && can_cancel(job)),
            Asked::Group(id) => {
                self.rows.groups.iter().any(|group| group.id == *id && !group.state().is_over())
            }
        };
        if self.confirming.as_ref().is_some_and(|asked| !still(asked)) {
            self.confirming = None;
        }
    }

    /// Selects a job, which may have been started just now.
    pub(super) fn select_job(&mut self, id: &str, shared: &Shared) -> Vec<Effect> {
        self.selected = Some(id.to_string());
        // The list that has it may have come already; else it will be the first of the next one.
        let row = self.rows.find(id, &shared.jobs);
        self.awaited = row.is_none().then(|| id.to_string());
        self.list.select(row.unwrap_or(0), self.rows.rows.len());
        self.reading = false;
        self.scroll.first = None;
        vec![Effect::Jobs(JobsEffect::Watch { id: Some(id.to_string()) })]
    }

    /// Opens the selected group, or closes it.
    pub(super) fn toggle_group(&mut self, id: &str, shared: &Shared) -> Vec<Effect> {
        self.rows.toggle(id, &shared.jobs);
        let row = self.rows.find_group(id).unwrap_or(0);
        self.list.select(row, self.rows.rows.len());
        self.follow_cursor(shared)
    }
}

/// How a selected group is remembered: no job has such a name.
fn group_name(id: &str) -> String {
    format!("group {id}")
}

/// Whether a job can be cancelled.
pub fn can_cancel(job: &JobSummary) -> bool {
    matches!(job.state, JobState::Queued | JobState::Running)
}

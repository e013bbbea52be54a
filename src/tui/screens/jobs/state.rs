//! What the Jobs tab knows: the cursor, the details of one job, what was asked.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::chooser::Chooser;
use super::curve::spread;
use super::groups::{Group, Row, Rows};
use super::plot::{Plot, PlotView, Series};
use crate::jobs::kinds::{Made, Next};
use crate::jobs::{JobDetail, JobState, JobSummary, Progress};
use crate::tui::cancelling::Wish;
use crate::tui::keymap::Motion;
use crate::tui::{Effect, JobsEffect, List, MachineView, Shared, TextField};

/// Curves that are laid over each other: as many as there are colours.
const CURVES: usize = 12;

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
    /// What is typed to find jobs.
    pub(super) filter: TextField,
    pub(super) filtering: bool,
    /// Jobs that are marked, whose curves are laid over each other.
    pub(super) marked: BTreeSet<String>,
    /// The machine, as far as it is known.
    pub(super) machine: Option<Arc<MachineView>>,
    /// How curves are shown.
    pub(super) plot: Plot,
    /// Ids and names of the jobs whose curves were asked for.
    asked: Vec<(String, String)>,
    /// What came of that, by job.
    curves: HashMap<String, Arc<Progress>>,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What would be done.
    pub wish: Wish,
    /// With what.
    pub of: Of,
}

/// A job or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// A job.
    Job(String),
    /// A group, by its name.
    Group(String),
}

impl Asked {
    /// Whether it can be done with a job.
    pub fn fits(&self, job: &JobSummary) -> bool {
        match (self.wish, &self.of) {
            (Wish::Cancel, Of::Job(_)) => can_cancel(job),
            (Wish::Cancel, Of::Group(_)) => !job.state.is_over(),
            (Wish::Remove, _) => job.state.is_over(),
        }
    }
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

    /// What can be done once the selected job has ended.
    pub(super) fn next(&self) -> Vec<Next> {
        let detail = self.detail().filter(|detail| detail.summary.state.is_over());
        let report =
            detail.and_then(|detail| detail.outcome.as_ref()).and_then(|outcome| outcome.as_ref().ok());
        detail.and_then(|detail| detail.job.as_ref()).map_or_else(Vec::new, |job| job.next(report))
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
        let mut effects = Vec::new();
        if selected != self.selected {
            self.selected = selected;
            self.scroll.first = None;
            effects.push(Effect::Jobs(JobsEffect::Watch { id }));
        }
        effects.extend(self.ask_curves(shared));
        effects
    }

    /// The jobs whose curves are laid over each other: those that are marked, else those of the selected group. Of
    /// many, those at even distances from the best to the worst.
    fn overlaid<'a>(&self, shared: &'a Shared) -> Vec<&'a JobSummary> {
        let has_curve =
            |job: &&JobSummary| job.figures.loss.is_some() || job.figures.validation_loss.is_some();
        let mut jobs: Vec<&JobSummary> = if self.marked.is_empty() {
            let group = self.group().into_iter().flat_map(|group| &group.jobs);
            group.filter_map(|at| shared.jobs.get(*at)).filter(has_curve).collect()
        } else {
            let marked = shared.jobs.iter().filter(|job| self.marked.contains(&job.id));
            marked.filter(has_curve).collect()
        };
        if jobs.len() <= CURVES {
            return jobs;
        }
        let rank = |job: &JobSummary| {
            let of = &job.figures;
            of.measure.map(|measure| measure.rank()).or(of.validation_loss).or(of.loss).unwrap_or(f64::MAX)
        };
        jobs.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        spread(jobs.len(), CURVES).into_iter().filter_map(|at| jobs.get(at).copied()).collect()
    }

    /// Asks for the curves that are to be laid over each other, where they are others than before.
    pub(super) fn ask_curves(&mut self, shared: &Shared) -> Option<Effect> {
        let asked: Vec<(String, String)> =
            self.overlaid(shared).into_iter().map(|job| (job.id.clone(), job.name.clone())).collect();
        if asked == self.asked {
            return None;
        }
        let ids: Vec<String> = asked.iter().map(|(id, _)| id.clone()).collect();
        self.curves.retain(|id, _| ids.contains(id));
        self.asked = asked;
        Some(Effect::Jobs(JobsEffect::Curves { ids }))
    }

    /// Takes curves that were asked for.
    pub(super) fn take_curves(&mut self, curves: &[(String, Arc<Progress>)]) {
        let wanted = curves.iter().filter(|(id, _)| self.asked.iter().any(|(asked, _)| asked == id));
        self.curves.extend(wanted.cloned());
    }

    /// The curves to be drawn: those that are laid over each other, else those of the selected job.
    pub(super) fn plot_view<'a>(&'a self, shared: &'a Shared) -> PlotView<'a> {
        let overlaid = !self.marked.is_empty() || self.group().is_some();
        if !overlaid {
            let series = self.detail().map(|of| Series { name: &of.summary.name, progress: &of.progress });
            let steps = self.job(shared).map_or(0, |job| job.steps);
            return PlotView {
                plot: &self.plot,
                series: series.into_iter().collect(),
                overlaid,
                title: String::new(),
                steps,
            };
        }
        let series: Vec<Series> = self
            .asked
            .iter()
            .filter_map(|(id, name)| Some(Series { name, progress: self.curves.get(id)? }))
            .collect();
        let all = if self.marked.is_empty() {
            self.group().map_or(0, |group| group.jobs.len())
        } else {
            self.marked.len()
        };
        let what = if self.marked.is_empty() { "of the group" } else { "marked" };
        let shown = if series.len() < all { format!("{} of ", series.len()) } else { String::new() };
        PlotView {
            plot: &self.plot,
            series,
            overlaid,
            title: format!("Curves  {shown}{all} {what}"),
            steps: 0,
        }
    }

    /// Marks the selected job, or all jobs of the selected group; takes the marks away where they are.
    pub(super) fn mark(&mut self, shared: &Shared) {
        let group =
            self.group().into_iter().flat_map(|group| &group.jobs).filter_map(|at| shared.jobs.get(*at));
        let ids: Vec<String> = group.chain(self.job(shared)).map(|job| job.id.clone()).collect();
        let all = ids.iter().all(|id| self.marked.contains(id));
        for id in ids {
            if all {
                self.marked.remove(&id);
            } else {
                self.marked.insert(id);
            }
        }
    }

    /// Whether a job is marked.
    pub(super) fn is_marked(&self, job: &JobSummary) -> bool {
        self.marked.contains(&job.id)
    }

    /// Shows the jobs that have the words typed.
    pub(super) fn set_filter(&mut self, shared: &Shared) -> Vec<Effect> {
        self.rows.filter(&self.filter.text(), &shared.jobs);
        self.find_cursor(&shared.jobs);
        self.follow_cursor(shared)
    }

    /// Orders the list in the next way.
    pub(super) fn reorder(&mut self, shared: &Shared) -> Vec<Effect> {
        self.rows.order = (self.rows.order + 1) % super::order::ORDERS.len();
        self.rows.arrange(&shared.jobs);
        // What the order brings up is what one wants to see.
        self.list.select(0, self.rows.rows.len());
        self.follow_cursor(shared)
    }

    /// Puts the cursor on the selected job or group, where it is now.
    fn find_cursor(&mut self, jobs: &[JobSummary]) {
        let row = self.selected_row(jobs);
        self.list.select(row.unwrap_or(self.list.cursor()), self.rows.rows.len());
    }

    fn selected_row(&self, jobs: &[JobSummary]) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        let of_job = |row: &Row| match row {
            Row::Job { at, .. } => jobs.get(*at).is_some_and(|job| job.id == *selected),
            Row::Group(number) => {
                self.rows.groups.get(*number).is_some_and(|group| group_name(&group.id) == *selected)
            }
        };
        self.rows.rows.iter().position(of_job)
    }

    /// Takes another list, the cursor staying on its job or group.
    pub(super) fn take_list(&mut self, jobs: &[JobSummary]) {
        self.listed = true;
        self.rows.arrange(jobs);
        if !self.marked.is_empty() {
            let there: HashSet<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
            self.marked.retain(|id| there.contains(id.as_str()));
        }
        let awaited = self.awaited.clone().and_then(|id| self.rows.find(&id, jobs));
        let kept = awaited.or_else(|| self.selected_row(jobs));
        self.awaited.take_if(|_| kept.is_some());
        self.list.select(kept.unwrap_or(self.list.cursor()), self.rows.rows.len());
        if self.confirming.as_ref().is_some_and(|asked| self.asked_about(asked, jobs).is_empty()) {
            self.confirming = None;
        }
    }

    /// The jobs that a question is about, as far as it can be done with them.
    pub(super) fn asked_about<'a>(&self, asked: &Asked, jobs: &'a [JobSummary]) -> Vec<&'a JobSummary> {
        let all: Vec<&JobSummary> = match &asked.of {
            Of::Job(id) => jobs.iter().filter(|job| job.id == *id).collect(),
            Of::Group(id) => {
                let group = self.rows.groups.iter().find(|group| group.id == *id);
                group.into_iter().flat_map(|group| &group.jobs).filter_map(|at| jobs.get(*at)).collect()
            }
        };
        all.into_iter().filter(|job| asked.fits(job)).collect()
    }

    /// Selects a job, which may have been started just now.
    pub(super) fn select_job(&mut self, id: &str, shared: &Shared) -> Vec<Effect> {
        self.selected = Some(id.to_string());
        if self.rows.is_filtered() {
            // It may be one that the filter leaves out.
            (self.filtering, self.filter) = (false, TextField::default());
            self.rows.filter("", &shared.jobs);
        }
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

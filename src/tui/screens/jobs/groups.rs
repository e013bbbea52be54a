//! The rows of the list: jobs, and groups of jobs that were started together, which open into their jobs.

use std::collections::{HashMap, HashSet};

use super::pace::{seconds, share};
use crate::jobs::{JobState, JobSummary};
use crate::text::{counted, printable};
use crate::tui::text_width;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A job by its place in the list of all jobs; inside a group that is open, or alone.
    Job {
        /// Its place.
        at: usize,
        /// Below its group.
        inside: bool,
    },
    /// A group by its number.
    Group(usize),
}

/// Jobs that were started together, as one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The first of its jobs, which names it.
    pub id: String,
    /// Places of its jobs in the list of all: what has failed first, then what runs, waits, and is over.
    pub jobs: Vec<usize>,
    /// How many of its jobs are in each state, in the order of [`ORDER`].
    pub counts: [usize; ORDER.len()],
    /// What it is, in a few words.
    pub name: String,
    /// What its jobs are called.
    pub kind: &'static str,
    /// Share done, 0..=1.
    pub share: f64,
    /// When its first job began, in seconds since the epoch.
    pub started: Option<f64>,
}

/// States in the order in which the jobs of a group are listed.
pub const ORDER: [JobState; 6] = [
    JobState::Failed,
    JobState::Running,
    JobState::Cancelling,
    JobState::Queued,
    JobState::Cancelled,
    JobState::Finished,
];

fn place(state: JobState) -> usize {
    ORDER.iter().position(|other| *other == state).unwrap_or(0)
}

impl Group {
    /// How many of its jobs are in a state.
    pub fn count(&self, state: JobState) -> usize {
        self.counts.get(place(state)).copied().unwrap_or(0)
    }

    /// The state that stands for all: what is still under way, else what went wrong.
    pub fn state(&self) -> JobState {
        let under_way = [JobState::Running, JobState::Cancelling, JobState::Queued];
        let over = [JobState::Failed, JobState::Cancelled];
        let has = |state: &&JobState| self.count(**state) > 0;
        under_way.iter().chain(&over).find(has).copied().unwrap_or(JobState::Finished)
    }

    /// Seconds until the whole will be done, at the pace so far.
    pub fn remaining(&self, now: f64) -> Option<f64> {
        let elapsed = now - self.started?;
        let runs = self.count(JobState::Running) > 0;
        (runs && self.share > 0.0 && elapsed > 0.0).then(|| elapsed * (1.0 - self.share) / self.share)
    }

    /// `3 failed, 8 running, 245 queued`.
    pub fn words(&self) -> Vec<String> {
        let counts = ORDER.iter().zip(self.counts).filter(|(_, count)| *count > 0);
        counts.map(|(state, count)| format!("{count} {}", state.name())).collect()
    }

    fn new(id: String, mut jobs: Vec<usize>, all: &[JobSummary]) -> Self {
        let of = |at: &usize| all.get(*at);
        jobs.sort_by_key(|at| of(at).map(|job| (place(job.state), std::cmp::Reverse(*at))));
        let mut counts = [0; ORDER.len()];
        let (mut done, mut started) = (0.0, None::<f64>);
        for job in jobs.iter().filter_map(of) {
            if let Some(count) = counts.get_mut(place(job.state)) {
                *count += 1;
            }
            done += share(job).unwrap_or(0.0);
            if let Some(time) = job.started.map(seconds) {
                started = Some(started.map_or(time, |first| first.min(time)));
            }
        }
        let kind = jobs.first().and_then(of).map_or("?", JobSummary::kind_name);
        let share = done / jobs.len().max(1) as f64;
        let name = counted(jobs.len(), "job");
        Self { id, jobs, counts, name, kind, share, started }
    }
}

/// All rows, and what the columns have to know of all jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// From the top.
    pub rows: Vec<Row>,
    /// The groups, in the order of their rows.
    pub groups: Vec<Group>,
    /// Names of the groups that are open.
    open: HashSet<String>,
    /// Cells of the longest name and of the longest kind.
    pub widths: (usize, usize),
}

impl Rows {
    /// Arranges another list, what is open staying so.
    pub fn arrange(&mut self, all: &[JobSummary]) {
        let mut members: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, job) in all.iter().enumerate() {
            if let Some(group) = &job.group {
                members.entry(group).or_default().push(at);
            }
        }
        self.rows.clear();
        self.groups.clear();
        for (at, job) in all.iter().enumerate() {
            // One whose fellows are gone stands alone.
            let group =
                job.group.as_deref().filter(|group| members.get(group).is_none_or(|jobs| jobs.len() > 1));
            let Some(group) = group else {
                self.rows.push(Row::Job { at, inside: false });
                continue;
            };
            // The group stands where its newest job is.
            let Some(jobs) = members.remove(group) else { continue };
            let group = Group::new(group.to_string(), jobs, all);
            self.rows.push(Row::Group(self.groups.len()));
            if self.open.contains(&group.id) {
                self.rows.extend(group.jobs.iter().map(|&at| Row::Job { at, inside: true }));
            }
            self.groups.push(group);
        }
        let width = |text: &str| text_width::width(&printable(text));
        let names = all.iter().map(|job| width(&job.name) + 2 * usize::from(job.group.is_some()));
        let groups = self.groups.iter().map(|group| width(&group.name) + 2);
        let kinds = all.iter().map(|job| width(job.kind_name()));
        self.widths = (names.chain(groups).max().unwrap_or(0), kinds.max().unwrap_or(0));
    }

    /// The group of a row, if it is one.
    pub fn group(&self, row: usize) -> Option<&Group> {
        match self.rows.get(row)? {
            Row::Group(number) => self.groups.get(*number),
            Row::Job { .. } => None,
        }
    }

    /// The place of a row's job in the list of all.
    pub fn job(&self, row: usize) -> Option<usize> {
        match self.rows.get(row)? {
            Row::Job { at, .. } => Some(*at),
            Row::Group(_) => None,
        }
    }

    /// Whether a group is open.
    pub fn is_open(&self, group: &Group) -> bool {
        self.open.contains(&group.id)
    }

    /// Opens a group, or closes it.
    pub fn toggle(&mut self, id: &str, all: &[JobSummary]) {
        if !self.open.remove(id) {
            self.open.insert(id.into());
        }
        self.arrange(all);
    }

    /// The row of the job with this id, whose group is opened where that hides it.
    pub fn find(&mut self, id: &str, all: &[JobSummary]) -> Option<usize> {
        let at = all.iter().position(|job| job.id == id)?;
        let row = |rows: &Self| {
            rows.rows.iter().position(|row| matches!(row, Row::Job { at: other, .. } if *other == at))
        };
        if row(self).is_none()
            && let Some(group) = all.get(at).and_then(|job| job.group.clone())
        {
            self.open.insert(group);
            self.arrange(all);
        }
        row(self)
    }

    /// The row of a group.
    pub fn find_group(&self, id: &str) -> Option<usize> {
        let number = self.groups.iter().position(|group| group.id == id)?;
        self.rows.iter().position(|row| *row == Row::Group(number))
    }
}

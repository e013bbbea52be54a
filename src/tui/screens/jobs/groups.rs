//! The rows of the list: jobs, and groups of jobs that were started together, which open into their jobs.

use std::collections::{HashMap, HashSet};

use super::order::{ORDERS, Order, STATES, Standing, place};
use super::pace::{remaining_of_all, seconds, share};
use crate::jobs::kinds::Measure;
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

/// `398/640`; nothing before the first step.
pub fn steps_text(step: usize, steps: usize) -> String {
    match (step, steps) {
        (0, 0) => String::new(),
        (step, 0) => step.to_string(),
        (step, steps) => format!("{step}/{steps}"),
    }
}

/// Jobs that were started together, as one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The first of its jobs, which names it.
    pub id: String,
    /// Places of its jobs in the list of all: what has failed first, then what runs, waits, and has ended; or the best
    /// first.
    pub jobs: Vec<usize>,
    /// How many of its jobs are in each state, in the order of [`STATES`].
    pub counts: [usize; STATES.len()],
    /// How many of those that wait are held.
    pub held: usize,
    /// What it is, in a few words.
    pub name: String,
    /// What its jobs are called, [`MIXED`] where they differ.
    pub kind: &'static str,
    /// Share done, 0..=1.
    pub share: f64,
    /// When its first job began, in seconds since the epoch.
    pub started: Option<f64>,
    /// How the names of its jobs begin, where they have that in common.
    pub beginning: String,
    /// Places of the jobs that came out best and worst, and what came of them.
    pub extremes: Option<[(usize, Measure); 2]>,
}

impl Group {
    /// What stands in its row: `8 jobs lr_…`.
    pub fn title(&self) -> String {
        let beginning =
            if self.beginning.is_empty() { String::new() } else { format!(" {}…", self.beginning) };
        format!("{}{beginning}", self.name)
    }

    /// What came of the best of its jobs, and which that is.
    pub fn best_text(&self, all: &[JobSummary]) -> Option<String> {
        let [(at, best), _] = self.extremes?;
        Some(format!("best {} {}", best.number(), all.get(at)?.name))
    }

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

    /// [`Self::state`] in a word: what waits may be held.
    pub fn said(&self) -> &'static str {
        let state = self.state();
        let is_held = state == JobState::Queued && self.held == self.count(state);
        if is_held { HELD } else { state.name() }
    }

    /// Seconds until all that runs or waits will be done; `all` is the list of all jobs.
    pub fn remaining(&self, all: &[JobSummary], now: f64) -> Option<f64> {
        remaining_of_all(self.jobs.iter().filter_map(|at| all.get(*at)), now)
    }

    /// `3 failed, 8 running, 245 queued`.
    pub fn words(&self) -> Vec<String> {
        let counts = STATES.iter().zip(self.counts).filter(|(_, count)| *count > 0);
        counts.map(|(state, count)| format!("{count} {}", state.name())).collect()
    }

    fn new(id: String, mut jobs: Vec<usize>, of_all: usize, order: &Order, all: &[JobSummary]) -> Self {
        let of = |at: &usize| all.get(*at);
        let standing = |at: &usize| of(at).map_or(Standing::default(), Standing::of);
        // As they were started, where nothing else decides.
        jobs.sort_unstable_by(|a, b| b.cmp(a));
        jobs.sort_by(|a, b| (order.within)(&standing(a), &standing(b)));
        let mut counts = [0; STATES.len()];
        let (mut done, mut started, mut held) = (0.0, None::<f64>, 0);
        for job in jobs.iter().filter_map(of) {
            if let Some(count) = counts.get_mut(place(job.state)) {
                *count += 1;
            }
            held += usize::from(job.held);
            done += share(job).unwrap_or(0.0);
            if let Some(time) = job.started.map(seconds) {
                started = Some(started.map_or(time, |first| first.min(time)));
            }
        }
        let mut kinds = jobs.iter().filter_map(of).map(JobSummary::kind_name);
        let first = kinds.next().unwrap_or("?");
        let kind = if kinds.all(|kind| kind == first) { first } else { MIXED };
        let share = done / jobs.len().max(1) as f64;
        let name = match jobs.len() {
            some if some < of_all => format!("{some} found of {}", counted(of_all, "job")),
            some => counted(some, "job"),
        };
        let beginning = common_beginning(jobs.iter().filter_map(of).map(|job| job.name.as_str()));
        let extremes = extremes(jobs.iter().filter_map(|at| Some((*at, of(at)?.figures.measure?))));
        Self { id, jobs, counts, held, name, kind, share, started, beginning, extremes }
    }

    /// What orders it among jobs.
    fn standing(&self) -> Standing {
        let failed = self.count(JobState::Failed) > 0;
        let state = if failed { JobState::Failed } else { self.state() };
        Standing { state: Some(state), turn: None, measure: self.extremes.map(|[(_, best), _]| best) }
    }
}

/// The kind of a group whose jobs are of several, as those of a recipe.
const MIXED: &str = "several";

/// Said of a job that waits and is held.
pub const HELD: &str = "held";

/// Shortest beginning of names that says something.
const BEGINNING: usize = 3;

/// What all of these begin with, at least [`BEGINNING`] characters; else nothing.
fn common_beginning<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let Some(first) = names.next() else { return String::new() };
    let shared = names.fold(first.len(), |shared, name| {
        let same = first.bytes().zip(name.bytes()).take(shared).take_while(|(a, b)| a == b).count();
        (0..=same).rev().find(|&end| first.is_char_boundary(end)).unwrap_or(0)
    });
    let beginning = first.get(..shared).unwrap_or_default();
    if beginning.chars().count() < BEGINNING { String::new() } else { beginning.to_string() }
}

/// The best and the worst, by what the first of them measures; none where fewer than two have it.
fn extremes(all: impl Iterator<Item = (usize, Measure)>) -> Option<[(usize, Measure); 2]> {
    let all: Vec<(usize, Measure)> = all.collect();
    let name = all.first()?.1.name;
    let same = || all.iter().filter(|(_, measure)| measure.name == name);
    let rank = |a: &&(usize, Measure), b: &&(usize, Measure)| a.1.rank().total_cmp(&b.1.rank());
    let (best, worst) = (same().min_by(rank)?, same().max_by(rank)?);
    (best.0 != worst.0).then_some([*best, *worst])
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
    /// Which of [`ORDERS`].
    pub order: usize,
    /// Words that all shown jobs have, in small letters.
    words: Vec<String>,
    /// Jobs that have them.
    pub found: usize,
    /// What the columns have to know.
    pub needs: Needs,
}

/// What there is to be shown of the jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Cells of the longest name, kind and count of steps.
    pub name: usize,
    /// Of the longest kind.
    pub kind: usize,
    /// Of the longest count of steps.
    pub steps: usize,
    /// Of the longest result.
    pub result: usize,
    /// Of the longest result without its name.
    pub result_number: usize,
    /// Whether there is a training loss.
    pub loss: bool,
    /// Whether there is a validation loss.
    pub validation: bool,
    /// Whether there is a speed.
    pub speed: bool,
    /// Whether one is under way.
    pub live: bool,
}

impl Rows {
    /// Arranges another list, what is open staying so.
    pub fn arrange(&mut self, all: &[JobSummary]) {
        let order = self.order();
        let mut members: HashMap<&str, (usize, Vec<usize>)> = HashMap::new();
        let shown: Vec<usize> =
            (0..all.len()).filter(|&at| all.get(at).is_some_and(|job| self.shows(job))).collect();
        self.found = shown.len();
        for group in all.iter().filter_map(|job| job.group.as_deref()) {
            members.entry(group).or_default().0 += 1;
        }
        for &at in &shown {
            if let Some((_, jobs)) = all.get(at).and_then(|job| members.get_mut(job.group.as_deref()?)) {
                jobs.push(at);
            }
        }
        self.groups.clear();
        let mut units: Vec<(Standing, Row)> = Vec::new();
        for at in shown {
            let Some(job) = all.get(at) else { continue };
            // One whose fellows are gone stands alone.
            let group =
                job.group.as_deref().filter(|group| members.get(group).is_none_or(|(count, _)| *count > 1));
            let Some(group) = group else {
                units.push((Standing::of(job), Row::Job { at, inside: false }));
                continue;
            };
            // The group stands where its newest job is.
            let Some((count, jobs)) = members.remove(group) else { continue };
            let group = Group::new(group.to_string(), jobs, count, order, all);
            units.push((group.standing(), Row::Group(self.groups.len())));
            self.groups.push(group);
        }
        units.sort_by(|a, b| (order.compare)(&a.0, &b.0));
        self.rows.clear();
        for (_, row) in units {
            self.rows.push(row);
            if let Row::Group(number) = row
                && let Some(group) = self.groups.get(number).filter(|group| self.open.contains(&group.id))
            {
                self.rows.extend(group.jobs.iter().map(|&at| Row::Job { at, inside: true }));
            }
        }
        self.needs = self.needs(all);
    }

    /// How the rows are ordered.
    pub fn order(&self) -> &'static Order {
        ORDERS.get(self.order).unwrap_or(&ORDERS[0])
    }

    /// Shows only jobs whose name, kind, state or id has all words of a text.
    pub fn filter(&mut self, text: &str, all: &[JobSummary]) {
        self.words = text.split_whitespace().map(str::to_lowercase).collect();
        self.arrange(all);
    }

    /// Whether jobs are left out.
    pub fn is_filtered(&self) -> bool {
        !self.words.is_empty()
    }

    fn shows(&self, job: &JobSummary) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let text = format!("{} {} {} {}", job.name, job.kind_name(), job.state.name(), job.id).to_lowercase();
        self.words.iter().all(|word| text.contains(word))
    }

    fn needs(&self, all: &[JobSummary]) -> Needs {
        let width = |text: &str| text_width::width(&printable(text));
        let names = all.iter().map(|job| width(&job.name) + 2 * usize::from(job.group.is_some()));
        let groups = self.groups.iter().map(|group| width(&group.title()) + 2);
        let best =
            self.groups.iter().filter_map(|group| Some(width(&group.best_text(all)?))).max().unwrap_or(0);
        let kind = self.groups.iter().map(|group| width(group.kind)).max().unwrap_or(0);
        let most = |of: &dyn Fn(&JobSummary) -> usize| all.iter().map(of).max().unwrap_or(0);
        let has = |of: fn(&JobSummary) -> bool| all.iter().any(of);
        Needs {
            name: names.chain(groups).max().unwrap_or(0),
            kind: most(&|job| width(job.kind_name())).max(kind),
            steps: most(&|job| steps_text(job.step, job.steps).len()),
            result: most(&|job| job.figures.measure.map_or(0, |measure| width(&measure.text()))).max(best),
            result_number: most(&|job| job.figures.measure.map_or(0, |measure| measure.number().len())),
            loss: has(|job| job.figures.loss.is_some()),
            validation: has(|job| job.figures.validation_loss.is_some()),
            speed: has(|job| job.state == JobState::Running && job.figures.tokens_per_second.is_some()),
            live: has(|job| !job.state.is_over()),
        }
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

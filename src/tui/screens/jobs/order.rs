//! In which order jobs are listed.

use std::cmp::Ordering;

use crate::jobs::kinds::Measure;
use crate::jobs::{JobState, JobSummary};

/// States in the order of what deserves a look.
pub const STATES: [JobState; 6] = [
    JobState::Failed,
    JobState::Running,
    JobState::Cancelling,
    JobState::Queued,
    JobState::Cancelled,
    JobState::Finished,
];

/// The place of a state in [`STATES`].
pub fn place(state: JobState) -> usize {
    STATES.iter().position(|other| *other == state).unwrap_or(STATES.len())
}

/// What orders a job or a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    pub state: Option<JobState>,
    pub turn: Option<usize>,
    pub measure: Option<Measure>,
}

impl Standing {
    /// Of a job.
    pub fn of(job: &JobSummary) -> Self {
        Self { state: Some(job.state), turn: job.turn, measure: job.figures.measure }
    }
}

/// A way to order jobs; those that are equal stay newest first.
#[derive(Debug)]
pub struct Order {
    /// Behind the name of the list.
    pub name: &'static str,
    /// Of jobs and groups.
    pub compare: fn(&Standing, &Standing) -> Ordering,
    /// Of the jobs of a group.
    pub within: fn(&Standing, &Standing) -> Ordering,
}

/// All of them; the first is that of a new screen.
pub static ORDERS: &[Order] = &[
    Order { name: "newest first", compare: |_, _| Ordering::Equal, within: by_state },
    Order { name: "failed first, then running and waiting", compare: by_state, within: by_state },
    Order { name: "best result first", compare: by_result, within: by_result },
];

/// What has failed first; what waits in the order of its turn.
fn by_state(a: &Standing, b: &Standing) -> Ordering {
    let key = |of: &Standing| (of.state.map(place), of.turn.unwrap_or(usize::MAX));
    key(a).cmp(&key(b))
}

/// The best first, of each measure separately; what has no result last, in the order of its state.
fn by_result(a: &Standing, b: &Standing) -> Ordering {
    match (a.measure, b.measure) {
        (Some(one), Some(other)) => one.name.cmp(other.name).then(one.rank().total_cmp(&other.rank())),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => by_state(a, b),
    }
}

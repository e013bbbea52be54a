//! What is odd about a source: what a person should hear of it beside what was written.

use std::collections::{BTreeSet, HashSet};

use super::plan::FilePlan;
use super::sample::Kept;
use super::scan::Dropped;
use super::spec::ImportSpec;
use super::splits::Split;
use super::write::shown;
use crate::text::{counted, short};

/// Most warnings of one kind.
pub(super) const MAX_WARNINGS: usize = 10;
/// Most names of what is left out of turns that are remembered.
pub(super) const MAX_LEFT_OUT: usize = 10_000;
/// Tasks from which on it is odd that each has hardly a row.
const MANY_TASKS: usize = 20;

/// The first warnings of one kind, and how many more there are.
pub(super) fn first_few(mut all: Vec<String>) -> Vec<String> {
    let more = all.len().saturating_sub(MAX_WARNINGS);
    all.truncate(MAX_WARNINGS);
    if more > 0 {
        all.push(format!("{more} more as the last one"));
    }
    all
}

/// Files without a row.
pub(super) fn empty_files(plans: &[FilePlan], rows: &HashSet<*const FilePlan>) -> Vec<String> {
    let empty = plans.iter().filter(|plan| !rows.contains(&std::ptr::from_ref(*plan)));
    empty
        .map(|plan| {
            let path = shown(&plan.piece.path);
            format!("{path}: no row of it was read: it is empty, or --where lets none through")
        })
        .collect()
}

/// Columns that no file's plan reads, each once, and what of turns is left out.
pub(super) fn unread(plans: &[FilePlan], of_turns: BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = plans.iter().flat_map(|plan| &plan.unread).cloned().collect();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.extend(of_turns.into_iter().map(|name| format!("\"{name}\" of turns")));
    names
}

/// That a column nobody named for tasks seems to number rows.
pub(super) fn rows_as_tasks(
    spec: &ImportSpec,
    plans: &[FilePlan],
    tasks: usize,
    rows: u64,
) -> Option<String> {
    let found =
        plans.iter().find_map(|plan| plan.wanted.get(plan.task?)).filter(|_| spec.task_column.is_none())?;
    (tasks >= MANY_TASKS && rows < 2 * tasks as u64).then(|| {
        format!(
            "the column \"{}\" makes {tasks} tasks of {rows} rows: if it does not name tasks, say --task-column none, or \
             name another",
            short(found)
        )
    })
}

/// Rows of a task by the splits in which the source has them.
#[derive(Debug, Default)]
pub(super) struct Given {
    rows: [u64; 3],
    /// Of these, how many have no question or no answer.
    empty: [u64; 3],
}

impl Given {
    /// A row, and why it is dropped, where it is before anything is drawn.
    pub fn add(&mut self, split: Split, dropped: Option<Dropped>) {
        self.rows[split.index()] += 1;
        self.empty[split.index()] += u64::from(dropped == Some(Dropped::Empty));
    }

    /// What is odd about the splits of a task of which so many rows are kept.
    pub fn odd(&self, task: &str, counts: [u64; 3], kept: &Kept) -> Vec<String> {
        let mut odd = Vec::new();
        for split in Split::ALL {
            let (rows, name) = (self.rows[split.index()], split.name());
            if rows > 0 && rows == self.empty[split.index()] {
                let rows = counted(usize::try_from(rows).unwrap_or(usize::MAX), "row");
                let instead = match kept.is_derived(split) {
                    true => format!("; {name} rows are taken out of its training rows"),
                    false => String::new(),
                };
                odd.push(format!("the {name} split of the task \"{task}\" has no answers ({rows}){instead}"));
            }
        }
        let train = Split::Train.index();
        if counts[train] == 0 && self.rows[train] > self.empty[train] {
            odd.push(format!(
                "no training row of the task \"{task}\" is kept: their prompts are in its other splits, or they are no \
                 examples"
            ));
        }
        odd
    }
}

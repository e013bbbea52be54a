//! What an import did.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use super::scan::Dropped;

/// What an import did, or would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportReport {
    /// Folder of tasks.
    pub out: PathBuf,
    /// Whether it was written: not in a dry run.
    pub written: bool,
    /// Name of the dataset.
    pub name: String,
    /// Repository and revision, where that is known.
    pub origin: Option<String>,
    /// Licence of the data.
    pub licence: Option<String>,
    /// How rows got their splits.
    pub split_rule: String,
    /// Files that were read.
    pub files: usize,
    /// Rows of the source.
    pub rows: u64,
    /// Of these, how many `--where` left out.
    pub filtered: u64,
    /// How many are kept.
    pub kept: u64,
    /// How many were dropped, by reason.
    pub dropped: Counts,
    /// Every task.
    pub tasks: Vec<TaskReport>,
    /// Columns, and parts of turns, of which nothing is written.
    pub unread: Vec<String>,
    /// What is odd about the source.
    pub warnings: Vec<String>,
}

/// What became of one task.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TaskReport {
    /// Its folder's name.
    pub task: String,
    /// Its family.
    pub family: String,
    /// What the source calls it.
    pub name: String,
    /// Shape of its first row.
    pub shape: String,
    /// How its answers are scored.
    pub metric: String,
    /// How its rows name the right choice: `labels`, `texts`, `letters` or `numbers`; `None` without choices.
    pub answers: Option<String>,
    /// What all its answers are of, where they are few.
    pub options: Vec<String>,
    /// Training examples.
    pub train: u64,
    /// Validation examples.
    pub validation: u64,
    /// Test examples.
    pub test: u64,
    /// Rows that are not kept, by reason.
    pub dropped: Counts,
    /// Its first example.
    pub example: Option<Example>,
}

/// An example to look at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Example {
    /// What is asked.
    pub instruction: String,
    /// What it is asked about.
    pub input: String,
    /// The right answer.
    pub output: String,
}

/// How many rows were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Dropped::ALL.len()]);

impl Counts {
    /// One more.
    pub fn add(&mut self, why: Dropped) {
        self.0[why as usize] += 1;
    }

    /// So many for one reason.
    pub fn only(why: Dropped, count: u64) -> Self {
        let mut counts = Self::default();
        counts.0[why as usize] = count;
        counts
    }

    /// All of another's.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }

    /// How many for a reason.
    pub fn of(&self, why: Dropped) -> u64 {
        self.0[why as usize]
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// `3 duplicates, 2 empty`; `none`.
    pub fn words(&self) -> String {
        let some = Dropped::ALL.iter().filter(|(why, ..)| self.of(*why) > 0);
        let words: Vec<String> = some.map(|(why, _, words)| format!("{} {words}", self.of(*why))).collect();
        if words.is_empty() { "none".into() } else { words.join(", ") }
    }
}

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let map: Map<String, Value> =
            Dropped::ALL.iter().map(|(why, name, _)| ((*name).to_string(), self.of(*why).into())).collect();
        map.serialize(serializer)
    }
}

//! What an import is asked to do.

use std::path::PathBuf;

use super::sample::Caps;
use super::shapes::{Role, Shape};
use super::splits::{GIVEN, SplitRule};
use crate::scorers::Scorer;

/// What an import is asked to do.
#[derive(Clone, Debug)]
pub struct ImportSpec {
    /// File or folder of rows.
    pub source: PathBuf,
    /// Folder of tasks.
    pub out: PathBuf,
    /// Which columns have which roles; by the shape where there is none.
    pub fields: Vec<(Role, Vec<String>)>,
    /// Shape of the records; the first that fits, where none is named.
    pub shape: Option<Shape>,
    /// The number of the first choice; the shape's, where none is given.
    pub answer_base: Option<i64>,
    /// Column with the name of each row's task; `none` for no such column.
    pub task_column: Option<String>,
    /// Column with each row's split.
    pub split_column: Option<String>,
    /// Family of all tasks.
    pub family: Option<String>,
    /// Column with each row's family.
    pub family_column: Option<String>,
    /// Name of the dataset.
    pub name: Option<String>,
    /// Configurations of the dataset that are read; all where none is named.
    pub configs: Vec<String>,
    /// Most rows.
    pub caps: Caps,
    /// Of the sample.
    pub seed: u64,
    /// How rows get their splits.
    pub split_rule: SplitRule,
    /// Values that columns must have: one of those that are named for the same column.
    pub filters: Vec<(String, String)>,
    /// Licence of the data.
    pub licence: Option<String>,
    /// How answers are scored; by what they look like, where none is named.
    pub metric: Option<Scorer>,
    /// Whether the tasks are for evaluation alone.
    pub held_out: bool,
    /// Longest example, in characters.
    pub max_chars: usize,
    /// Drop rows that are no examples, in place of an error.
    pub skip_bad: bool,
    /// Keep rows that are there twice.
    pub keep_duplicates: bool,
    /// Write nothing.
    pub dry_run: bool,
}

impl Default for ImportSpec {
    fn default() -> Self {
        Self {
            source: PathBuf::new(),
            out: PathBuf::new(),
            fields: Vec::new(),
            shape: None,
            answer_base: None,
            task_column: None,
            split_column: None,
            family: None,
            family_column: None,
            name: None,
            configs: Vec::new(),
            caps: Caps { rows: 10_000, validation: 1000, test: 1000 },
            seed: 42,
            split_rule: GIVEN,
            filters: Vec::new(),
            licence: None,
            metric: None,
            held_out: false,
            max_chars: 20_000,
            skip_bad: false,
            keep_duplicates: false,
            dry_run: false,
        }
    }
}

/// The value of `task_column` that stands for no column.
pub const NO_COLUMN: &str = "none";

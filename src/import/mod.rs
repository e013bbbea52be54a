//! Tasks out of datasets as the hub, trainers and people keep them.
//!
//! Rows pass through twice and are never kept: the first pass finds which are kept, in memory that the caps bound
//! (`sample`), the second writes them. What a file is (`kinds`), where its place is in a dataset (`layouts`), what
//! its rows mean (`shapes`) and how they are split (`splits`) are tables.

mod answers;
mod cell;
#[cfg(all(test, target_os = "linux"))]
mod fault_tests;
mod guard;
mod kinds;
mod labels;
mod layouts;
mod names;
mod oddities;
mod plan;
mod record;
mod report;
mod rows;
mod run;
mod sample;
mod scan;
mod shapes;
mod spec;
mod splits;
mod write;

pub use kinds::FileKind;
pub use layouts::{Configuration, Layout, configurations_of};
pub use report::{Example, ImportReport, TaskReport};
pub use rows::{Row, files_of, rows};
pub use run::import;
pub use sample::Caps;
pub use scan::Dropped;
pub use shapes::{Role, Shape, shapes_table};
pub use spec::{ImportSpec, NO_COLUMN};
pub use splits::{Split, SplitRule};

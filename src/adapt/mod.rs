//! A new task with few examples, out of the experts of a library: what training begins with, and learning curves.

mod beginning;
mod bench;
mod curve;
mod report;
mod run;
mod settings;
mod spec;
mod starts;
mod tables;
mod work;

pub use report::{AdaptReport, AdaptRow, Part, Scores, Untrained};
pub use run::adapt;
pub use settings::ADAPTATION;
pub use spec::AdaptSpec;
pub use starts::{Chosen, Mixture, STARTS, Start, starts_table};
pub use tables::{HEADINGS, rows};

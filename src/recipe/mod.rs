//! Experiments: a recipe names tasks, trainings and an evaluation; it is laid out as a graph of jobs in one folder,
//! run, resumed, and summed up in a report.

mod built_in;
mod forecast;
mod graph;
mod laid_out;
mod methods;
mod read;
#[allow(clippy::module_inception, reason = "the type of a recipe is looked for by this name")]
mod recipe;
mod report;
mod sections;
mod settings;
mod tasks;
#[cfg(test)]
mod tests;

pub use built_in::{BUILT_IN, BuiltIn, reference as built_in_reference};
pub use forecast::{Forecast, NodeForecast, Speed, check_base, forecast, measure};
pub use graph::{Graph, MadeLibrary, Making, Node};
pub use laid_out::{LaidOut, Look, Standing};
pub use read::{open, parse};
pub use recipe::{Clusters, Controls, Private, Recipe, TaskLists};
pub use report::{Written, write_report};
pub use sections::{SECTIONS, Section, check, reference};
pub use settings::numbers;
pub use tasks::{Task, Tasks};

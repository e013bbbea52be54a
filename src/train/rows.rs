//! Several new experts as one piece of work, a row each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::one::{Adapted, OneOf};
use super::together::{TogetherEvent, train_together};
use super::{TRAINING, TrainEvent, TrainReport, TrainSpec};
use crate::settings::{Field, Kind, Setting, Whole};
use crate::text::counted;
use crate::{Cancel, Error, Result};

/// One new expert of several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainRow {
    /// Of the new expert.
    pub name: String,
    /// Experts whose tasks it learns, where it is made for a cluster.
    #[serde(default)]
    pub members: Vec<String>,
    /// Task folders or files that it learns from.
    pub data: Vec<PathBuf>,
    /// Training examples of all of them.
    pub examples: usize,
    /// Steps of its training.
    pub steps: usize,
    /// Once it is trained.
    pub report: Option<TrainReport>,
}

impl TrainRow {
    /// Its expert by name, with what came of the training once it is trained.
    pub fn trained(&self) -> (&str, Option<&TrainReport>) {
        (&self.name, self.report.as_ref())
    }
}

/// What the making of several experts reports.
#[derive(Clone, Debug, PartialEq)]
pub enum RowsEvent {
    /// What it is doing now.
    Stage(String),
    /// What will be trained; rows with a report are done.
    Rows(Vec<TrainRow>),
    /// The training of one row; several may be under way.
    Training {
        /// Number of the row.
        row: usize,
        /// What its training reports.
        event: TrainEvent,
    },
    /// The expert of a row is there, made now or by an earlier run.
    Made {
        /// Number of the row.
        row: usize,
    },
    /// A row gets no expert.
    LeftOut {
        /// Number of the row.
        row: usize,
    },
}

/// The training of one row.
#[derive(Debug)]
pub struct RowTraining {
    /// Of the row.
    pub number: usize,
    /// What to train.
    pub spec: TrainSpec,
    /// Where its state is kept.
    pub state: PathBuf,
    /// What it begins with, where it adapts a library to a new task.
    pub adapted: Option<Adapted>,
}

/// How many experts are trained at once, as a setting.
pub(super) const fn at_once<S>(field: Field<S, Option<usize>>) -> Setting<S> {
    Setting::new("at_once", Kind::OptionalWhole(field, Whole { low: 1, high: 4096 }))
        .flag("at-once", "Experts that are trained at once, in shared passes through the base model")
        .value("N")
        .unset("as many as make it faster and fit into memory")
        .form("At once", "experts; empty: as many as make it faster")
        .advanced()
        .decides_nothing()
}

/// Refuses what makes sense for the training of one expert only.
///
/// # Errors
/// A usage error for the first such setting that was changed.
pub fn refuse_single(training: &TrainSpec) -> Result<()> {
    let default = TrainSpec::default();
    match TRAINING.iter().find(|setting| setting.single && !setting.is_same(training, &default)) {
        Some(setting) => {
            Err(Error::usage(format!("--{} belongs to the training of one expert", setting.flag)))
        }
        None => Ok(()),
    }
}

/// Trains `all`, several at once. `made` takes each report and says what went wrong with that; `leave` says of a training
/// that failed whether it is left out instead.
///
/// # Errors
/// A raised `cancel`; trainings that failed, once all others are done.
pub fn train_rows(
    all: &[RowTraining],
    at_once: Option<usize>,
    made: &mut dyn FnMut(usize, TrainReport) -> Option<String>,
    leave: &mut dyn FnMut(usize, &Error) -> bool,
    events: &mut dyn FnMut(RowsEvent),
    cancel: &Cancel,
) -> Result<()> {
    cancel.check()?;
    let each: Vec<OneOf> = all
        .iter()
        .map(|row| OneOf { spec: &row.spec, state: Some(&row.state), adapted: row.adapted.as_ref() })
        .collect();
    let mut failed: Vec<(usize, Error)> = Vec::new();
    let mut hear = |event| match event {
        TogetherEvent::Training { row, event } => {
            events(RowsEvent::Training { row: all[row].number, event });
        }
        TogetherEvent::Over { row, outcome: Ok(report) } => {
            if let Some(problem) = made(all[row].number, report) {
                events(RowsEvent::Stage(problem));
            }
            events(RowsEvent::Made { row: all[row].number });
        }
        TogetherEvent::Over { row, outcome: Err(error) } if leave(row, &error) => {
            events(RowsEvent::Stage(format!("{} is left out: {error}", all[row].spec.name)));
            events(RowsEvent::LeftOut { row: all[row].number });
        }
        TogetherEvent::Over { row, outcome: Err(error) } => {
            events(RowsEvent::Stage(format!("{} failed: {error}", all[row].spec.name)));
            failed.push((row, error));
        }
    };
    train_together(&each, at_once, &mut hear, cancel)?;
    match failed.len() {
        0 => Ok(()),
        1 if all.len() == 1 => failed.pop().map_or(Ok(()), |(_, error)| Err(error)),
        _ => {
            const NAMED: usize = 3;
            let named = failed.iter().take(NAMED);
            let mut named: Vec<String> =
                named.map(|(row, error)| format!("{}: {error}", all[*row].spec.name)).collect();
            if failed.len() > NAMED {
                named.push(format!("and {} more", failed.len() - NAMED));
            }
            let (failed, all) = (failed.len(), counted(all.len(), "training"));
            Err(Error::msg(format!("{failed} of {all} failed: {}", named.join("; "))))
        }
    }
}

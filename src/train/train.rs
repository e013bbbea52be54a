//! One training, from the specification to the expert on disk.

use std::path::Path;

use super::one::OneOf;
use super::together::{TogetherEvent, train_together};
use super::{TrainEvent, TrainReport, TrainSpec};
use crate::{Cancel, Error, Result};

/// Trains an expert and writes it into the library.
///
/// The loss of a step is the mean over the output tokens of all its examples. With a file for its `state`, the
/// training resumes from what is there, saves now and then and when it is interrupted, and removes the file at
/// the end: the weights are those of a training that was never interrupted. Without, nothing is written before
/// the end, but for `spec.log`.
///
/// # Errors
/// Bad specification, data, state or base model; a name that exists; a run that diverges; a raised `cancel`.
pub fn train(
    spec: &TrainSpec,
    state: Option<&Path>,
    events: &mut dyn FnMut(TrainEvent),
    cancel: &Cancel,
) -> Result<TrainReport> {
    let mut made = Err(Error::msg("the training did not end"));
    let mut hear = |event| match event {
        TogetherEvent::Training { event, .. } => events(event),
        TogetherEvent::Over { outcome, .. } => made = outcome,
    };
    train_together(&[OneOf { spec, state, adapted: None }], Some(1), &mut hear, cancel)?;
    made
}

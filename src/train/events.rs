//! What a training reports while it runs.

use serde::{Deserialize, Serialize};

use crate::text::counted;

/// One step of the optimiser, or another unit of work, has finished. Losses are means per output token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Steps done.
    pub step: usize,
    /// Steps to do.
    pub steps: usize,
    /// Training loss of this step.
    pub loss: Option<f64>,
    /// With the last step, and with that of each epoch, unless more is to be validated than was learned since.
    pub validation_loss: Option<f64>,
    /// Of this step.
    pub learning_rate: Option<f64>,
    /// Forward and backward.
    pub tokens_per_second: Option<f64>,
    /// Estimated time left.
    pub eta_seconds: Option<f64>,
}

/// What a training reports.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// What it is doing now.
    Stage(String),
    /// How much of the base model's loss is measured.
    Measuring {
        /// Validation examples done.
        done: usize,
        /// Of how many.
        all: usize,
    },
    /// The next step is about to begin, after `step` that an earlier run has made.
    Started {
        /// Steps done before.
        step: usize,
        /// Steps to do.
        steps: usize,
        /// Loss of the base model alone, where there are validation examples.
        base_validation_loss: Option<f64>,
    },
    /// A step is done.
    Step(Step),
    /// It ends early, and its state could not be saved: why, and what a resumed run begins with.
    Unsaved(String),
}

impl TrainEvent {
    /// What it is doing, in words that change while it does it.
    pub fn doing(&self) -> Option<String> {
        match self {
            Self::Measuring { done, all } => {
                Some(format!("measuring the base model's loss: {done} of {}", counted(*all, "example")))
            }
            Self::Stage(_) | Self::Started { .. } | Self::Step(_) | Self::Unsaved(_) => None,
        }
    }

    /// The step that has finished: the base model's loss is that of step 0.
    pub fn step(&self) -> Option<Step> {
        match *self {
            Self::Step(step) => Some(step),
            Self::Started { step: 0, steps, base_validation_loss: Some(loss) } => {
                Some(Step { steps, validation_loss: Some(loss), ..Step::default() })
            }
            Self::Stage(_) | Self::Measuring { .. } | Self::Started { .. } | Self::Unsaved(_) => None,
        }
    }
}

//! What a training reports while it runs.

use serde::{Deserialize, Serialize};

/// One step of the optimiser, or another unit of work, is over. Losses are means per output token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    pub step: usize,
    pub steps: usize,
    pub loss: Option<f64>,
    /// With each epoch's last step and the last one.
    pub validation_loss: Option<f64>,
    pub learning_rate: Option<f64>,
    pub tokens_per_second: Option<f64>,
    pub eta_seconds: Option<f64>,
}

/// What a training reports.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// What it is doing now.
    Stage(String),
    /// The next step is about to begin, after `step` that an earlier run has made.
    Started {
        step: usize,
        steps: usize,
        base_validation_loss: Option<f64>,
    },
    Step(Step),
}

impl TrainEvent {
    /// The step that is over: the base model's loss is that of step 0.
    pub fn step(&self) -> Option<Step> {
        match *self {
            Self::Step(step) => Some(step),
            Self::Started { step: 0, steps, base_validation_loss: Some(loss) } => {
                Some(Step { steps, validation_loss: Some(loss), ..Step::default() })
            }
            Self::Stage(_) | Self::Started { .. } => None,
        }
    }
}

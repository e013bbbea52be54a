//! Progress lines that `train` and `train-clusters` share.

use std::time::Duration;

use crate::cli::output::Progress;
use crate::text::number;
use crate::train::{Step, TrainEvent};

/// Shows the events of a training, each line after `what`.
pub fn show(event: &TrainEvent, what: &str, progress: &mut Progress) {
    match event {
        TrainEvent::Stage(text) => progress.stage(&format!("{what}{text}")),
        TrainEvent::Started { step: 0, base_validation_loss: Some(loss), .. } => {
            progress.stage(&format!("{what}before the first step: validation loss {}", number(*loss, 3)));
        }
        TrainEvent::Started { .. } => {}
        TrainEvent::Measuring { .. } => {
            progress.update(&format!("{what}{}", event.doing().unwrap_or_default()));
        }
        TrainEvent::Step(Step {
            step, steps, loss, validation_loss, tokens_per_second, eta_seconds, ..
        }) => {
            let left = humantime::format_duration(Duration::from_secs(eta_seconds.unwrap_or(0.0) as u64));
            let loss = loss.unwrap_or(f64::NAN);
            let tokens_per_second = tokens_per_second.unwrap_or(0.0);
            let line = format!(
                "{what}step {step}/{steps}  loss {}  {tokens_per_second:.0} tokens/s  {left} left",
                number(loss, 3),
            );
            match validation_loss {
                Some(v) => progress.stage(&format!("{line}  validation {}", number(*v, 3))),
                None => progress.update(&line),
            }
        }
    }
}

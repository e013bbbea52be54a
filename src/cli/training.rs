//! Options and progress lines that `train` and `train-clusters` share.

use std::path::PathBuf;
use std::time::Duration;

use super::options::{RunArgs, parse_fraction, parse_non_negative, parse_positive};
use super::output::Progress;
use crate::train::{Schedule, TrainEvent, TrainSpec};

/// The defaults, of the command line as of all else.
fn d() -> TrainSpec {
    TrainSpec::default()
}

/// How an expert is trained.
#[derive(Clone, Debug, clap::Args)]
pub struct TrainingArgs {
    #[arg(long, default_value_t = d().rank as u32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub rank: u32,
    #[arg(long, default_value_t = d().alpha, value_parser = parse_positive, allow_hyphen_values = true)]
    pub alpha: f64,
    #[arg(long, default_value_t = d().dropout, value_parser = parse_fraction, allow_hyphen_values = true)]
    pub dropout: f64,
    /// Highest learning rate
    #[arg(long, default_value_t = d().learning_rate, value_parser = parse_positive, allow_hyphen_values = true)]
    pub lr: f64,
    /// What the rate does after the warm-up
    #[arg(long, value_enum, default_value_t = d().schedule)]
    pub schedule: Schedule,
    /// Share of the steps over which the rate rises from 0
    #[arg(long, default_value_t = d().warmup, value_name = "SHARE", value_parser = parse_fraction, allow_hyphen_values = true)]
    pub warmup: f64,
    /// Decoupled weight decay of AdamW
    #[arg(long, default_value_t = d().weight_decay, value_name = "W", value_parser = parse_non_negative, allow_hyphen_values = true)]
    pub weight_decay: f64,
    /// Scale each step's gradient down to this norm [default: leave it]
    #[arg(long, value_name = "NORM", value_parser = parse_positive, allow_hyphen_values = true)]
    pub clip: Option<f64>,
    /// Passes over the data [default: 1, or as many as --max-steps takes]
    #[arg(long, value_name = "N", value_parser = parse_positive, allow_hyphen_values = true)]
    pub epochs: Option<f64>,
    /// Stop after this many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_steps: Option<u64>,
    /// Examples that go through the model at once
    #[arg(long, default_value_t = d().batch as u32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch: u32,
    /// Batches a step: as a batch N times as large, in the memory of one
    #[arg(long, default_value_t = d().accumulate as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub accumulate: u32,
    /// Compute every block again in the backward pass: less memory, more time
    #[arg(long)]
    pub checkpointing: bool,
    /// Cut longer examples
    #[arg(long, default_value_t = d().max_length as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub max_length: u32,
    /// Put examples of similar length into one batch
    #[arg(long)]
    pub by_length: bool,
    /// Layers to adapt, by the last part of their path
    #[arg(long, value_delimiter = ',', default_values_t = d().targets, value_name = "NAMES")]
    pub targets: Vec<String>,
    /// Seed of the start, the order and the dropout
    #[arg(long, default_value_t = d().seed)]
    pub seed: u64,
    /// Base model: a .gguf file or a transformers folder [default: the library's]
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunArgs,
    /// Start it as a job and return at once
    #[arg(long)]
    pub background: bool,
    /// Save the job's state after every N steps [default: about once a minute]
    #[arg(long, value_name = "N", requires = "background", value_parser = clap::value_parser!(u64).range(1..))]
    pub checkpoint_every: Option<u64>,
}

impl TrainingArgs {
    /// The settings, without library, data and name.
    pub fn spec(&self) -> TrainSpec {
        TrainSpec {
            rank: self.rank as usize,
            alpha: self.alpha,
            dropout: self.dropout,
            learning_rate: self.lr,
            schedule: self.schedule,
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            clip: self.clip,
            epochs: self.epochs,
            max_steps: self.max_steps.map(|n| n as usize),
            batch: self.batch as usize,
            accumulate: self.accumulate as usize,
            checkpointing: self.checkpointing,
            max_length: self.max_length as usize,
            by_length: self.by_length,
            targets: self.targets.clone(),
            seed: self.seed,
            base: self.base.clone(),
            device: self.run.device.clone(),
            precision: self.run.precision.unwrap_or(d().precision),
            checkpoint_every: self.checkpoint_every.map(|n| n as usize),
            ..d()
        }
    }
}

/// Shows what a training tells, each line after `what`.
pub(super) fn show(event: &TrainEvent, what: &str, progress: &mut Progress) {
    match event {
        TrainEvent::Stage(text) => progress.stage(&format!("{what}{text}")),
        TrainEvent::Started { step: 0, base_validation_loss: Some(loss), .. } => {
            progress.stage(&format!("{what}before the first step: validation loss {loss:.3}"));
        }
        TrainEvent::Started { .. } => {}
        TrainEvent::Step { step, steps, loss, validation_loss, tokens_per_second, eta_seconds, .. } => {
            let left = humantime::format_duration(Duration::from_secs(*eta_seconds as u64));
            let line = format!(
                "{what}step {step}/{steps}  loss {loss:.3}  {tokens_per_second:.0} tokens/s  {left} left"
            );
            match validation_loss {
                Some(v) => progress.stage(&format!("{line}  validation {v:.3}")),
                None => progress.update(&line),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    #[test]
    fn without_options_an_expert_is_trained_by_the_defaults_of_all() {
        let command = TrainingArgs::augment_args(clap::Command::new("train"));
        let args = TrainingArgs::from_arg_matches(&command.get_matches_from(["train"])).unwrap();
        assert_eq!(args.spec(), TrainSpec::default());
    }
}

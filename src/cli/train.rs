//! `train`: one new expert from a dataset.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::options::{RunArgs, parse_positive};
use super::output::{Output, Skipped};
use crate::jobs::{JobSpec, Jobs};
use crate::library::{Library, check_new_name};
use crate::text::{counted, printable};
use crate::train::{self, TrainEvent, TrainReport, TrainSpec};
use crate::{Error, Result};

/// Train a new expert
#[derive(Clone, Debug, clap::Args)]
pub struct TrainArgs {
    /// Folder of adapters that gets the new expert
    pub library: PathBuf,
    /// Task folder or .jsonl file; several make a joint expert
    #[arg(long, required = true, value_name = "DIR_OR_FILE")]
    pub data: Vec<PathBuf>,
    /// Name of the new expert
    #[arg(long)]
    pub name: String,
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub rank: u32,
    #[arg(long, default_value_t = 8.0, value_parser = parse_positive, allow_hyphen_values = true)]
    pub alpha: f64,
    #[arg(long, default_value_t = 0.05, value_parser = super::options::parse_fraction, allow_hyphen_values = true)]
    pub dropout: f64,
    /// Highest learning rate
    #[arg(long, default_value_t = 1e-3, value_parser = parse_positive, allow_hyphen_values = true)]
    pub lr: f64,
    /// Passes over the data [default: 1, or as many as --max-steps takes]
    #[arg(long, value_name = "N", value_parser = parse_positive, allow_hyphen_values = true)]
    pub epochs: Option<f64>,
    /// Stop after this many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_steps: Option<u64>,
    /// Examples per step
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch: u32,
    /// Cut longer examples
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub max_length: u32,
    /// Layers to adapt, by the last part of their path
    #[arg(long, value_delimiter = ',', default_value = "q_proj,k_proj,v_proj,o_proj", value_name = "NAMES")]
    pub targets: Vec<String>,
    /// Seed of the start, the order and the dropout
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Adapter to start from
    #[arg(long, value_name = "ADAPTER")]
    pub init: Option<PathBuf>,
    /// Keep the order of the data
    #[arg(long)]
    pub no_shuffle: bool,
    /// Validation examples for a .jsonl file [default: 5 % of it]
    #[arg(long, value_name = "FILE")]
    pub validation: Option<PathBuf>,
    /// Write one JSON line per step
    #[arg(long, value_name = "FILE.jsonl")]
    pub log: Option<PathBuf>,
    /// Base model: a .gguf file or a transformers folder [default: the library's]
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunArgs,
    /// Start it as a job and return at once
    #[arg(long)]
    pub background: bool,
}

impl TrainArgs {
    fn spec(&self) -> TrainSpec {
        TrainSpec {
            library: self.library.clone(),
            data: self.data.clone(),
            name: self.name.clone(),
            rank: self.rank as usize,
            alpha: self.alpha,
            dropout: self.dropout,
            learning_rate: self.lr,
            epochs: self.epochs,
            max_steps: self.max_steps.map(|n| n as usize),
            batch: self.batch as usize,
            max_length: self.max_length as usize,
            targets: self.targets.clone(),
            seed: self.seed,
            init: self.init.clone(),
            shuffle: !self.no_shuffle,
            validation: self.validation.clone(),
            log: self.log.clone(),
            base: self.base.clone(),
            device: self.run.device.clone(),
        }
    }
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    report: TrainReport,
    skipped: Vec<Skipped>,
}

/// Runs the command.
pub fn run(args: &TrainArgs, output: &Output) -> Result<()> {
    if args.run.precision.is_some_and(|p| p != crate::model::Precision::F32) {
        return Err(Error::usage("training runs in f32: leave --precision out"));
    }
    if args.background {
        return background(args, output);
    }
    let mut progress = output.progress();
    let report = train::train(
        &args.spec(),
        &mut |event| match event {
            TrainEvent::Stage(text) => progress.stage(&text),
            TrainEvent::Started { base_validation_loss, .. } => {
                if let Some(loss) = base_validation_loss {
                    progress.stage(&format!("before the first step: validation loss {loss:.3}"));
                }
            }
            TrainEvent::Step {
                step, steps, loss, validation_loss, tokens_per_second, eta_seconds, ..
            } => {
                let left = humantime::format_duration(Duration::from_secs(eta_seconds as u64));
                let line = format!(
                    "step {step}/{steps}  loss {loss:.3}  {tokens_per_second:.0} tokens/s  {left} left"
                );
                match validation_loss {
                    Some(v) => progress.stage(&format!("{line}  validation {v:.3}")),
                    None => progress.update(&line),
                }
            }
        },
        output.cancel(),
    )?;
    drop(progress);
    if output.is_json() {
        let skipped = Skipped::of(&Library::open(&args.library)?);
        return output.document(&Document { report, skipped });
    }
    let of = |loss: Option<f64>| loss.map_or("–".to_string(), |v| format!("{v:.3}"));
    output.line(&format!(
        "{}: {} in {:.0} s at {:.0} tokens/s, training loss {:.3}, validation loss {} → {}",
        printable(&report.path.display().to_string()),
        counted(report.steps, "step"),
        report.seconds,
        report.tokens_per_second,
        report.train_loss,
        of(report.base_validation_loss),
        of(report.validation_loss),
    ))
}

/// Starts the training as a job, after the checks that take no time.
fn background(args: &TrainArgs, output: &Output) -> Result<()> {
    let spec = args.spec();
    check_new_name(&spec.library, &spec.name)?;
    for path in &spec.data {
        train::Dataset::load(path)?;
    }
    let library = Library::open(&spec.library)?;
    let job = Jobs::open(&library)?.start(&JobSpec::Train(spec))?;
    if output.is_json() {
        return output.document(&serde_json::json!({ "job": job, "skipped": Skipped::of(&library) }));
    }
    let path = args.library.display();
    output.line(&job)?;
    output.note(&format!("follow it with `lora-tui jobs {path} log {job} --follow`"));
    Ok(())
}

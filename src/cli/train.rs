//! `train`: one new expert from a dataset.

use std::path::PathBuf;

use super::options::{RunArgs, parse_positive};
use super::output::Output;
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
    #[arg(long, default_value_t = 8.0, value_parser = parse_positive)]
    pub alpha: f64,
    #[arg(long, default_value_t = 0.05, value_parser = super::options::parse_fraction)]
    pub dropout: f64,
    /// Highest learning rate
    #[arg(long, default_value_t = 1e-3, value_parser = parse_positive)]
    pub lr: f64,
    /// Passes over the data [default: 1, or as many as --max-steps takes]
    #[arg(long, value_name = "N", value_parser = parse_positive)]
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

/// Runs the command.
pub fn run(args: &TrainArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.library, "training is not part of this build"))
}

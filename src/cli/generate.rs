//! `generate`: text from the routed model, streamed.

use std::path::PathBuf;

use super::options::{BaseArgs, RouterArgs, parse_non_negative};
use super::output::Output;
use crate::{Error, Result};

/// Generate text with routed experts
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("text").required(true).args(["prompt", "tokens"])))]
pub struct GenerateArgs {
    /// Folder of adapters
    pub library: PathBuf,
    /// Prompt; fills the library's prompt template
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Take the prompt as it is, without the template
    #[arg(long, requires = "prompt")]
    pub raw: bool,
    /// Token ids instead of text
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    pub tokens: Vec<u32>,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub base: BaseArgs,
    /// Stop after this many tokens
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub max_tokens: usize,
    /// Seed of the sampling
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Sampling temperature, 0 = always the likeliest token
    #[arg(long, default_value_t = 0.0, value_name = "T", value_parser = parse_non_negative)]
    pub sample_temperature: f64,
}

/// Runs the command.
pub fn run(args: &GenerateArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.library, "generation is not part of this build"))
}

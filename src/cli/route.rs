//! `route`: which experts every token of a prompt uses, and the logits that come out.

use std::path::PathBuf;

use super::options::{BaseArgs, RouterArgs};
use super::output::Output;
use crate::{Error, Result};

/// Route a prompt: which experts every token uses in every module
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("text").required(true).args(["prompt", "tokens"])))]
pub struct RouteArgs {
    /// Folder of adapters
    pub library: PathBuf,
    /// Text to route; fills the library's prompt template
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
    /// Write `logits` and `weights.<module>` as safetensors
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &RouteArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.library, "routing is not part of this build"))
}

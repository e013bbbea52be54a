//! `eval`: methods × tasks.

use std::path::PathBuf;

use super::options::BaseArgs;
use super::output::Output;
use crate::{Error, Result};

/// Score methods on tasks
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    /// Folder of adapters
    pub library: PathBuf,
    /// Folder of tasks
    #[arg(long, value_name = "DIR")]
    pub tasks: PathBuf,
    /// Methods to compare [default: all that the library allows]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub methods: Vec<String>,
    #[command(flatten)]
    pub base: BaseArgs,
}

/// Runs the command.
pub fn run(args: &EvalArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.library, "evaluation is not part of this build"))
}

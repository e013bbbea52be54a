//! `prototypes`: the directions that Arrow compares tokens with.

use std::path::PathBuf;

use super::output::Output;
use crate::{Error, Result};

/// Write the experts' routing prototypes
#[derive(Clone, Debug, clap::Args)]
pub struct PrototypesArgs {
    /// Folder of adapters
    pub library: PathBuf,
    /// Write tensors `prototype.<module>` [experts, in] as safetensors
    #[arg(long, value_name = "FILE")]
    pub save: PathBuf,
}

/// Runs the command.
pub fn run(args: &PrototypesArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.library, "prototypes are not part of this build"))
}

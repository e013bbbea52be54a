//! `worker`: carries out one job; started by the tool itself.

use std::path::PathBuf;

use super::output::Output;
use crate::{Error, Result};

/// Carry out the job in a directory
#[derive(Clone, Debug, clap::Args)]
pub struct WorkerArgs {
    /// The job's directory
    pub job: PathBuf,
}

/// Runs the command.
pub fn run(args: &WorkerArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.job, "jobs are not part of this build"))
}

//! `worker`: carries out one job; started by the tool itself.

use std::path::PathBuf;

use super::output::Output;
use crate::Result;
use crate::jobs::JobState;

/// Carry out the job in a directory
#[derive(Clone, Debug, clap::Args)]
pub struct WorkerArgs {
    /// The job's directory
    pub job: PathBuf,
}

/// Runs the command.
pub fn run(args: &WorkerArgs, _output: &Output) -> Result<()> {
    match crate::jobs::worker(&args.job)? {
        JobState::Finished => Ok(()),
        // The job's own log has said it; only the status is left.
        JobState::Cancelled => std::process::exit(130),
        _ => std::process::exit(1),
    }
}

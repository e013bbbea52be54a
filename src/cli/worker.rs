//! `worker`: carries out one job, or some of many; started by the tool itself.

use std::path::PathBuf;

use super::output::Output;
use crate::jobs::JobState;
use crate::{Error, Result};

/// Carry out the job in a directory, or those of a task
#[derive(Clone, Debug, clap::Args)]
pub struct WorkerArgs {
    /// The job's directory
    #[arg(required_unless_present = "manifest")]
    pub job: Option<PathBuf>,
    /// Instead of a job, those of one task of a manifest
    #[arg(long, value_name = "FILE", requires = "task", conflicts_with = "job")]
    pub manifest: Option<PathBuf>,
    /// Number of the task
    #[arg(long, value_name = "N", requires = "manifest")]
    pub task: Option<usize>,
}

/// Runs the command.
pub fn run(args: &WorkerArgs, _output: &Output) -> Result<()> {
    let state = match (&args.job, &args.manifest, args.task) {
        (Some(job), ..) => crate::jobs::worker(job)?,
        (None, Some(manifest), Some(task)) => crate::jobs::worker_of_manifest(manifest, task)?,
        (None, ..) => return Err(Error::usage("name a job's directory")),
    };
    match state {
        JobState::Finished => Ok(()),
        // The job's own log has said it; only the status is left.
        JobState::Cancelled => std::process::exit(130),
        _ => std::process::exit(1),
    }
}

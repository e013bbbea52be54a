//! `jobs`: what runs in the background.

use std::path::PathBuf;

use super::output::Output;
use crate::{Error, Result};

/// List, show, follow and cancel background jobs
#[derive(Clone, Debug, clap::Args)]
pub struct JobsArgs {
    /// Folder of adapters
    pub library: PathBuf,
    #[command(subcommand)]
    pub action: Option<JobsAction>,
}

/// What to do with jobs; listing them when nothing is said.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum JobsAction {
    /// List the jobs
    Ls,
    /// Show one job
    Show { id: String },
    /// Ask a job to stop
    Cancel { id: String },
    /// Print a job's log
    Log {
        id: String,
        /// Go on until the job is over
        #[arg(long, short)]
        follow: bool,
    },
}

/// Runs the command.
pub fn run(args: &JobsArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.library, "jobs are not part of this build"))
}

//! `cluster`: groups of experts that resemble each other (MBC).

use std::path::PathBuf;

use super::options::parse_fraction;
use super::output::Output;
use crate::{Error, Result};

/// Group the experts (model-based clustering)
#[derive(Clone, Debug, clap::Args)]
pub struct ClusterArgs {
    /// Folder of adapters
    pub library: PathBuf,
    /// Number of clusters
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub k: u32,
    /// Share of each expert's smallest entries that count as zero
    #[arg(long, default_value_t = 0.5, value_parser = parse_fraction)]
    pub sparsity: f64,
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

/// Runs the command.
pub fn run(args: &ClusterArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.library, "clustering is not part of this build"))
}

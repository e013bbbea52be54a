//! `similarity`: every expert against every other.

use std::path::PathBuf;

use super::options::parse_fraction;
use super::output::Output;
use crate::analysis::Metric;
use crate::{Error, Result};

/// Compare all experts: an N × N matrix
#[derive(Clone, Debug, clap::Args)]
pub struct SimilarityArgs {
    /// Folder of adapters
    pub library: PathBuf,
    #[arg(long, value_enum, default_value_t = Metric::Mbc)]
    pub metric: Metric,
    /// Share of each expert's smallest entries that count as zero (mbc)
    #[arg(long, default_value_t = 0.5, value_parser = parse_fraction)]
    pub sparsity: f64,
    /// Write the tensor `similarity` as safetensors
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Draw a heatmap as PNG
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// Draw a heatmap as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write the matrix as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &SimilarityArgs, _output: &Output) -> Result<()> {
    Err(Error::file(&args.library, "similarity is not part of this build"))
}

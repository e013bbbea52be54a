//! `train-clusters`: the MBC library, one expert per cluster.

use std::path::PathBuf;

use super::options::{JobArgs, RowsShown, trained};
use super::output::Output;
use crate::Result;
use crate::catalog::Catalog;
use crate::jobs::kinds::Around;
use crate::text::{counted, printable};
use crate::train::{ClustersReport, ClustersSpec, train_clusters};

/// Cluster the experts and train one new expert per cluster, into a new library
#[derive(Clone, Debug, clap::Args)]
pub struct TrainClustersArgs {
    /// Folder of adapters, one per task [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub job: JobArgs<ClustersSpec>,
}

/// Runs the command.
pub fn run(args: &TrainClustersArgs, output: &Output) -> Result<()> {
    if args.job.background {
        return super::starting::start(&args.library, &args.job.given, output);
    }
    let comparable = Catalog::open(&args.library, args.job.given.base())?.comparable().count();
    let around = Around { comparable, ..Around::default() };
    let spec = ClustersSpec { library: args.library.clone(), ..args.job.spec(&around)? };
    let mut progress = RowsShown::new(output);
    let report = train_clusters(&spec, &mut |event| progress.show(event), output.cancel())?;
    drop(progress);
    for warning in &report.warnings {
        output.note(&format!("warning: {warning}"));
    }
    if output.is_json() {
        return output.document(&report);
    }
    for skipped in &report.skipped {
        output.note(&format!("skipped {skipped}"));
    }
    output.text(&text(&report))
}

fn text(report: &ClustersReport) -> String {
    let silhouette = match (report.random, report.silhouette) {
        (Some(seed), _) => format!("dealt out by seed {seed}"),
        (None, Some(silhouette)) => format!("silhouette {silhouette:.3}"),
        (None, None) => "silhouette none".into(),
    };
    let mut out = format!(
        "{}: {} (mbc, sparsity {}, seed {}), {silhouette}\n\n",
        printable(&report.library.display().to_string()),
        counted(report.clusters.len(), "expert"),
        report.sparsity,
        report.seed,
    );
    out += &trained(&report.clusters);
    out
}

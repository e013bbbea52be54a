//! `train-clusters`: the MBC library, one expert a cluster.

use std::path::PathBuf;

use super::options::{JobArgs, show};
use super::output::Output;
use super::table::{Align, Table};
use crate::Result;
use crate::catalog::Catalog;
use crate::jobs::kinds::Around;
use crate::text::{counted, number, printable};
use crate::train::{ClusterRow, ClustersEvent, ClustersReport, ClustersSpec, train_clusters};

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
        return super::jobs::start(&args.library, &args.job.given, output);
    }
    let comparable = Catalog::open(&args.library, args.job.given.base())?.comparable().count();
    let around = Around { comparable, ..Around::default() };
    let spec = ClustersSpec { library: args.library.clone(), ..args.job.spec(&around)? };
    let mut progress = output.progress();
    let mut rows: Vec<ClusterRow> = Vec::new();
    let mut events = |event| match event {
        ClustersEvent::Stage(text) => progress.stage(&text),
        ClustersEvent::Rows(all) => rows = all,
        ClustersEvent::Training { row, event } => {
            let name = rows.get(row).map_or("", |row| row.name.as_str());
            show(&event, &format!("{name} of {}: ", rows.len()), &mut progress);
        }
    };
    let report = train_clusters(&spec, &mut events, output.cancel())?;
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
    let silhouette = report.silhouette.map_or("none".into(), |s| format!("{s:.3}"));
    let mut out = format!(
        "{}: {} (mbc, sparsity {}, seed {}), silhouette {silhouette}\n\n",
        printable(&report.library.display().to_string()),
        counted(report.clusters.len(), "expert"),
        report.sparsity,
        report.seed,
    );
    let mut table = Table::new(&[
        ("EXPERT", Align::Left),
        ("STEPS", Align::Right),
        ("LOSS", Align::Right),
        ("BASE", Align::Right),
        ("VALIDATION", Align::Right),
        ("MADE FOR", Align::Left),
    ]);
    let loss = |loss: Option<f64>| loss.map_or("–".to_string(), |loss| number(loss, 3));
    for row in &report.clusters {
        let Some(report) = &row.report else { continue };
        table.row([
            row.name.clone(),
            report.steps.to_string(),
            loss(Some(report.train_loss)),
            loss(report.base_validation_loss),
            loss(report.validation_loss),
            row.members.join(", "),
        ]);
    }
    out += &table.render();
    out
}

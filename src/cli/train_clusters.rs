//! `train-clusters`: the MBC library, one expert a cluster.

use std::path::PathBuf;

use super::options::{TrainingArgs, parse_sparsity, show};
use super::output::Output;
use super::table::{Align, Table};
use crate::Result;
use crate::analysis::{SPARSITY_HELP, paper_k};
use crate::catalog::Catalog;
use crate::jobs::{AnyJob, Jobs};
use crate::text::{counted, number, printable};
use crate::train::{ClusterRow, ClustersEvent, ClustersReport, ClustersSpec, train_clusters};

/// Cluster the experts and train one new expert per cluster, into a new library
#[derive(Clone, Debug, clap::Args)]
pub struct TrainClustersArgs {
    /// Folder of adapters, one per task
    pub library: PathBuf,
    /// Folder for the new library; run the same command again to resume
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number of clusters [default: 10, or as many as there are experts]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub k: Option<u32>,
    #[arg(long, help = SPARSITY_HELP, default_value_t = ClustersSpec::default().sparsity, value_parser = parse_sparsity)]
    pub sparsity: f64,
    /// Prefix of the new experts' names; a number follows
    #[arg(long, default_value_t = ClustersSpec::default().prefix)]
    pub prefix: String,
    /// Folder of tasks, for experts whose own dataset is missing
    #[arg(long, value_name = "DIR")]
    pub data: Vec<PathBuf>,
    #[command(flatten)]
    pub training: TrainingArgs<false>,
}

/// Runs the command.
pub fn run(args: &TrainClustersArgs, output: &Output) -> Result<()> {
    let library = Catalog::open(&args.library, args.training.spec.base.as_deref())?;
    let comparable = library.usable().filter(|expert| expert.incomparable().is_none()).count();
    let spec = ClustersSpec {
        library: args.library.clone(),
        out: args.out.clone(),
        k: args.k.map_or(paper_k(comparable), |k| k as usize),
        sparsity: args.sparsity,
        prefix: args.prefix.clone(),
        data: args.data.clone(),
        training: args.training.spec.clone(),
    };
    if args.training.background {
        let job = args.training.start(&Jobs::open(&library)?, &AnyJob::from(spec))?;
        return super::jobs::started(&library, &job, output);
    }
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

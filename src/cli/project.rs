//! `project`: the experts as points of a plane, the map of the Clusters tab.

use std::path::PathBuf;

use serde::Serialize;

use super::csv;
use super::grouping::{Grouping, GroupingArgs};
use super::options::LibraryArgs;
use super::output::Output;
use super::table::{Align, Table};
use crate::analysis::{self, Metric};
use crate::library::Skipped;
use crate::outside::atomic_write;
use crate::text::counted;
use crate::{Result, plot};

/// Place the experts on a map: similar ones lie close together
#[derive(Clone, Debug, clap::Args)]
pub struct ProjectArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    #[command(flatten)]
    pub grouping: GroupingArgs,
    /// Write expert, cluster, x and y as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Draw the map as PNG
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// Draw the map as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document<'a> {
    metric: Metric,
    sparsity: f64,
    k: usize,
    seed: u64,
    experts: &'a [String],
    labels: &'a [usize],
    /// x and y of each expert, −1 to 1.
    points: &'a [(f32, f32)],
    skipped: &'a [Skipped],
    warnings: &'a [String],
}

/// Runs the command.
pub fn run(args: &ProjectArgs, output: &Output) -> Result<()> {
    let library = args.library.open()?;
    let grouping = args.grouping.group(&library, false, output)?;
    let points = analysis::project(&grouping.similarity, output.cancel());
    output.cancel().check()?;
    let written = write_files(args, &grouping, &points, output)?;
    let Grouping { similarity, clustering, .. } = &grouping;
    if output.is_json() {
        return output.document(&Document {
            metric: similarity.metric,
            sparsity: similarity.sparsity,
            k: clustering.k,
            seed: clustering.seed,
            experts: &similarity.experts,
            labels: &clustering.labels,
            points: &points,
            skipped: &similarity.skipped,
            warnings: &grouping.warnings,
        });
    }
    // Whoever asked for a file has it there.
    let body = if written { head(&grouping) } else { text(&grouping, &points) };
    output.text(&body)
}

/// Writes the files that were asked for, and says so; whether there were any.
fn write_files(
    args: &ProjectArgs,
    grouping: &Grouping,
    points: &[(f32, f32)],
    output: &Output,
) -> Result<bool> {
    let what = format!("a map of {}", counted(points.len(), "expert"));
    if let Some(path) = &args.csv {
        atomic_write(path, lines(grouping, points).as_bytes())?;
        output.wrote(path, &what);
    }
    let title = format!("Experts in {}", args.library.library.display());
    let figure = || plot::map(&grouping.similarity, &grouping.clustering, points, &title);
    if let Some(path) = &args.png {
        let figure = figure();
        figure.save_png(path)?;
        output.wrote(path, &what);
        output.numbered(figure.numbered());
    }
    if let Some(path) = &args.svg {
        figure().save_svg(path)?;
        output.wrote(path, &what);
    }
    Ok(args.csv.is_some() || args.png.is_some() || args.svg.is_some())
}

/// Name, cluster and place of each expert.
fn rows<'a>(
    grouping: &'a Grouping,
    points: &'a [(f32, f32)],
) -> impl Iterator<Item = (&'a str, usize, (f32, f32))> {
    let experts = grouping.similarity.experts.iter().zip(&grouping.clustering.labels);
    experts
        .zip(points)
        .map(|((name, &label), &point)| (name.as_str(), analysis::cluster_number(label), point))
}

fn lines(grouping: &Grouping, points: &[(f32, f32)]) -> String {
    let mut out = String::from("expert,cluster,x,y\r\n");
    for (name, label, (x, y)) in rows(grouping, points) {
        out.push_str(&format!("{},{label},{x},{y}\r\n", csv::field(name)));
    }
    out
}

fn text(grouping: &Grouping, points: &[(f32, f32)]) -> String {
    let mut table = Table::new(&[
        ("expert", Align::Left),
        ("cluster", Align::Right),
        ("x", Align::Right),
        ("y", Align::Right),
    ]);
    for (name, label, (x, y)) in rows(grouping, points) {
        table.row([name.to_string(), label.to_string(), format!("{x:.3}"), format!("{y:.3}")]);
    }
    format!("{}\n{}", head(grouping), table.render())
}

/// What was compared, and into how many clusters.
fn head(grouping: &Grouping) -> String {
    let Grouping { similarity, clustering, .. } = grouping;
    format!(
        "{} in {} ({}, seed {})\n{}",
        counted(similarity.len(), "expert"),
        counted(clustering.k, "cluster"),
        similarity.settings(),
        clustering.seed,
        grouping.about_k(),
    )
}

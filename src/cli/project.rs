//! `project`: the experts as points of a plane, the map of the Clusters tab.

use serde::Serialize;

use super::files::Files;
use super::grouping::{Grouping, GroupingArgs};
use super::options::LibraryArgs;
use super::output::Output;
use super::table::{Align, Table};
use crate::analysis::{self, Metric};
use crate::export::{Export, Format};
use crate::library::Skipped;
use crate::plot::Drawing;
use crate::text::{counted, csv_field};
use crate::{Result, plot};

/// Place the experts on a map: similar ones lie close together
#[derive(Clone, Debug, clap::Args)]
pub struct ProjectArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    #[command(flatten)]
    pub grouping: GroupingArgs,
    #[command(flatten)]
    pub files: Files<Map>,
}

/// The experts in their places.
#[derive(Clone, Debug)]
pub struct Map {
    grouping: Grouping,
    /// x and y of each expert, −1 to 1.
    points: Vec<(f32, f32)>,
    /// What figures are headed with.
    title: String,
}

impl Export for Map {
    const FORMATS: &'static [Format<Self>] = &[
        Format::csv("Write expert, cluster, x and y as CSV", csv),
        Format::png("Draw the map as PNG"),
        Format::svg("Draw the map as SVG"),
    ];

    fn figure(&self) -> Result<Box<dyn Drawing>> {
        let Grouping { similarity, clustering, .. } = &self.grouping;
        Ok(Box::new(plot::map(similarity, clustering, &self.points, &self.title)))
    }

    fn about_table(&self) -> String {
        format!("a map of {}", counted(self.points.len(), "expert"))
    }

    fn about_figure(&self) -> String {
        self.about_table()
    }
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
    args.files.check()?;
    let library = args.library.open()?;
    let grouping = args.grouping.group(&library, false, output)?;
    let points = analysis::project(&grouping.similarity, output.cancel());
    output.cancel().check()?;
    let title = format!("Experts in {}", args.library.library.display());
    let map = Map { grouping, points, title };
    let written = args.files.write(&map, output)?;
    let Grouping { similarity, clustering, warnings, .. } = &map.grouping;
    if output.is_json() {
        return output.document(&Document {
            metric: similarity.metric,
            sparsity: similarity.sparsity,
            k: clustering.k,
            seed: clustering.seed,
            experts: &similarity.experts,
            labels: &clustering.labels,
            points: &map.points,
            skipped: &similarity.skipped,
            warnings,
        });
    }
    // Whoever asked for a file has it there.
    let body = if written { head(&map.grouping) } else { text(&map) };
    output.text(&body)
}

/// Name, cluster and place of each expert.
fn rows(map: &Map) -> impl Iterator<Item = (&str, usize, (f32, f32))> {
    let Grouping { similarity, clustering, .. } = &map.grouping;
    let experts = similarity.experts.iter().zip(&clustering.labels);
    experts
        .zip(&map.points)
        .map(|((name, &label), &point)| (name.as_str(), analysis::cluster_number(label), point))
}

fn csv(map: &Map) -> String {
    let mut out = String::from("expert,cluster,x,y\r\n");
    for (name, label, (x, y)) in rows(map) {
        out.push_str(&format!("{},{label},{x},{y}\r\n", csv_field(name)));
    }
    out
}

fn text(map: &Map) -> String {
    let mut table = Table::new(&[
        ("expert", Align::Left),
        ("cluster", Align::Right),
        ("x", Align::Right),
        ("y", Align::Right),
    ]);
    for (name, label, (x, y)) in rows(map) {
        table.row([name.to_string(), label.to_string(), format!("{x:.3}"), format!("{y:.3}")]);
    }
    format!("{}\n{}", head(&map.grouping), table.render())
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

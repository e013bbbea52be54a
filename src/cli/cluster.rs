//! `cluster`: groups of experts that resemble each other (MBC).

use std::collections::HashMap;

use serde::Serialize;

use super::grouping::{Grouping, GroupingArgs};
use super::options::LibraryArgs;
use super::output::Output;
use super::table::{Align, Table};
use crate::Result;
use crate::analysis::{self, ChosenK, Metric, SweptK};
use crate::library::{Library, Skipped};
use crate::text::{counted, number};

/// Group the experts (model-based clustering)
#[derive(Clone, Debug, clap::Args)]
pub struct ClusterArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    #[command(flatten)]
    pub grouping: GroupingArgs,
    /// Print inertia and mean silhouette for several numbers of clusters, too
    #[arg(long)]
    pub sweep: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    k: usize,
    seed: u64,
    metric: Metric,
    sparsity: f64,
    experts: &'a [String],
    labels: &'a [usize],
    inertia: f64,
    silhouette: Option<f64>,
    /// Adjusted Rand index of the clusters and the families, where these are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    families: Option<f64>,
    /// Smallest and largest k among which `auto` found this one to be the best.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_of: Option<(usize, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<&'a [SweptK]>,
    skipped: &'a [Skipped],
    warnings: &'a [String],
}

/// Runs the command.
pub fn run(args: &ClusterArgs, output: &Output) -> Result<()> {
    let library = args.library.open()?;
    let grouping = args.grouping.group(&library, args.sweep, output)?;
    let Grouping { similarity, clustering, tried, found, warnings } = &grouping;
    let families = families(&library);
    let family = |name: &String| families.get(name.as_str()).copied();
    let agreement = analysis::agreement(&clustering.labels, clustering.experts.iter().map(family));
    let swept = tried.as_ref().map(|tried| tried.swept.as_slice());
    if output.is_json() {
        return output.document(&Document {
            k: clustering.k,
            seed: clustering.seed,
            metric: similarity.metric,
            sparsity: similarity.sparsity,
            experts: &clustering.experts,
            labels: &clustering.labels,
            inertia: clustering.inertia,
            silhouette: clustering.silhouette,
            families: agreement,
            best_of: tried.as_ref().filter(|_| *found).and_then(ChosenK::range),
            sweep: swept,
            skipped: &similarity.skipped,
            warnings,
        });
    }
    let sweep = swept.filter(|_| args.sweep).map(curve).unwrap_or_default();
    output.text(&format!("{}{sweep}", text(&grouping, agreement)))
}

/// The families of the experts' tasks, by the experts' names.
fn families(library: &Library) -> HashMap<&str, &str> {
    let known = library
        .experts
        .iter()
        .filter_map(|expert| Some((expert.name.as_str(), expert.provenance.as_ref()?.family.as_deref()?)));
    known.filter(|(_, family)| !family.is_empty()).collect()
}

/// What each number of clusters gives.
fn curve(swept: &[SweptK]) -> String {
    let mut table =
        Table::new(&[("k", Align::Right), ("inertia", Align::Right), ("silhouette", Align::Right)]);
    for swept in swept {
        let silhouette = swept.silhouette.map_or(String::new(), |s| format!("{s:.3}"));
        table.row([swept.k.to_string(), number(swept.inertia, 4), silhouette]);
    }
    format!("\n{}", table.render())
}

/// The clusters one after the other, members closest to the cluster's mean first.
fn text(grouping: &Grouping, agreement: Option<f64>) -> String {
    let Grouping { similarity, clustering, .. } = grouping;
    let silhouette = clustering.silhouette.map_or("none".into(), |s| format!("{s:.3}"));
    let mut out = format!(
        "{} in {} ({}, seed {}): inertia {}, silhouette {silhouette}\n",
        counted(similarity.len(), "expert"),
        counted(clustering.k, "cluster"),
        similarity.settings(),
        clustering.seed,
        number(clustering.inertia, 4),
    );
    out.push_str(&grouping.about_k());
    if let Some(index) = agreement {
        out.push_str(&format!("agreement with the families: adjusted Rand index {index:.2}\n"));
    }
    let order = analysis::order_by_cluster(similarity, clustering);
    for (cluster, cohesion) in analysis::cohesion(similarity, clustering).into_iter().enumerate() {
        let members: Vec<usize> =
            order.iter().copied().filter(|&i| clustering.labels[i] == cluster).collect();
        if members.is_empty() {
            continue;
        }
        let size = counted(members.len(), "expert");
        out.push_str(&format!("\n{}: {size}, cohesion {cohesion:.2}\n", analysis::cluster_name(cluster)));
        let mut table = Table::new(&[("  expert", Align::Left), ("silhouette", Align::Right)]);
        for i in members {
            let value = clustering.silhouettes.get(i).map_or(String::new(), |s| format!("{s:.2}"));
            table.row([format!("  {}", clustering.experts[i]), value]);
        }
        out.push_str(&table.render());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Similarity, SweptK};

    fn grouping(metric: Metric, k: usize) -> Grouping {
        let similarity = Similarity {
            metric,
            sparsity: metric.sparsity(0.5),
            experts: vec!["a".into(), "b".into(), "far".into()],
            matrix: vec![1.0, 0.9, 0.1, 0.9, 1.0, 0.1, 0.1, 0.1, 1.0],
            warnings: vec![],
            skipped: vec![],
            strength: Vec::new(),
            known_spread: Default::default(),
            origin: Default::default(),
        };
        let clustering = analysis::cluster(&similarity, k, 42, &crate::Cancel::new()).unwrap();
        Grouping { similarity, clustering, tried: None, found: false, warnings: vec![] }
    }

    #[test]
    fn prints_each_cluster_with_its_members() {
        let expected = "3 experts in 2 clusters (mbc, sparsity 0.5, seed 42): inertia 0.0100, silhouette 0.593\n\n\
            cluster 1: 2 experts, cohesion 0.90\n  expert  silhouette\n  a             0.89\n  b             0.89\n\n\
            cluster 2: 1 expert, cohesion 1.00\n  expert  silhouette\n  far           0.00\n";
        assert_eq!(text(&grouping(Metric::MBC, 2), None), expected);
    }

    #[test]
    fn says_what_was_compared_and_how_k_was_found() {
        let mut found = grouping(Metric::DELTA, 2);
        assert!(text(&found, None).starts_with("3 experts in 2 clusters (delta, seed 42): "));
        found.found = true;
        let swept = |k: usize, silhouette| SweptK { k, inertia: 1.0 / k as f64, silhouette };
        let tried = |k, swept, at_border| Some(ChosenK { k, swept, at_border });
        found.tried = tried(2, vec![swept(2, None), swept(3, None)], false);
        assert!(
            text(&found, None).contains("\nk = 2 has the best mean silhouette of k = 2 to 3\n\ncluster 1")
        );
        let expected = "\nk  inertia  silhouette\n2   0.5000\n3   0.3333\n";
        assert_eq!(curve(&found.tried.as_ref().unwrap().swept), expected);
        found.clustering.k = 3;
        found.tried = tried(3, vec![swept(2, Some(0.1)), swept(3, Some(0.2))], true);
        assert!(
            text(&found, None)
                .contains("\nk = 3 has the best mean silhouette of k = 2 to 3; more may be better")
        );
        found.tried = Some(ChosenK::default());
        assert!(text(&found, None).contains("\nk = 3: so few different experts leave no choice\n"));
    }

    #[test]
    fn agreement_with_families_is_told() {
        assert!(text(&grouping(Metric::MBC, 2), Some(0.5)).contains("families: adjusted Rand index 0.50\n"));
    }
}

//! `cluster`: groups of experts that resemble each other (MBC).

use serde::Serialize;

use super::options::{LibraryArgs, choice, parse_sparsity};
use super::output::{Output, Skipped};
use super::similarity::compare;
use super::table::{Align, Table};
use crate::Result;
use crate::analysis::{self, Clustering, DEFAULT_SEED, DEFAULT_SPARSITY, Metric, Similarity};
use crate::text::counted;
use crate::train::ClustersSpec;

/// Group the experts (model-based clustering)
#[derive(Clone, Debug, clap::Args)]
pub struct ClusterArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Number of clusters [default: 10, or as many as there are experts]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub k: Option<u32>,
    /// What to compare experts by; delta takes any ranks
    #[arg(long, value_parser = choice::<Metric>(), default_value_t)]
    pub metric: Metric,
    /// Share of each expert's smallest entries that count as zero, where the metric uses it
    #[arg(long, default_value_t = DEFAULT_SPARSITY, value_parser = parse_sparsity)]
    pub sparsity: f64,
    #[arg(long, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
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
    skipped: Vec<Skipped>,
    warnings: &'a [String],
}

/// Runs the command.
pub fn run(args: &ClusterArgs, output: &Output) -> Result<()> {
    let library = args.library.open()?;
    let similarity = compare(&library, args.metric, args.sparsity, output)?;
    let k = args.k.map_or(ClustersSpec::default_k(similarity.len()), |k| k as usize);
    let clustering = analysis::cluster(&similarity, k, args.seed, output.cancel())?;
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
            skipped: Skipped::pairs(&similarity.skipped),
            warnings: &similarity.warnings,
        });
    }
    output.text(&text(&similarity, &clustering))
}

/// The clusters one after the other, members closest to the cluster's mean first.
fn text(similarity: &Similarity, clustering: &Clustering) -> String {
    let silhouette = clustering.silhouette.map_or("none".into(), |s| format!("{s:.3}"));
    let mut out = format!(
        "{} in {} ({}, seed {}): inertia {:.4}, silhouette {silhouette}\n",
        counted(similarity.len(), "expert"),
        counted(clustering.k, "cluster"),
        similarity.settings(),
        clustering.seed,
        clustering.inertia,
    );
    let order = analysis::order_by_cluster(similarity, clustering);
    for (cluster, cohesion) in analysis::cohesion(similarity, clustering).into_iter().enumerate() {
        let members: Vec<usize> =
            order.iter().copied().filter(|&i| clustering.labels[i] == cluster).collect();
        if members.is_empty() {
            continue;
        }
        let size = counted(members.len(), "expert");
        out.push_str(&format!("\ncluster {cluster}: {size}, cohesion {cohesion:.2}\n"));
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

    #[test]
    fn prints_each_cluster_with_its_members() {
        let similarity = Similarity {
            metric: Metric::MBC,
            sparsity: 0.5,
            experts: vec!["a".into(), "b".into(), "far".into()],
            matrix: vec![1.0, 0.9, 0.1, 0.9, 1.0, 0.1, 0.1, 0.1, 1.0],
            warnings: vec![],
            skipped: vec![],
            known_spread: Default::default(),
        };
        let clustering = analysis::cluster(&similarity, 2, 42, &crate::Cancel::new()).unwrap();
        let text = text(&similarity, &clustering);
        let expected = "3 experts in 2 clusters (mbc, sparsity 0.5, seed 42): inertia 0.0100, silhouette 0.593\n\n\
            cluster 0: 2 experts, cohesion 0.90\n  expert  silhouette\n  a             0.89\n  b             0.89\n\n\
            cluster 1: 1 expert, cohesion 1.00\n  expert  silhouette\n  far           0.00\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn says_what_was_compared() {
        let experts = vec!["a".to_string(), "b".to_string()];
        let mut similarity = Similarity {
            metric: Metric::DELTA,
            sparsity: 0.0,
            experts,
            matrix: vec![1.0, 0.5, 0.5, 1.0],
            warnings: vec![],
            skipped: vec![],
            known_spread: Default::default(),
        };
        let clustering = analysis::cluster(&similarity, 1, 42, &crate::Cancel::new()).unwrap();
        assert!(text(&similarity, &clustering).contains("in 1 cluster (delta, seed 42): "));
        similarity.metric = Metric::MBC;
        assert!(text(&similarity, &clustering).contains("(mbc, sparsity 0, seed 42): "));
    }
}

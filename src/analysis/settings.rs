//! The settings of comparisons and clusterings, defined once for commands, screens and jobs.

use super::Metric;
use crate::settings::{BELOW_ONE, Field, Kind, Role, Setting, Whole};
use crate::{field, named_setting};

/// Share of each expert's smallest entries that count as zero, where nothing else is said (the paper's).
pub const DEFAULT_SPARSITY: f64 = 0.5;
/// Seed of clusterings and trainings, where nothing else is said.
pub const DEFAULT_SEED: u64 = 42;

/// Number of clusters of the paper's library.
pub const PAPER_K: usize = 10;

/// The number of clusters of so many experts that is shown first, by the Clusters tab and in the form of a
/// clustering: a third of them, from 2 to 10.
pub fn default_k(experts: usize) -> usize {
    (experts / 3).clamp(2, 10).min(experts).max(1)
}

/// The number of clusters that a library of one expert per cluster has where none is given, by `train-clusters` and
/// in its form: [`PAPER_K`], or as many as there are experts.
pub fn paper_k(experts: usize) -> usize {
    experts.clamp(1, PAPER_K)
}

/// The number of clusters of a library's experts, kept in `field`.
pub const fn clusters<S>(field: Field<S, usize>) -> Setting<S> {
    Setting::new("k", Kind::Whole(field, Whole::from(1)))
        .flag("k", "Number of clusters")
        .value("N")
        .form("Clusters k", "")
        .role(Role::Clusters)
        .brief("k")
}

/// The sparsity of a comparison, kept in `field`.
pub const fn sparsity<S>(field: Field<S, f64>) -> Setting<S> {
    Setting::new("sparsity", Kind::Number(field, BELOW_ONE))
        .flag("sparsity", "Share of each expert's smallest entries that count as zero")
        .value("SHARE")
        .form("Sparsity", "share of entries left out")
        .role(Role::Plan)
        .brief("sparsity")
}

/// [`sparsity`] beside a metric, which may have none.
pub const fn sparsity_of_metric<S>(field: Field<S, f64>) -> Setting<S> {
    sparsity(field).flag(
        "sparsity",
        "Share of each expert's smallest entries that count as zero, where the metric uses it",
    )
}

/// The metric of a comparison; `kind` is where it is kept.
pub const fn metric<S>(kind: Kind<S>) -> Setting<S> {
    Setting::new("metric", kind)
        .flag("metric", "What to compare experts by")
        .value("METRIC")
        .form("Metric", "what experts are compared by")
}

/// By what experts are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ComparisonSpec {
    /// The measure.
    pub metric: Metric,
    /// Share of each expert's smallest entries that count as zero, where the metric uses it.
    pub sparsity: f64,
}

impl Default for ComparisonSpec {
    fn default() -> Self {
        Self { metric: Metric::default(), sparsity: DEFAULT_SPARSITY }
    }
}

/// The settings of comparisons.
pub static COMPARISON: &[Setting<ComparisonSpec>] = &[
    metric(named_setting!(Metric, ComparisonSpec.metric)),
    sparsity_of_metric(field!(ComparisonSpec.sparsity)),
];

/// Into how many clusters experts are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupingSpec {
    /// Number of clusters; `None` is what [`choose_k`](super::choose_k) finds, the rule of the Clusters tab.
    pub k: Option<usize>,
    /// Of k-means.
    pub seed: u64,
}

impl Default for GroupingSpec {
    fn default() -> Self {
        Self { k: None, seed: DEFAULT_SEED }
    }
}

/// The settings of groupings.
pub static GROUPING: &[Setting<GroupingSpec>] = &[
    Setting::new("k", Kind::Auto(field!(GroupingSpec.k), Whole::from(1)))
        .flag("k", "Number of clusters: auto (the best mean silhouette) or a number")
        .value("auto|N"),
    seed(field!(GroupingSpec.seed)),
];

/// The seed of a clustering, kept in `field`.
pub const fn seed<S>(field: Field<S, u64>) -> Setting<S> {
    Setting::new("seed", Kind::Seed(field))
        .flag("seed", "Seed of k-means")
        .value("SEED")
        .form("Seed", "")
        .brief("seed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_gives_a_number_of_clusters_that_there_can_be() {
        let of = [0, 1, 2, 5, 9, 12, 30, 31, 1000].map(default_k);
        assert_eq!(of, [1, 1, 2, 2, 3, 4, 10, 10, 10]);
        assert_eq!([0, 1, 2, 9, 10, 11, 1000].map(paper_k), [1, 1, 2, 9, 10, 10, 10]);
    }
}

//! The settings of clusterings, defined once for commands, screens and jobs.

use crate::settings::{BELOW_ONE, Field, Kind, Role, Setting, Whole};

/// Share of each expert's smallest entries that count as zero, where nothing else is said (the paper's).
pub const DEFAULT_SPARSITY: f64 = 0.5;
/// What the sparsity does, for help.
pub const SPARSITY_HELP: &str = "Share of each expert's smallest entries that count as zero";
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
        .form("Clusters k", "")
        .role(Role::Clusters)
        .brief("k")
}

/// The sparsity of a comparison, kept in `field`.
pub const fn sparsity<S>(field: Field<S, f64>) -> Setting<S> {
    Setting::new("sparsity", Kind::Number(field, BELOW_ONE))
        .flag("sparsity", SPARSITY_HELP)
        .form("Sparsity", "share of entries left out")
        .role(Role::Plan)
        .brief("sparsity")
}

/// The seed of a clustering, kept in `field`.
pub const fn seed<S>(field: Field<S, u64>) -> Setting<S> {
    Setting::new("seed", Kind::Seed(field))
        .flag("seed", "Seed of the clustering")
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

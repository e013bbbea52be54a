//! Comparing experts: similarity metrics, MBC clustering, prototypes, spectra.

mod cache;
mod clustering;
mod compare;
mod embedding;
mod gram;
mod hubs;
mod identity;
pub(crate) mod linalg;
mod metrics;
mod pair;
mod profile;
mod prototypes;
mod settings;
mod similarity;
mod skipped;
mod spread;
mod strength;
mod weights;

pub use cache::{ComparisonCache, Origin};
pub use clustering::{
    ChosenK, Clustering, SweptK, adjusted_rand, agreement, best_k, boundaries, choose_k, cluster,
    cluster_name, cluster_number, cohesion, natural_clusters, order_by_cluster, project, sweep, ties,
};
pub use compare::{is_kept, similarity};
pub use hubs::{Untrained, untrained};
pub use metrics::{Metric, MetricSpec};
pub use pair::{PAIR_MEASURES, PairMeasure, PairModule, pair};
pub use profile::{ExpertProfile, ModuleProfile, profile};
pub(crate) use prototypes::ExpertFactors;
pub use prototypes::{
    Directions, ModulePrototypes, Prototype, PrototypeCache, PrototypeTable, directions, effective_rank,
    keep_prototypes, prototype, prototypes, spectral_gap,
};
pub use settings::{
    COMPARISON, ComparisonSpec, DEFAULT_SEED, DEFAULT_SPARSITY, GROUPING, GroupingSpec, PAPER_K, clusters,
    default_k, metric, paper_k, seed, sparsity, sparsity_of_metric,
};
pub use similarity::Similarity;
pub use spread::{Spread, value_range};
pub use strength::Strength;

#[cfg(test)]
mod tests;

//! MBC clustering: k-means on the rows of a similarity matrix, how good it is and how many clusters fit, the
//! order of rows it gives, and a map.

mod cluster;
#[allow(clippy::module_inception, reason = "the type of a clustering is looked for by this name")]
mod clustering;
mod kmeans;
mod map;
mod order;
mod partitions;
mod points;
mod quality;
mod rand_index;
mod sweep;

pub use cluster::cluster;
pub use clustering::{Clustering, cluster_name, cluster_number};
pub use map::project;
pub use order::{boundaries, order_by_cluster};
pub use quality::{cohesion, ties};
pub use rand_index::{adjusted_rand, agreement};
pub use sweep::{ChosenK, SweptK, best_k, choose_k, natural_clusters, sweep};

#[cfg(test)]
mod tests;

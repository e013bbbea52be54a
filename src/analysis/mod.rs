//! Comparing experts: similarity metrics, MBC clustering, prototypes, spectra.

mod cached;
mod cluster;
mod eigen;
mod gram;
mod kmeans;
mod krylov;
pub(crate) mod linalg;
mod pair;
mod profile;
mod prototype;
mod similarity;
mod spread;
mod table;
mod weights;

use serde::Serialize;

pub(crate) use cached::Factors;
pub use cached::PrototypeCache;
pub use cluster::{boundaries, cluster, cohesion, natural_clusters, order_by_cluster, project, sweep, ties};
pub use pair::{PairModule, pair};
pub use profile::profile;
pub use prototype::{Prototype, effective_rank, prototype, spectral_gap};
pub use similarity::similarity;
pub use spread::{Spread, value_range};
pub use table::{ModulePrototypes, PrototypeTable, prototypes};

use std::sync::OnceLock;

use crate::Error;
use crate::text::counted;

/// How two experts are compared; formulas in the docs of each variant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Cosine of the sparsified, flattened A and B after a 64-dimensional truncated SVD (the paper's MBC).
    #[default]
    Mbc,
    /// Cosine of the flattened A and B.
    Flat,
    /// Cosine of ΔW, from the factors: any ranks, no ΔW formed.
    Delta,
}

/// An N × N similarity matrix.
#[derive(Clone, Debug)]
pub struct Similarity {
    pub metric: Metric,
    /// Quantile below which entries of an expert are zeroed (MBC only).
    pub sparsity: f64,
    /// Names in the order of rows and columns.
    pub experts: Vec<String>,
    /// Row-major N × N, values in [-1, 1].
    pub matrix: Vec<f32>,
    /// Things a reader should know (experts that started from different seeds, …).
    pub warnings: Vec<String>,
    /// Experts left out, with the reason.
    pub skipped: Vec<(String, String)>,
    /// What [`Self::spread`] found.
    pub known_spread: OnceLock<Spread>,
}

impl Similarity {
    /// How the values are spread: looks at all of them when first asked.
    pub fn spread(&self) -> &Spread {
        self.known_spread.get_or_init(|| Spread::of(&self.matrix, self.len()))
    }

    /// Number of experts.
    pub fn len(&self) -> usize {
        self.experts.len()
    }

    /// Whether there is nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.experts.is_empty()
    }

    /// Similarity of experts `row` and `column`.
    pub fn get(&self, row: usize, column: usize) -> f32 {
        self.matrix[row * self.experts.len() + column]
    }
}

/// A partition of the experts by k-means on the rows of an MBC similarity matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    pub k: usize,
    pub seed: u64,
    pub experts: Vec<String>,
    /// Cluster of each expert, 0..k, numbered by first appearance.
    pub labels: Vec<usize>,
    pub inertia: f64,
    /// Mean silhouette with distance 1 − S; `None` unless 2 ≤ k < N.
    pub silhouette: Option<f64>,
    /// Silhouette of each expert; empty when `silhouette` is `None`.
    pub silhouettes: Vec<f64>,
    /// Row-major N × k: sum of the similarities of each expert to the other members of each cluster.
    pub ties: Vec<f64>,
}

/// Norms and spectra of one expert, module by module.
#[derive(Clone, Debug, Default)]
pub struct ExpertProfile {
    pub expert: String,
    pub modules: Vec<ModuleProfile>,
    /// Health warnings (ΔW is zero, NaN, ranks wasted, …), each one line.
    pub warnings: Vec<String>,
}

/// ΔW = s·B·A of one expert at one module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModuleProfile {
    pub module: String,
    pub rank: usize,
    pub scale: f64,
    /// Frobenius norm of ΔW.
    pub norm: f64,
    /// Singular values of ΔW, largest first, `rank` of them.
    pub sigma: Vec<f64>,
    /// exp of the entropy of σ / Σσ.
    pub effective_rank: f64,
    /// σ₂ / σ₁; 0 at rank 1.
    pub gap: f64,
}

/// That no expert can be used, with the reasons of the first three.
fn nothing_left(skipped: &[(String, String)]) -> Error {
    let reasons: Vec<String> = skipped.iter().take(3).map(|(name, why)| format!("{name}: {why}")).collect();
    match skipped.len() {
        0 => Error::msg("there are no experts"),
        n => Error::msg(format!("none of the {} can be used; {}", counted(n, "expert"), reasons.join("; "))),
    }
}

//! A similarity matrix of a library's experts.

use std::sync::OnceLock;

use super::cache::Origin;
use super::metrics::Metric;
use super::spread::Spread;
use super::strength::Strength;
use crate::library::Skipped;

/// An N × N similarity matrix.
#[derive(Clone, Debug)]
pub struct Similarity {
    /// How the experts were compared.
    pub metric: Metric,
    /// Quantile below which entries of an expert are zeroed; 0 where the metric has none.
    pub sparsity: f64,
    /// Names in the order of rows and columns.
    pub experts: Vec<String>,
    /// Row-major N × N, values in [-1, 1].
    pub matrix: Vec<f32>,
    /// Things a reader should know (experts that started from different seeds, …).
    pub warnings: Vec<String>,
    /// Experts left out, with the reason.
    pub skipped: Vec<Skipped>,
    /// How strong each expert is; empty where that is not known.
    pub strength: Vec<Strength>,
    /// What [`Self::spread`] found.
    pub known_spread: OnceLock<Spread>,
    /// What it was computed from; nothing where that is not known.
    pub origin: Origin,
}

impl Similarity {
    /// How the values are spread: looks at all of them when first asked.
    pub fn spread(&self) -> &Spread {
        self.known_spread.get_or_init(|| Spread::of(&self.matrix, self.len()))
    }

    /// The metric and, where it has one, the sparsity: `mbc, sparsity 0.5`.
    pub fn settings(&self) -> String {
        let sparsity =
            if self.metric.uses_sparsity { format!(", sparsity {}", self.sparsity) } else { String::new() };
        format!("{}{sparsity}", self.metric)
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

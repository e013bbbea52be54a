//! What describes a metric.

use crate::analysis::embedding::Embedding;
use crate::analysis::gram::Gram;
use crate::analysis::weights::Product;
use crate::{Cancel, Result};

/// A metric: its names, what it needs, and how its matrix is computed.
pub struct MetricSpec {
    /// On the command line, in JSON and in messages.
    pub id: &'static str,
    /// On screens.
    pub title: &'static str,
    /// One line for `--help` and the reference page, without a full stop.
    pub help: &'static str,
    /// The formula and its source, for the reference page: Markdown on one line, without `|`.
    pub formula: &'static str,
    /// Whether entries below the quantile `sparsity` count as zero; else the sparsity that is asked for does
    /// not matter.
    pub uses_sparsity: bool,
    /// Whether all experts need the same rank at a module.
    pub equal_ranks: bool,
    /// Whether the mean of all experts is taken away first.
    pub(in crate::analysis) centred: bool,
    /// What it means for the values that experts started from different seeds: the end of a warning.
    pub(in crate::analysis) of_other_seeds: &'static str,
    /// What an expert with similarity 0 to everything is: the middle of a warning.
    pub(in crate::analysis) of_zeros: &'static str,
    /// How a pair of experts is multiplied.
    pub(in crate::analysis) product: Product,
    /// The space in which cosines are taken; none for that of the inner products themselves.
    pub(in crate::analysis) embedding: Option<Embed>,
}

/// A space of few dimensions, made of all inner products.
pub(in crate::analysis) struct Embed {
    /// Up to so many experts it changes nothing.
    pub above: usize,
    /// Makes it; reports (done, total) in any unit.
    pub embed: fn(Gram, &mut dyn FnMut(usize, usize), &Cancel) -> Result<Embedding>,
    /// What is said where the directions are known only up to this share of the largest.
    pub warning: fn(f64) -> String,
}

impl MetricSpec {
    /// The space for this many experts.
    pub(in crate::analysis) fn embedding_of(&self, experts: usize) -> Option<&Embed> {
        self.embedding.as_ref().filter(|embed| experts > embed.above)
    }
}

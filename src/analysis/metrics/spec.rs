//! What describes a metric, and what it works with.

use crate::analysis::gram::{Gram, gram};
use crate::analysis::weights::{Alignment, Product};
use crate::{Cancel, Error, Result};

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
    /// What it means for the values that experts started from different seeds: the end of a warning.
    pub(in crate::analysis) of_other_seeds: &'static str,
    /// What an expert with similarity 0 to everything is: the middle of a warning.
    pub(in crate::analysis) of_zeros: &'static str,
    /// How many rounds of progress the matrix of this many experts takes.
    pub(in crate::analysis) rounds: fn(usize) -> usize,
    /// Computes the matrix of all experts of a comparison.
    pub(in crate::analysis) matrix: fn(&mut Comparison<'_>) -> Result<MetricMatrix>,
}

/// What a metric computed.
pub(in crate::analysis) struct MetricMatrix {
    /// Row-major N × N in the order of the experts, symmetric, values in [−1, 1]; 0 on the diagonal marks an
    /// expert that is zero.
    pub values: Vec<f32>,
    /// Things a reader should know.
    pub warnings: Vec<String>,
}

/// The experts that a metric compares, and how it reports and stops.
pub(in crate::analysis) struct Comparison<'a> {
    /// The experts with their modules aligned; weights are read on demand.
    pub alignment: &'a Alignment<'a>,
    pub cancel: &'a Cancel,
    progress: &'a mut dyn FnMut(usize, usize),
    /// Steps of a round, steps done before the next one, steps in all.
    steps: usize,
    done: usize,
    total: usize,
}

impl<'a> Comparison<'a> {
    /// Of experts that were scanned in the first `steps` of `total`.
    pub fn new(
        alignment: &'a Alignment<'a>,
        steps: usize,
        total: usize,
        progress: &'a mut dyn FnMut(usize, usize),
        cancel: &'a Cancel,
    ) -> Self {
        Self { alignment, cancel, progress, steps, done: steps, total }
    }

    /// Begins a round of progress, which reports (done, of) in any unit.
    pub fn round(&mut self) -> impl FnMut(usize, usize) {
        let (steps, before, total) = (self.steps, self.done, self.total);
        self.done += steps;
        move |done, of| (self.progress)(before + steps * done / of.max(1), total)
    }

    /// The inner products between all experts, one round.
    ///
    /// # Errors
    /// When a product is not finite, weights cannot be read or the comparison is cancelled.
    pub fn gram(&mut self, product: Product) -> Result<Gram> {
        let (alignment, cancel) = (self.alignment, self.cancel);
        let gram = gram(alignment, product, &mut self.round(), cancel)?;
        if !gram.is_finite() {
            return Err(Error::msg(
                "the similarity is not finite: the scales (alpha / r) of an expert are too large",
            ));
        }
        Ok(gram)
    }
}

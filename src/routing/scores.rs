//! The rows that a module reads, and how they score its experts.

use candle_core::Tensor;
use rayon::prelude::*;

use super::experts::StackedModule;
use crate::Result;
use crate::model::dot_rows::dot_rows;
use crate::model::generic;
use crate::model::tensor::values;

/// Rows of one task, at least and at most.
const ROWS: (usize, usize) = (4, 64);
/// Values of prototypes from which even one row's scores are computed on all threads.
const WORTH_THREADS: usize = 1 << 16;

/// Rows per task where there are `rows`: each thread gets some, and reads experts and prototypes but once.
pub(super) fn rows_per_task(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).next_multiple_of(ROWS.0).min(ROWS.1)
}

/// What a module reads in one pass, for the rules that weigh its experts.
pub struct ModuleRows<'a> {
    module: &'a StackedModule,
    input: RowsInput<'a>,
}

enum RowsInput<'a> {
    /// x [rows, in].
    Hidden(&'a Tensor),
    /// Rows of the one-hot matrix of an embedding.
    Tokens(&'a [u32]),
}

impl<'a> ModuleRows<'a> {
    /// x [rows, in] of a linear layer.
    pub(super) fn hidden(module: &'a StackedModule, x: &'a Tensor) -> Self {
        Self { module, input: RowsInput::Hidden(x) }
    }

    /// Tokens of an embedding.
    pub(super) fn tokens(module: &'a StackedModule, ids: &'a [u32]) -> Self {
        Self { module, input: RowsInput::Tokens(ids) }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        match self.input {
            RowsInput::Hidden(x) => x.elem_count() / self.module.in_features.max(1),
            RowsInput::Tokens(ids) => ids.len(),
        }
    }

    /// By expert: whether it has ΔW ≠ 0 here.
    pub fn candidates(&self) -> &'a [bool] {
        &self.module.candidate
    }

    /// Whether an expert has this module.
    pub fn has_module(&self, expert: usize) -> bool {
        self.module.loras.get(expert).is_some_and(Option::is_some)
    }

    /// x · prototypeᵀ [rows, experts].
    ///
    /// # Errors
    /// When the device fails.
    pub fn prototype_scores(&self) -> Result<Vec<f32>> {
        match self.input {
            RowsInput::Hidden(x) => scores(self.module, x),
            RowsInput::Tokens(ids) => {
                let score = |&token: &u32| {
                    let prototypes = self.module.prototypes.chunks(self.module.in_features);
                    prototypes.map(move |prototype| prototype[token as usize])
                };
                Ok(ids.iter().flat_map(score).collect())
            }
        }
    }
}

/// x · prototypeᵀ [rows, experts] for x [rows, in].
fn scores(module: &StackedModule, x: &Tensor) -> Result<Vec<f32>> {
    if generic::wanted(x) {
        return module.there.scores(module, x);
    }
    let x = values(x)?;
    let (i, experts) = (module.in_features, module.candidate.len());
    let rows = x.len() / i;
    let mut out = vec![0f32; rows * experts];
    let prototypes = &module.prototypes;
    if rows == 1 && prototypes.len() >= WORTH_THREADS {
        let some = experts.div_ceil(rayon::current_num_threads()).next_multiple_of(4);
        out.par_chunks_mut(some)
            .zip(prototypes.par_chunks(some * i))
            .for_each(|(out, prototypes)| dot_rows(&x, prototypes, i, out));
        return Ok(out);
    }
    let rows = rows_per_task(rows);
    out.par_chunks_mut(experts * rows)
        .zip(x.par_chunks(i * rows))
        .for_each(|(out, x)| dot_rows(x, prototypes, i, out));
    Ok(out)
}

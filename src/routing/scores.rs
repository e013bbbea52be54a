//! The rows that a module reads, and how they score its experts.

use super::experts::StackedModule;
use crate::Result;
use crate::model::{Activations, Ops};

/// What a module reads in one pass, for the rules that weigh its experts.
pub struct ModuleRows<'a> {
    module: &'a StackedModule,
    input: RowsInput<'a>,
}

enum RowsInput<'a> {
    /// x [rows, in].
    Hidden(&'a dyn Ops, &'a Activations),
    /// Rows of the one-hot matrix of an embedding.
    Tokens(&'a [u32]),
}

impl<'a> ModuleRows<'a> {
    /// x [rows, in] of a linear layer.
    pub(super) fn hidden(ops: &'a dyn Ops, module: &'a StackedModule, x: &'a Activations) -> Self {
        Self { module, input: RowsInput::Hidden(ops, x) }
    }

    /// Tokens of an embedding.
    pub(super) fn tokens(module: &'a StackedModule, ids: &'a [u32]) -> Self {
        Self { module, input: RowsInput::Tokens(ids) }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        match self.input {
            RowsInput::Hidden(_, x) => x.rows(),
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
            RowsInput::Hidden(ops, x) => ops.scores(x, &self.module.prototypes),
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

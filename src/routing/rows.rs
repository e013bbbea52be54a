//! The rows that a module reads in one pass, and what of them scores its experts.

use std::borrow::Cow;

use rayon::prelude::*;

use super::apply::{Input, Rows, Tokens};
use super::experts::StackedModule;
use super::own_data::STANDARD_EPS;
use crate::model::simd::dot;
use crate::model::{Activations, DeviceConst, Ops};
use crate::threads::rows_per_task;
use crate::{Error, Result};

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

    /// Number of experts.
    pub fn experts(&self) -> usize {
        self.module.candidate.len()
    }

    /// The module's position among the routed ones, in the order of the network.
    pub fn position(&self) -> usize {
        self.module.position
    }

    /// By expert: whether it has ΔW ≠ 0 here.
    pub fn candidates(&self) -> &'a [bool] {
        &self.module.candidate
    }

    /// Whether an expert has this module.
    pub fn has_module(&self, expert: usize) -> bool {
        self.module.loras.get(expert).is_some_and(Option::is_some)
    }

    /// Whether what the module reads are numbers.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn are_numbers(&self) -> Result<bool> {
        match self.input {
            RowsInput::Hidden(_, x) => Ok(x.values()?.iter().all(|x| x.is_finite())),
            RowsInput::Tokens(_) => Ok(true),
        }
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

    /// ‖Vᵀx‖ [rows, experts] or, `weighted`, ‖S Vᵀx‖ = ‖s·B·A·x‖, for every expert that is a candidate; 0 for others.
    ///
    /// # Errors
    /// When the device fails; when the spectra were not prepared.
    pub(super) fn spectral_scores(&self, weighted: bool) -> Result<Vec<f32>> {
        let spectra = self.module.spectra.get().ok_or_else(|| Error::msg("the spectra were not prepared"))?;
        let experts = self.experts();
        let mut scores = vec![0f32; self.count() * experts];
        let (found, owned);
        let along: &[f32] = match self.input {
            RowsInput::Hidden(_, x) => {
                found = spectra.along(x)?;
                owned = found.as_ref().map(Activations::values).transpose()?.unwrap_or_default();
                &owned
            }
            RowsInput::Tokens(ids) => {
                owned = Cow::Owned(spectra.along_tokens(ids));
                &owned
            }
        };
        let (rows, width) = (rows_per_task(self.count()), spectra.width());
        if width > 0 && experts > 0 {
            let tasks = scores.par_chunks_mut(experts * rows).zip(along.par_chunks(width * rows));
            tasks.for_each(|(scores, along)| spectra.lengths(along, scores, weighted));
        }
        Ok(scores)
    }

    /// Cosines [rows, experts] of the rows with `directions` [experts, in] of length 1; zeros where there are none.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn cosines(&self, directions: Option<&DeviceConst>) -> Result<Vec<f32>> {
        self.along(directions, |x| dot(x, x).sqrt().max(f32::MIN_POSITIVE), 1.0)
    }

    /// LN(x)·LN(g) / √in [rows, experts] for `gates` LN(g) [experts, in]; zeros where there are none.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn along_gates(&self, gates: Option<&DeviceConst>) -> Result<Vec<f32>> {
        let width = self.module.in_features.max(1) as f32;
        // The gates sum to 0, so that the mean of x does not count.
        let spread = |mean: f32, square: f32| (square - mean * mean + STANDARD_EPS).sqrt() * width.sqrt();
        let of_row = |x: &[f32]| {
            let mean = x.iter().sum::<f32>() / width;
            let square = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width;
            spread(0.0, square)
        };
        self.along(gates, of_row, spread(1.0 / width, 1.0 / width))
    }

    /// Products [rows, experts] of the rows with `directions` [experts, in], each row's divided by what `length` says of
    /// it, and by `of_one` for a row of the one-hot matrix of an embedding.
    fn along(
        &self,
        directions: Option<&DeviceConst>,
        length: impl Fn(&[f32]) -> f32,
        of_one: f32,
    ) -> Result<Vec<f32>> {
        let Some(directions) = directions else { return Ok(vec![0.0; self.count() * self.experts()]) };
        match self.input {
            RowsInput::Hidden(ops, x) => {
                let mut scores = ops.scores(x, directions)?;
                let values = x.values()?;
                let rows = values.chunks(x.width().max(1));
                for (scores, x) in scores.chunks_mut(self.experts().max(1)).zip(rows) {
                    let length = length(x);
                    scores.iter_mut().for_each(|score| *score /= length);
                }
                Ok(scores)
            }
            RowsInput::Tokens(ids) => {
                let of_token = |&token: &u32| {
                    let rows = directions.chunks(self.module.in_features);
                    rows.map(move |row| row[token as usize] / of_one)
                };
                Ok(ids.iter().flat_map(of_token).collect())
            }
        }
    }

    /// The rows, to ask for ‖s·B·A·x‖ of few experts of each.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn norms(&self) -> Result<Norms<'a>> {
        let x = match self.input {
            RowsInput::Hidden(_, x) => NormInput::Hidden(x.values()?),
            RowsInput::Tokens(ids) => NormInput::Tokens(ids),
        };
        Ok(Norms { module: self.module, x })
    }
}

/// Rows of a module, of which some experts' ‖s·B·A·x‖ are asked.
pub(super) struct Norms<'a> {
    module: &'a StackedModule,
    x: NormInput<'a>,
}

enum NormInput<'a> {
    Hidden(Cow<'a, [f32]>),
    Tokens(&'a [u32]),
}

impl Norms<'_> {
    /// ‖s·B·A·x‖ of a candidate for one row, infinite where its square overflows; 0 for others.
    pub fn of(&self, row: usize, expert: usize) -> f32 {
        let module = self.module;
        let Some(lora) = module.loras.get(expert).and_then(Option::as_ref) else { return 0.0 };
        let Some(gram) = module.grams().get(expert).filter(|gram| !gram.is_empty()) else { return 0.0 };
        let (a, mut scratch, mut z) = (module.a(lora), Vec::new(), vec![0f32; lora.rank]);
        match &self.x {
            NormInput::Hidden(x) => {
                let input = Rows { x, width: module.in_features };
                let ready = input.prepare(a, &mut scratch);
                input.project(a, ready, row, &mut z);
            }
            NormInput::Tokens(ids) => {
                let input = Tokens { ids, vocab: module.in_features };
                input.project(a, &[], row, &mut z);
            }
        }
        let rows = gram.chunks(lora.rank.max(1)).zip(&z);
        let square = rows.map(|(gram, own)| own * dot(gram, &z)).sum::<f32>();
        // Rounding may leave less than 0, and what overflows in both directions no number at all.
        if square.is_nan() { f32::INFINITY } else { square.max(0.0).sqrt() }
    }
}

/// What surveys found of the sequences that a pass works on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequences<'a> {
    /// By sequence: a number for each expert; its meaning is the rule's.
    pub found: &'a [Vec<f32>],
    /// By row: the number of its sequence; empty where there is one sequence only.
    pub of_row: &'a [u32],
}

impl<'a> Sequences<'a> {
    /// What was found of the sequence that a row belongs to.
    pub fn of(&self, row: usize) -> &'a [f32] {
        self.found.get(self.number(row)).map_or(&[], Vec::as_slice)
    }

    /// The number of the sequence that a row belongs to.
    pub fn number(&self, row: usize) -> usize {
        self.of_row.get(row).copied().unwrap_or(0) as usize
    }
}

//! The scores: how much an expert answers to one row of a module's input. A new one is a file here and a line in
//! [`SCORES`].

mod arrow;
mod measure;
mod norm;
mod subspace;

pub use measure::Measure;

use super::rows::ModuleRows;
use crate::Result;
use crate::named::{Named, by_name};

/// A score's entry in [`SCORES`].
#[derive(Debug)]
pub struct ScoreSpec {
    /// In text forms: `arrow`.
    pub id: &'static str,
    /// One line for help and docs, without a full stop.
    pub help: &'static str,
    /// What has to be prepared for it.
    pub needs: Needs,
    /// Scores of all experts [rows, experts], none negative; 0 for an expert that is no candidate.
    pub of: fn(&ModuleRows) -> Result<Vec<f32>>,
}

/// What a score is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Prototypes, which every set of experts has.
    Prototypes,
    /// All right singular vectors (`ExpertSet::prepare_spectra`).
    Spectra,
}

/// One of the scores.
#[derive(Clone, Copy, Debug)]
pub struct Score(&'static ScoreSpec);

/// Every score, in the order of help and docs. The first is the default.
pub static SCORES: &[Score] = &[Score(&arrow::SCORE), Score(&subspace::SCORE), Score(&norm::SCORE)];

impl std::ops::Deref for Score {
    type Target = ScoreSpec;

    fn deref(&self) -> &ScoreSpec {
        self.0
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Default for Score {
    fn default() -> Self {
        SCORES[0]
    }
}

impl Named for Score {
    const KIND: &'static str = "score";

    fn all() -> &'static [Self] {
        SCORES
    }

    fn name(&self) -> &'static str {
        self.0.id
    }

    fn help(&self) -> &'static str {
        self.0.help
    }
}
by_name!(Score);

impl Score {
    /// Its place in the table.
    pub(super) fn index(self) -> usize {
        SCORES.iter().position(|score| *score == self).unwrap_or(0)
    }

    /// |x · prototype|.
    pub(super) const fn arrow() -> Self {
        Self(&arrow::SCORE)
    }

    /// ‖Vᵀx‖.
    pub(super) const fn subspace() -> Self {
        Self(&subspace::SCORE)
    }

    /// ‖s·B·A·x‖.
    pub(super) const fn norm() -> Self {
        Self(&norm::SCORE)
    }
}

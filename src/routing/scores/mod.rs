//! The scores: how much an expert answers to one row of a module's input. A new one is a file here and a line in
//! [`SCORES`].

mod arrow;
mod centroid;
mod measure;
mod norm;
mod phatgoose;
mod subspace;

pub use measure::Measure;

use super::own_data::Known;
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
    /// Scores of all experts [rows, experts]; without meaning for an expert that is no candidate.
    pub of: fn(&ModuleRows, &Known) -> Result<Vec<f32>>,
}

/// What a score is made from, or a router: the later ones take longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Prototypes, which every set of experts has.
    Prototypes,
    /// All right singular vectors (`ExpertSet::prepare_spectra`).
    Spectra,
    /// What the experts' own prompts look like.
    OwnData,
    /// That, and a regression that discerns their prompts.
    Regression,
    /// Gates that were trained on the experts' own examples.
    Gates,
}

/// One of the scores.
#[derive(Clone, Copy, Debug)]
pub struct Score(&'static ScoreSpec);

/// Every score, in the order of help and docs. The first is the default.
pub static SCORES: &[Score] = &[
    Score(&arrow::SCORE),
    Score(&subspace::SCORE),
    Score(&norm::SCORE),
    Score(&centroid::SCORE),
    Score(&phatgoose::SCORE),
];

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

    /// Cosine with the mean input of the expert's own prompts.
    pub(super) const fn centroid() -> Self {
        Self(&centroid::SCORE)
    }

    /// Along the expert's trained gate.
    pub(super) const fn phatgoose() -> Self {
        Self(&phatgoose::SCORE)
    }

    /// Whether it can be computed from what is known.
    pub(super) fn is_known(self, known: &Known) -> bool {
        match self.needs {
            Needs::Prototypes | Needs::Spectra => true,
            Needs::OwnData | Needs::Regression => known.own.is_some(),
            Needs::Gates => known.gates.is_some(),
        }
    }
}

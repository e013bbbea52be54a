//! A score as a router uses it.

use std::sync::Arc;

use super::Score;
use crate::Result;
use crate::routing::calibration::Calibration;
use crate::routing::own_data::Known;
use crate::routing::rows::ModuleRows;

/// A score, calibrated or not.
#[derive(Clone, Debug)]
pub struct Measure {
    /// Which one.
    pub score: Score,
    /// What it is made from, beside the experts' weights.
    pub known: Known,
    /// Turns it into its deviation from what is usual for an expert at a module.
    pub calibration: Option<Arc<Calibration>>,
}

impl Measure {
    /// Scores of all experts [rows, experts]; without meaning where one is no candidate.
    ///
    /// # Errors
    /// When the device fails.
    pub fn of(&self, rows: &ModuleRows) -> Result<Vec<f32>> {
        let mut scores = self.raw(rows)?;
        if let Some(calibration) = &self.calibration {
            calibration.apply(self.score, rows.position(), &mut scores);
        }
        Ok(scores)
    }

    /// The first of those of whom `asked` holds whose score is no number at some of the rows, which are numbers.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(in crate::routing) fn broken(
        &self,
        rows: &ModuleRows,
        asked: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>> {
        if !rows.are_numbers()? {
            return Ok(None);
        }
        let (scores, candidates) = (self.raw(rows)?, rows.candidates());
        let broken = |e: &usize| {
            let own = scores.iter().skip(*e).step_by(candidates.len().max(1));
            candidates[*e] && asked(*e) && !own.copied().all(f32::is_finite)
        };
        Ok((0..candidates.len()).find(broken))
    }

    /// [`Self::of`] before it is calibrated.
    ///
    /// # Errors
    /// As there.
    pub fn raw(&self, rows: &ModuleRows) -> Result<Vec<f32>> {
        (self.score.of)(rows, &self.known)
    }
}

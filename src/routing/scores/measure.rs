//! A score as a router uses it.

use std::sync::Arc;

use super::Score;
use crate::routing::calibration::Calibration;
use crate::routing::rows::ModuleRows;
use crate::{Error, Result};

/// A score, calibrated or not.
#[derive(Clone, Debug)]
pub struct Measure {
    /// Which one.
    pub score: Score,
    /// Turns it into its deviation from what is usual for an expert at a module.
    pub calibration: Option<Arc<Calibration>>,
}

impl Measure {
    /// Scores of all experts [rows, experts]; without meaning where one is no candidate.
    ///
    /// # Errors
    /// When the device fails; scores that are not finite.
    pub fn of(&self, rows: &ModuleRows) -> Result<Vec<f32>> {
        let mut scores = (self.score.of)(rows)?;
        // As whole numbers, of which many are compared at once.
        let magnitude = |score: &f32| score.to_bits() & !(1 << 31);
        if scores.iter().map(magnitude).fold(0, u32::max) >= f32::INFINITY.to_bits() {
            return Err(Error::msg(
                "the experts' scores are not finite: the base model's values overflow on this prompt",
            ));
        }
        if let Some(calibration) = &self.calibration {
            calibration.apply(self.score, rows.position(), &mut scores);
        }
        Ok(scores)
    }
}

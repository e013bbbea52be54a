//! What is known of experts beside their weights.

use std::sync::Arc;

use super::gates::Gates;
use super::table::OwnData;
use crate::{Error, Result};

/// What is known of experts beside their weights, as far as it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What their own prompts look like.
    pub own: Option<Arc<OwnData>>,
    /// Gates that were trained for them.
    pub gates: Option<Arc<Gates>>,
}

impl Known {
    /// What the experts' own prompts look like.
    ///
    /// # Errors
    /// When that was not found out.
    pub fn own(&self) -> Result<Arc<OwnData>> {
        self.own.clone().ok_or_else(|| Error::msg("the experts' own prompts were not looked at"))
    }

    /// The experts' gates.
    ///
    /// # Errors
    /// When none were trained.
    pub fn gates(&self) -> Result<Arc<Gates>> {
        self.gates.clone().ok_or_else(|| Error::msg("the experts' gates were not trained"))
    }

    /// Names what it follows from.
    pub(in crate::routing) fn key(&self) -> String {
        let own = self.own.as_ref().map_or("", |own| own.key.as_str());
        let gates = self.gates.as_ref().map_or("", |gates| gates.key.as_str());
        format!("{own} {gates}")
    }
}

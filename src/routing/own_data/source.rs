//! Where experts' own prompts come from.

use std::fmt;
use std::sync::Arc;

use super::gates::GateTrainer;
use crate::Result;
use crate::routing::calibration::CalibrationText;

/// Some prompts that an expert was trained on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnPrompts {
    /// The expert's name.
    pub expert: String,
    /// None where its data is not known.
    pub texts: Vec<CalibrationText>,
    /// The right answers to them, in their order; none where they are not known.
    pub answers: Vec<OwnAnswer>,
}

/// A right answer.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnAnswer {
    /// Text, without the template's end.
    Text(String),
    /// Token ids as they are.
    Tokens(Vec<u32>),
}

/// Finds the experts' own prompts when they are needed.
type Find = dyn Fn(&[String]) -> Result<Vec<OwnPrompts>> + Send + Sync;

/// Finds the own prompts of the experts with these names, in their order, and trains gates on them where it can.
#[derive(Clone)]
pub struct OwnSource {
    find: Arc<Find>,
    trainer: Option<GateTrainer>,
}

impl OwnSource {
    /// Prompts that `find` finds.
    pub fn new(find: impl Fn(&[String]) -> Result<Vec<OwnPrompts>> + Send + Sync + 'static) -> Self {
        Self { find: Arc::new(find), trainer: None }
    }

    /// The same with what trains gates.
    #[must_use]
    pub fn with_gates(self, trainer: GateTrainer) -> Self {
        Self { trainer: Some(trainer), ..self }
    }

    /// Finds them.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub(in crate::routing) fn find(&self, experts: &[String]) -> Result<Vec<OwnPrompts>> {
        (self.find)(experts)
    }

    /// What trains gates.
    pub(in crate::routing) fn trainer(&self) -> Option<GateTrainer> {
        self.trainer
    }
}

impl fmt::Debug for OwnSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnSource")
    }
}

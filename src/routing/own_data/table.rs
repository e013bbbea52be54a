//! What was found about the experts' own prompts.

use crate::model::DeviceConst;
use crate::routing::calibration::CalibrationText;

/// Some prompts that an expert was trained on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnPrompts {
    /// The expert's name.
    pub expert: String,
    /// None where its data is not known.
    pub texts: Vec<CalibrationText>,
}

/// What the base model makes of the experts' own prompts.
#[derive(Clone, Debug, Default)]
pub struct OwnData {
    /// By module: the direction of the mean input over each expert's own prompts [experts, in], unit length.
    pub(in crate::routing) centroids: Vec<DeviceConst>,
    /// The direction of the mean state in the middle of the network over each expert's own prompts
    /// [experts, hidden], unit length.
    pub(in crate::routing) states: Vec<f32>,
    /// Weights [experts, hidden + 1] of a logistic regression from a prompt's mean state to its expert; the last
    /// one of each is the bias.
    pub(in crate::routing) regression: Vec<f32>,
    /// Prompts that were seen.
    pub prompts: usize,
}

/// The linear layer whose input is the state in the middle of a network of so many blocks.
pub(in crate::routing) fn middle(blocks: usize, slots: usize) -> usize {
    blocks / 2 * slots
}

/// A vector of length 1, or zeros.
pub(super) fn unit(vector: &[f64]) -> impl Iterator<Item = f32> + '_ {
    let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    vector.iter().map(move |v| if length > 0.0 { (v / length) as f32 } else { 0.0 })
}

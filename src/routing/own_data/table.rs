//! What was found about the experts' own prompts.

use super::look::OwnLook;
use crate::model::DeviceConst;
use crate::routing::experts::ExpertSet;

/// What the base model makes of the experts' own prompts.
#[derive(Clone, Debug, Default)]
pub struct OwnData {
    /// By module: the direction of the mean input over each expert's own prompts [experts, in], unit length; zeros for an
    /// expert that has not the module.
    pub(in crate::routing) centroids: Vec<DeviceConst>,
    /// The direction of the mean state in the middle of the network over each expert's own prompts
    /// [experts, hidden], unit length.
    pub(in crate::routing) states: DeviceConst,
    /// Weights [experts, hidden + 1] of a logistic regression from a prompt's mean state to its expert; the last
    /// one of each is the bias. Empty where nobody asked for it.
    pub(in crate::routing) regression: Vec<f32>,
    /// Prompts that were seen.
    pub prompts: usize,
    /// Names what it follows from.
    pub(in crate::routing) key: String,
}

impl OwnData {
    /// Of `experts` with what their own prompts look like, on a base model with states of so many numbers.
    pub(in crate::routing) fn of(experts: &ExpertSet, hidden: usize, looks: &[OwnLook]) -> Self {
        let count = experts.len();
        let mut centroids: Vec<Vec<f32>> =
            experts.stacked().map(|module| vec![0.0; count * module.in_features]).collect();
        let mut states = Vec::with_capacity(count * hidden);
        for (e, look) in looks.iter().enumerate() {
            for (module, centroid) in experts.modules_of(e).zip(&look.centroids) {
                centroids[module.position][e * centroid.len()..][..centroid.len()].copy_from_slice(centroid);
            }
            let mut mean = vec![0f64; hidden];
            for state in look.states.chunks(hidden.max(1)) {
                mean.iter_mut().zip(state).for_each(|(mean, s)| *mean += s);
            }
            states.extend(unit(&mean));
        }
        let prompts = looks.iter().map(|look| look.states.len() / hidden.max(1)).sum();
        let centroids = centroids.into_iter().map(DeviceConst::from).collect();
        Self { centroids, states: states.into(), prompts, ..Self::default() }
    }

    /// The same under the name of what it follows from.
    #[must_use]
    pub(in crate::routing) fn keyed(self, key: &str) -> Self {
        Self { key: key.to_string(), ..self }
    }
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

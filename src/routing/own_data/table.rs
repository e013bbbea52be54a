//! What was found about the experts' own prompts.

use crate::model::DeviceConst;
use crate::routing::experts::ExpertSet;
use crate::routing::tensor_cache::{Kept, Wanted};

/// What the base model makes of the experts' own prompts.
#[derive(Clone, Debug, Default)]
pub struct OwnData {
    /// By module: the direction of the mean input over each expert's own prompts [experts, in], unit length.
    pub(in crate::routing) centroids: Vec<DeviceConst>,
    /// The direction of the mean state in the middle of the network over each expert's own prompts
    /// [experts, hidden], unit length.
    pub(in crate::routing) states: DeviceConst,
    /// Weights [experts, hidden + 1] of a logistic regression from a prompt's mean state to its expert; the last
    /// one of each is the bias.
    pub(in crate::routing) regression: Vec<f32>,
    /// Prompts that were seen.
    pub prompts: usize,
    /// Names what it follows from.
    pub(in crate::routing) key: String,
}

impl OwnData {
    /// As it is kept on disk.
    pub(in crate::routing) fn tensors(&self) -> Vec<Kept> {
        let centroids = self.centroids.iter().enumerate();
        let mut all: Vec<Kept> = centroids.map(|(at, c)| Kept::f32(format!("centroid.{at}"), c)).collect();
        all.push(Kept::f32("states".into(), &self.states));
        all.push(Kept::f32("regression".into(), &self.regression));
        all
    }

    /// From [`Self::tensors`] in their order.
    pub(in crate::routing) fn of_tensors(mut tensors: Vec<Vec<f32>>, prompts: usize) -> Option<Self> {
        let (regression, states) = (tensors.pop()?, tensors.pop()?);
        let centroids = tensors.into_iter().map(DeviceConst::from).collect();
        Some(Self { centroids, states: states.into(), regression, prompts, key: String::new() })
    }

    /// The same under the name of what it follows from.
    #[must_use]
    pub(in crate::routing) fn keyed(self, key: &str) -> Self {
        Self { key: key.to_string(), ..self }
    }
}

/// What is kept on disk of the own data of `experts`, on a base model with states of so many numbers.
pub(in crate::routing) fn own_tensors(experts: &ExpertSet, hidden: usize) -> Vec<Wanted> {
    let count = experts.len();
    let modules = experts.stacked().enumerate();
    let mut all: Vec<Wanted> = modules
        .map(|(at, module)| Wanted::f32(format!("centroid.{at}"), (count, module.in_features)))
        .collect();
    all.push(Wanted::f32("states".into(), (count, hidden)));
    all.push(Wanted::f32("regression".into(), (count, hidden + 1)));
    all
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

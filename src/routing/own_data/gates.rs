//! Gates of experts at modules, for PHATGOOSE.

use crate::model::{DeviceConst, Model};
use crate::routing::experts::ExpertSet;
use crate::routing::tensor_cache::{Kept, Wanted};
use crate::{Cancel, Result};

/// Added to the variance of what is standardised, as in torch's LayerNorm.
pub(in crate::routing) const STANDARD_EPS: f32 = 1e-5;

/// A gate g of length in for every expert at every module.
#[derive(Clone, Debug, Default)]
pub struct Gates {
    /// By module [experts, in], as they were trained; zeros where there is none.
    raw: Vec<Vec<f32>>,
    /// The same with mean 0 and deviation 1 each.
    standard: Vec<DeviceConst>,
    /// Names what they follow from.
    pub(super) key: String,
}

/// What gates are trained from.
pub struct GateJob<'a> {
    /// The experts, which stay as they are.
    pub experts: &'a ExpertSet,
    /// The base model, likewise.
    pub model: &'a Model,
    /// By expert: (prompt, answer) in tokens, neither empty.
    pub examples: &'a [Vec<(Vec<u32>, Vec<u32>)>],
}

/// Trains gates; `progress` hears how many of how many steps are done.
pub type GateTrainer = fn(&GateJob, progress: &mut dyn FnMut(usize, usize), cancel: &Cancel) -> Result<Gates>;

impl Gates {
    /// From the gates of every module [experts, in], in the order of the network, for experts at modules of `widths`.
    pub fn new(raw: Vec<Vec<f32>>, widths: &[usize]) -> Self {
        let standard = |(gates, &width): (&Vec<f32>, &usize)| {
            let rows = gates.chunks(width.max(1));
            rows.flat_map(standardised).collect::<Vec<f32>>().into()
        };
        let standard = raw.iter().zip(widths).map(standard).collect();
        Self { raw, standard, key: String::new() }
    }

    /// The same under the name of what they follow from.
    #[must_use]
    pub(in crate::routing) fn keyed(self, key: &str) -> Self {
        Self { key: key.to_string(), ..self }
    }

    /// Standardised gates [experts, in] at a module, by its position.
    pub(in crate::routing) fn at(&self, position: usize) -> Option<&DeviceConst> {
        self.standard.get(position)
    }

    /// Gates [experts, in] at a module as they were trained.
    pub fn raw(&self, position: usize) -> &[f32] {
        self.raw.get(position).map_or(&[], Vec::as_slice)
    }

    /// As they are kept on disk.
    pub(in crate::routing) fn tensors(&self) -> Vec<Kept> {
        self.raw.iter().enumerate().map(|(at, gates)| Kept::f32(format!("gates.{at}"), gates)).collect()
    }
}

/// What is kept on disk of the gates of `experts`.
pub(in crate::routing) fn gate_tensors(experts: &ExpertSet) -> Vec<Wanted> {
    let modules = experts.stacked().enumerate();
    modules
        .map(|(at, module)| Wanted::f32(format!("gates.{at}"), (experts.len(), module.in_features)))
        .collect()
}

/// (g − mean) / √(variance + ε), as torch's LayerNorm without weights.
fn standardised(gate: &[f32]) -> Vec<f32> {
    let count = gate.len().max(1) as f64;
    let mean = gate.iter().map(|g| f64::from(*g)).sum::<f64>() / count;
    let variance = gate.iter().map(|g| (f64::from(*g) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + f64::from(STANDARD_EPS)).sqrt();
    gate.iter().map(|g| ((f64::from(*g) - mean) * scale) as f32).collect()
}

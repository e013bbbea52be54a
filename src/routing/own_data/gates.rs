//! Gates of experts at modules, for PHATGOOSE.

use crate::model::{DeviceConst, Model};
use crate::routing::experts::{ExpertSet, StackedModule};
use crate::{Cancel, Error, Result};

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

/// What the gates of one expert are trained from.
pub struct GateJob<'a> {
    /// The experts, which stay as they are.
    pub experts: &'a ExpertSet,
    /// The base model, likewise.
    pub model: &'a Model,
    /// The number of the expert.
    pub expert: usize,
    /// (Prompt, answer) in tokens, neither empty.
    pub examples: &'a [(Vec<u32>, Vec<u32>)],
}

impl GateJob<'_> {
    /// Whether they can be trained.
    ///
    /// # Errors
    /// An expert with DoRA or biases of B; one without examples.
    pub fn check(&self) -> Result<()> {
        let name = self.experts.names.get(self.expert).map_or("an expert", String::as_str);
        if self.examples.is_empty() {
            return Err(Error::usage(format!("there are no examples to train gates of {name} on")));
        }
        let has_extras = |module: &StackedModule| {
            module.loras.get(self.expert).and_then(Option::as_ref).is_some_and(|lora| lora.extras.is_some())
        };
        if gated(self.experts, self.expert).any(has_extras) {
            return Err(Error::usage(format!(
                "{name} has DoRA or biases of B, which phatgoose cannot gate: use another router, or leave the expert out \
                 with --mute"
            )));
        }
        Ok(())
    }
}

/// Trains the gates of one expert: (position of a module among the routed ones, gate [in]) in the order of [`gated`].
/// `progress` hears how many of how many steps are done.
pub type TrainGates =
    fn(&GateJob, progress: &mut dyn FnMut(usize, usize), cancel: &Cancel) -> Result<Vec<(usize, Vec<f32>)>>;

/// What trains gates.
#[derive(Clone, Copy, Debug)]
pub struct GateTrainer {
    /// Does it.
    pub train: TrainGates,
    /// Its settings as text: other settings are other gates.
    pub settings: fn() -> String,
}

/// The modules at which an expert, by its number, has a gate, in the order of the network: all of its own but embedding and
/// head.
pub(in crate::routing) fn gated(experts: &ExpertSet, expert: usize) -> impl Iterator<Item = &StackedModule> {
    let layers = experts.linears.len().saturating_sub(1);
    experts.linears.iter().take(layers).flatten().filter(move |module| module.has(expert))
}

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
}

/// (g − mean) / √(variance + ε), as torch's LayerNorm without weights.
fn standardised(gate: &[f32]) -> Vec<f32> {
    let count = gate.len().max(1) as f64;
    let mean = gate.iter().map(|g| f64::from(*g)).sum::<f64>() / count;
    let variance = gate.iter().map(|g| (f64::from(*g) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + f64::from(STANDARD_EPS)).sqrt();
    gate.iter().map(|g| ((f64::from(*g) - mean) * scale) as f32).collect()
}

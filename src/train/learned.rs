//! What a training learns: A and B of every module, or the weights of experts that stay as they are.

use super::TrainSpec;
use super::blending::BlendTrainer;
use super::lora::LoraTrainer;
use super::one::Adapted;
use super::optimiser::{AdamW, clip};
use crate::Result;
use crate::library::AdaptedFrom;
use crate::model::Decoder;

/// What is learned, and the factors that the passes use.
pub(super) struct Learned {
    pub lora: LoraTrainer,
    /// Where weights of experts are learned: `lora` has their factors, weighed.
    blend: Option<BlendTrainer>,
}

impl Learned {
    /// As it is before the first step; factors are those of a new LoRA.
    ///
    /// # Errors
    /// Targets, or modules of experts, that the model does not have.
    pub(super) fn begin(decoder: &Decoder, spec: &TrainSpec, adapted: Option<&Adapted>) -> Result<Self> {
        let TrainSpec { targets, rank, alpha, dropout, seed, .. } = spec;
        let Some(blend) = adapted.and_then(|adapted| adapted.blend.as_ref()) else {
            let lora = LoraTrainer::new(decoder, targets, *rank, *alpha, *dropout, *seed)?;
            return Ok(Self { lora, blend: None });
        };
        let lora = LoraTrainer::stacked(decoder, blend, *dropout, *seed)?;
        let mut learned = Self { blend: Some(BlendTrainer::new(blend, &lora)), lora };
        learned.restored();
        Ok(learned)
    }

    /// Whether weights of experts are learned.
    pub(super) fn is_blend(&self) -> bool {
        self.blend.is_some()
    }

    /// The highest learning rate.
    pub(super) fn rate(&self, spec: &TrainSpec) -> f64 {
        self.blend.as_ref().map_or(spec.learning_rate, |blend| blend.rate)
    }

    /// A step of the optimiser with the gradients that have arrived.
    ///
    /// # Errors
    /// A gradient that is not finite.
    pub(super) fn learn(&mut self, optimiser: &mut AdamW, limit: Option<f64>, rate: f64) -> Result<()> {
        let Self { lora, blend } = self;
        let clipped = |mut gradients: Vec<&mut [f32]>| {
            if let Some(limit) = limit {
                clip(&mut gradients, limit);
            }
        };
        if let Some(blend) = blend {
            blend.take_gradients(lora);
            clipped(blend.gradients());
            let (mut logits, gradients) = blend.learnable();
            optimiser.step(&mut logits, &gradients, rate)?;
            blend.apply(lora);
            return Ok(());
        }
        clipped(lora.gradients());
        let (mut parameters, mut gradients) = (Vec::new(), Vec::new());
        for m in &mut lora.modules {
            parameters.extend([&mut m.a, &mut m.bt]);
            gradients.extend([m.grad_a.as_slice(), m.grad_bt.as_slice()]);
        }
        optimiser.step(&mut parameters, &gradients, rate)
    }

    /// What is learned, by name: A and Bᵀ of each module, or its weights' logits.
    pub(super) fn parameters(&self) -> Vec<(String, &Vec<f32>)> {
        let modules = self.lora.modules.iter();
        match &self.blend {
            Some(blend) => modules.map(|m| format!("{}.weights", m.module)).zip(blend.logits()).collect(),
            None => modules
                .flat_map(|m| {
                    [(format!("{}.lora_A", m.module), &m.a), (format!("{}.lora_Bt", m.module), &m.bt)]
                })
                .collect(),
        }
    }

    /// The same, to be changed; [`Self::restored`] follows.
    pub(super) fn parameters_mut(&mut self) -> Vec<(String, &mut Vec<f32>)> {
        let modules = self.lora.modules.iter_mut();
        match &mut self.blend {
            Some(blend) => modules.map(|m| format!("{}.weights", m.module)).zip(blend.logits_mut()).collect(),
            None => modules
                .flat_map(|m| {
                    [(format!("{}.lora_A", m.module), &mut m.a), (format!("{}.lora_Bt", m.module), &mut m.bt)]
                })
                .collect(),
        }
    }

    /// Takes in parameters that were changed.
    pub(super) fn restored(&mut self) {
        if let Some(blend) = &self.blend {
            blend.apply(&mut self.lora);
        }
    }

    /// What the expert was adapted from, with the weights that were learned.
    pub(super) fn adapted_from(&self, from: &AdaptedFrom) -> AdaptedFrom {
        let mut from = from.clone();
        if let Some(blend) = &self.blend {
            let learned = from.experts.iter_mut().zip(blend.mean_weights());
            learned.for_each(|(expert, weight)| expert.weight = weight);
        }
        from
    }
}

//! Routing weights alone: the factors of several experts stay as they are, and how much each of them counts at each module
//! is learned.
//!
//! With A and B of all experts stacked, y += Σₑ wₑ·sₑ·Bₑ·Aₑ·x, and w = softmax(θ) at each module. The backward pass is
//! that of the stacked factors: dL/dwₑ = Σ dL/d(wₑsₑBₑ) ⊙ sₑBₑ, and dL/dθₑ = wₑ (dL/dwₑ − Σⱼ wⱼ dL/dwⱼ).

use std::ops::Range;

use super::blend::{Blend, BlendModule};
use super::lora::{LoraTrainer, TrainedLora};

/// The weights of one module while they are learned.
#[derive(Clone, Debug)]
struct Weighed {
    /// θ by expert; all 0 at the start, so that all weights are the same.
    logits: Vec<f32>,
    /// dL/dθ.
    gradient: Vec<f32>,
    /// The experts with their rows of the stacked factors.
    rows: Vec<(usize, Range<usize>)>,
    /// [stacked rank, out]: sₑBₑ transposed, as long as nobody weighs it.
    bt: Vec<f32>,
}

/// The weights of all modules while they are learned.
#[derive(Clone, Debug)]
pub(super) struct BlendTrainer {
    modules: Vec<Weighed>,
    pub rate: f64,
}

/// w = softmax(θ).
fn softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

impl BlendTrainer {
    /// Of the stacked factors of `blend`, which `lora` has, unweighted.
    pub(super) fn new(blend: &Blend, lora: &LoraTrainer) -> Self {
        let weighed = |(module, lora): (&BlendModule, &TrainedLora)| {
            let mut from = 0;
            let rows = module.parts.iter().map(|part| {
                let rows = from..from + part.rank;
                from = rows.end;
                (part.expert, rows)
            });
            let (logits, gradient) = (vec![0.0; blend.experts], vec![0.0; blend.experts]);
            Weighed { logits, gradient, rows: rows.collect(), bt: lora.bt.clone() }
        };
        // The trainer has them in the order of the network.
        let of = |lora: &TrainedLora| blend.modules.iter().find(|m| m.module == lora.module);
        let modules = lora.modules.iter().filter_map(|lora| Some(weighed((of(lora)?, lora)))).collect();
        Self { modules, rate: blend.rate }
    }

    /// Weighs the factors of `lora`.
    pub(super) fn apply(&self, lora: &mut LoraTrainer) {
        for (weighed, module) in self.modules.iter().zip(&mut lora.modules) {
            let (weights, out) = (softmax(&weighed.logits), module.out_features);
            for (expert, rows) in &weighed.rows {
                let weight = weights[*expert] as f32;
                let rows = rows.start * out..rows.end * out;
                let pairs = module.bt[rows.clone()].iter_mut().zip(&weighed.bt[rows]);
                pairs.for_each(|(weighted, own)| *weighted = weight * own);
            }
        }
    }

    /// Takes the gradients of θ from those of the stacked factors.
    pub(super) fn take_gradients(&mut self, lora: &LoraTrainer) {
        for (weighed, module) in self.modules.iter_mut().zip(&lora.modules) {
            let (weights, out) = (softmax(&weighed.logits), module.out_features);
            let mut by_weight = vec![0.0f64; weights.len()];
            for (expert, rows) in &weighed.rows {
                let rows = rows.start * out..rows.end * out;
                let pairs = module.grad_bt[rows.clone()].iter().zip(&weighed.bt[rows]);
                by_weight[*expert] = pairs.map(|(g, own)| f64::from(*g) * f64::from(*own)).sum();
            }
            let mean: f64 = weights.iter().zip(&by_weight).map(|(weight, g)| weight * g).sum();
            for ((theta, weight), g) in weighed.gradient.iter_mut().zip(&weights).zip(&by_weight) {
                *theta = (weight * (g - mean)) as f32;
            }
        }
    }

    /// The gradients of θ, module by module.
    pub(super) fn gradients(&mut self) -> Vec<&mut [f32]> {
        self.modules.iter_mut().map(|weighed| weighed.gradient.as_mut_slice()).collect()
    }

    /// θ and its gradient, module by module.
    pub(super) fn learnable(&mut self) -> (Vec<&mut Vec<f32>>, Vec<&[f32]>) {
        self.modules.iter_mut().map(|Weighed { logits, gradient, .. }| (logits, gradient.as_slice())).unzip()
    }

    /// θ, module by module.
    pub(super) fn logits(&self) -> impl Iterator<Item = &Vec<f32>> {
        self.modules.iter().map(|weighed| &weighed.logits)
    }

    /// θ, to be changed.
    pub(super) fn logits_mut(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        self.modules.iter_mut().map(|weighed| &mut weighed.logits)
    }

    /// The mean weight of each expert over the modules.
    pub(super) fn mean_weights(&self) -> Vec<f64> {
        let mut means = Vec::new();
        for weighed in &self.modules {
            let weights = softmax(&weighed.logits);
            means.resize(weights.len(), 0.0);
            means.iter_mut().zip(&weights).for_each(|(mean, weight)| *mean += weight);
        }
        means.iter_mut().for_each(|mean| *mean /= self.modules.len().max(1) as f64);
        means
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::blend::BlendPart;
    use super::super::encode::Encoded;
    use super::super::pass::{self, Share};
    use super::*;
    use crate::Cancel;
    use crate::model::{LoadOptions, Model};

    #[test]
    fn equal_logits_are_equal_weights_and_large_ones_do_not_overflow() {
        assert_eq!(softmax(&[0.0; 4]), [0.25; 4]);
        let weights = softmax(&[1000.0, 1000.0, -1000.0]);
        assert_eq!(weights, [0.5, 0.5, 0.0]);
    }

    /// Three experts of different ranks, one of which lacks a module.
    fn blend(model: &Model) -> Blend {
        let value = |seed: usize, i: usize| ((i * 37 + seed * 101) % 97) as f32 / 97.0 - 0.5;
        let names = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"];
        let modules = names.iter().enumerate().map(|(at, name)| {
            let linear = model.decoder.linears().into_iter().find(|linear| linear.module == *name).unwrap();
            let (in_features, out_features) = (linear.in_features, linear.out_features);
            let part = |expert: usize| {
                let rank = expert + 1;
                let a = (0..rank * in_features).map(|i| value(7 * expert + at, i)).collect();
                let b = (0..rank * out_features).map(|i| value(11 * expert + at + 3, i)).collect();
                BlendPart { expert, rank, a, b }
            };
            let parts = (0..3).filter(|expert| (at, *expert) != (1, 1)).map(part).collect();
            BlendModule { module: (*name).into(), file_name: None, in_features, out_features, parts }
        });
        Blend { experts: 3, modules: modules.collect(), rate: 0.1 }
    }

    fn loss(model: &Model, lora: &mut LoraTrainer, examples: &[Encoded], train: bool) -> f64 {
        lora.begin(train.then_some(0));
        let outputs: usize = examples.iter().map(|example| example.output.len()).sum();
        let share = Share { lora, batch: examples.iter().collect(), weight: 1.0 / outputs as f32 };
        let sums = pass::run(model, &mut [share], train.then_some(false), &Cancel::new()).unwrap();
        sums[0].0 / outputs as f64
    }

    #[test]
    fn gradients_of_weights_are_those_of_differences() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/llama/base");
        let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
        let model = Model::load(&base, &options, &mut |_, _| {}, &Cancel::new()).unwrap();
        let blend = blend(&model);
        let mut lora = LoraTrainer::stacked(&model.decoder, &blend, 0.0, 1).unwrap();
        let mut trainer = BlendTrainer::new(&blend, &lora);
        let example =
            |from: u32| Encoded { prompt: vec![from, from + 1], output: vec![from + 2, 3, 4], cut: false };
        let examples = [example(5), example(9)];
        // Away from the start, where all weights are the same.
        for (at, theta) in trainer.logits_mut().flatten().enumerate() {
            *theta = [0.5, -0.25, 0.125, 0.0][at % 4];
        }
        trainer.apply(&mut lora);
        loss(&model, &mut lora, &examples, true);
        trainer.take_gradients(&lora);
        let found: Vec<f32> = trainer.gradients().into_iter().flat_map(|g| g.to_vec()).collect();
        assert_eq!(found.len(), 6);
        let largest = found.iter().fold(0.0f32, |most, g| most.max(g.abs()));
        assert!(largest > 1e-3, "{found:?}");
        for (at, gradient) in found.iter().enumerate() {
            let step = 0.02f32;
            let mut at_step = |step: f32| {
                let mut moved = trainer.clone();
                *moved.logits_mut().flatten().nth(at).unwrap() += step;
                moved.apply(&mut lora);
                loss(&model, &mut lora, &examples, false)
            };
            let difference = (at_step(step) - at_step(-step)) / (2.0 * f64::from(step));
            let error = (difference - f64::from(*gradient)).abs();
            assert!(error < 0.02 * f64::from(largest), "{at}: {gradient} and {difference}");
        }
        // Of a module, they sum to 0: adding the same to all changes nothing.
        assert!(found.chunks(3).all(|of| of.iter().sum::<f32>().abs() < 1e-4 * largest.max(1.0)));
    }

    #[test]
    fn the_start_is_the_mean_of_the_experts() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/llama/base");
        let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
        let model = Model::load(&base, &options, &mut |_, _| {}, &Cancel::new()).unwrap();
        let blend = blend(&model);
        let mut lora = LoraTrainer::stacked(&model.decoder, &blend, 0.0, 1).unwrap();
        let trainer = BlendTrainer::new(&blend, &lora);
        trainer.apply(&mut lora);
        assert_eq!(trainer.mean_weights(), [1.0 / 3.0; 3]);
        for (module, trained) in blend.modules.iter().zip(&lora.modules) {
            let made = trained.to_new();
            let mut expected = Vec::new();
            for o in 0..module.out_features {
                for part in &module.parts {
                    expected.extend(part.b[o * part.rank..(o + 1) * part.rank].iter().map(|b| b / 3.0));
                }
            }
            let apart = made.b.iter().zip(&expected).fold(0.0f32, |most, (x, y)| most.max((x - y).abs()));
            assert!(made.b.len() == expected.len() && apart < 1e-6, "{apart}");
        }
    }
}

//! LoRA in training: its share of the forward pass and its gradients.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::blend::{Blend, BlendModule};
use crate::library::{Adapter, NewLora};
use crate::model::{
    Activations, Decoder, DecoderSpec, Dropout, LinearHook, LoraFactors, LoraGradients, LoraPart, ModelFiles,
    Ops, spread_bits,
};
use crate::module_path::{ModulePath, kinds};
use crate::{Error, Result};

/// A and B of one module, with their gradients.
#[derive(Clone, Debug)]
pub struct TrainedLora {
    /// Path in transformers.
    pub module: String,
    /// What the adapter that it continues calls the module, where that is another name.
    pub file_name: Option<Box<str>>,
    /// Rows of A.
    pub rank: usize,
    /// Width of the layer's input.
    pub in_features: usize,
    /// Width of its output.
    pub out_features: usize,
    /// [rank, in].
    pub a: Vec<f32>,
    /// [rank, out]: B transposed, so that rows are what the passes read.
    pub bt: Vec<f32>,
    /// Gradient of `a`.
    pub grad_a: Vec<f32>,
    /// Gradient of `bt`.
    pub grad_bt: Vec<f32>,
    /// Row order of the running layer's output, where it is not the stored one.
    order: Option<Arc<Vec<u32>>>,
}

/// Every trained module, and the dropout of the present step.
#[derive(Debug)]
pub struct LoraTrainer {
    /// What the decoder computes with.
    ops: Arc<dyn Ops>,
    /// What is trained, in the order of the network.
    pub modules: Vec<TrainedLora>,
    /// Index into `modules` for each linear layer.
    places: Vec<Option<usize>>,
    /// What B·A is multiplied with.
    pub(super) scale: f32,
    dropout: f32,
    seed: u64,
    /// `None` switches dropout off (validation).
    step: Option<u64>,
    /// Rows of this step that went through before the present batch.
    rows: usize,
    /// Each module's gradient arrived in this step.
    seen: Vec<bool>,
}

/// Initial A of PEFT (Kaiming uniform with a = √5): U(−1/√in, 1/√in). It depends on seed and module path
/// only, so that all experts of a library start alike and stay comparable. [rank, in].
pub fn initial_a(seed: u64, module: &str, rank: usize, in_features: usize) -> Vec<f32> {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(module.as_bytes());
    let mut rng = ChaCha8Rng::from_seed(hash.finalize().into());
    let bound = 1.0 / (in_features as f32).sqrt();
    (0..rank * in_features).map(|_| rng.random_range(-bound..bound)).collect()
}

impl TrainedLora {
    /// B [out, rank] in the stored order of rows.
    fn stored_b(&self) -> Vec<f32> {
        let mut b = vec![0f32; self.bt.len()];
        for o in 0..self.out_features {
            let row = self.stored_row(o);
            for r in 0..self.rank {
                b[row * self.rank + r] = self.bt[r * self.out_features + o];
            }
        }
        b
    }

    /// As it goes to disk.
    pub fn to_new(&self) -> NewLora {
        NewLora {
            module: self.file_name.as_deref().unwrap_or(&self.module).to_string(),
            rank: self.rank,
            in_features: self.in_features,
            out_features: self.out_features,
            a: self.a.clone(),
            b: self.stored_b(),
        }
    }
}

impl TrainedLora {
    /// The row of the running layer's output by that of the stored one.
    fn stored_row(&self, row: usize) -> usize {
        self.order.as_ref().map_or(row, |order| order[row] as usize)
    }

    /// Takes B [out, rank] in the stored order of rows; its rows of the transpose begin at `from`.
    pub(super) fn take_b(&mut self, b: &[f32], rank: usize, from: usize) {
        let out = self.out_features;
        for o in 0..out {
            let row = self.stored_row(o);
            for r in 0..rank {
                self.bt[(from + r) * out + o] = b[row * rank + r];
            }
        }
    }
}

/// Whether `module` is one of the targets: its path is one or ends with `.` and one, as in PEFT.
pub fn is_target(module: &str, targets: &[String]) -> bool {
    targets.iter().any(|target| ModulePath::new(module).ends_with(target))
}

/// Refuses targets that the base model at `base` does not have. A model that cannot be read says nothing.
///
/// # Errors
/// A usage error with the layers that there are.
pub fn check_targets(base: &Path, targets: &[String]) -> Result<()> {
    let Ok(files) = ModelFiles::open(base) else { return Ok(()) };
    let linears = linears_of(&files.spec);
    check_among(&linears.iter().map(|(module, ..)| module.as_str()).collect::<Vec<_>>(), targets)
}

/// The linear layers of the blocks of a model: path, and widths of input and output.
pub(super) fn linears_of(spec: &DecoderSpec) -> Vec<(String, usize, usize)> {
    let of_layer = |layer: usize| {
        let prefix = spec.prefix(layer);
        spec.linear_shapes()
            .into_iter()
            .map(move |linear| (format!("{prefix}{}", linear.name), linear.in_features, linear.out_features))
    };
    (0..spec.layers).flat_map(of_layer).collect()
}

/// Refuses targets that name none of the modules.
fn check_among(modules: &[&str], targets: &[String]) -> Result<()> {
    let is_there =
        |target: &String| modules.iter().any(|module| is_target(module, std::slice::from_ref(target)));
    let Some(target) = targets.iter().find(|target| !is_there(target)) else { return Ok(()) };
    let mut names = kinds(modules.iter().copied());
    names.sort_unstable();
    Err(Error::usage(format!(
        "the base model has no layer \"{target}\": its layers are {}",
        names.join(", ")
    )))
}

impl LoraTrainer {
    /// LoRA on every linear layer of `decoder` that `targets` names; B = 0.
    ///
    /// # Errors
    /// Targets that name no layer (the existing names are listed); rank 0.
    pub fn new(
        decoder: &Decoder,
        targets: &[String],
        rank: usize,
        alpha: f64,
        dropout: f64,
        seed: u64,
    ) -> Result<Self> {
        if rank == 0 || !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::usage("rank and alpha must be positive"));
        }
        if !(0.0..1.0).contains(&dropout) {
            return Err(Error::usage("dropout must be at least 0 and below 1"));
        }
        let linears = decoder.linears();
        let names: Vec<&str> = linears.iter().map(|linear| linear.module.as_str()).collect();
        check_among(&names, targets)?;
        let (mut modules, mut places) = (Vec::new(), Vec::new());
        for linear in linears {
            if !is_target(&linear.module, targets) {
                places.push(None);
                continue;
            }
            let (i, o) = (linear.in_features, linear.out_features);
            places.push(Some(modules.len()));
            modules.push(TrainedLora {
                module: linear.module.clone(),
                file_name: None,
                rank,
                in_features: i,
                out_features: o,
                a: initial_a(seed, &linear.module, rank, i),
                bt: vec![0.0; rank * o],
                grad_a: vec![0.0; rank * i],
                grad_bt: vec![0.0; rank * o],
                order: linear.order.clone(),
            });
        }
        if modules.is_empty() {
            return Err(Error::usage("no target layers are given"));
        }
        let seen = vec![false; modules.len()];
        let scale = (alpha / rank as f64) as f32;
        let (ops, dropout) = (Arc::clone(decoder.ops()), dropout as f32);
        Ok(Self { ops, modules, places, scale, dropout, seed, step: None, rows: 0, seen })
    }

    /// The factors of several experts, stacked: B with each expert's scale, and not weighted yet.
    ///
    /// # Errors
    /// A module that no layer of `decoder` has, or in another size.
    pub(super) fn stacked(decoder: &Decoder, blend: &Blend, dropout: f64, seed: u64) -> Result<Self> {
        let (mut modules, mut places) = (Vec::new(), Vec::new());
        for linear in decoder.linears() {
            let size = (linear.in_features, linear.out_features);
            let is_here =
                |m: &&BlendModule| m.module == linear.module && (m.in_features, m.out_features) == size;
            let Some(module) = blend.modules.iter().find(is_here) else {
                places.push(None);
                continue;
            };
            places.push(Some(modules.len()));
            let rank: usize = module.parts.iter().map(|part| part.rank).sum();
            let mut stacked = TrainedLora {
                module: module.module.clone(),
                file_name: module.file_name.clone(),
                rank,
                in_features: size.0,
                out_features: size.1,
                a: module.parts.iter().flat_map(|part| part.a.iter().copied()).collect(),
                bt: vec![0.0; rank * size.1],
                grad_a: vec![0.0; rank * size.0],
                grad_bt: vec![0.0; rank * size.1],
                order: linear.order.clone(),
            };
            let mut from = 0;
            for part in &module.parts {
                stacked.take_b(&part.b, part.rank, from);
                from += part.rank;
            }
            modules.push(stacked);
        }
        if let Some(other) = blend.modules.iter().find(|m| !modules.iter().any(|own| own.module == m.module))
        {
            return Err(Error::msg(format!(
                "{} is no layer of the base model, or one of another size: no weight of it can be learned",
                other.module
            )));
        }
        let seen = vec![false; modules.len()];
        let (ops, dropout) = (Arc::clone(decoder.ops()), dropout as f32);
        Ok(Self { ops, modules, places, scale: 1.0, dropout, seed, step: None, rows: 0, seen })
    }

    /// Calls the modules what `adapter`, which is continued, calls them.
    pub fn name_as(&mut self, adapter: &Adapter) {
        for module in &mut self.modules {
            module.file_name = adapter.module(&module.module).and_then(|m| m.shape.file_name.clone());
        }
    }

    /// `target_modules` of the adapter: `targets`, unless its modules have other names than their paths. Then other
    /// parts of the model may have modules of the same kinds, and the names are listed.
    pub fn targets(&self, targets: &[String]) -> Vec<String> {
        if self.modules.iter().all(|module| module.file_name.is_none()) {
            return targets.to_vec();
        }
        self.modules.iter().map(|m| m.file_name.as_deref().unwrap_or(&m.module).to_string()).collect()
    }

    /// Begins a step: gradients to zero, dropout of this step on (`Some`) or off.
    pub fn begin(&mut self, step: Option<u64>) {
        self.step = step;
        self.rows = 0;
        for m in &mut self.modules {
            m.grad_a.fill(0.0);
            m.grad_bt.fill(0.0);
        }
        self.seen.fill(false);
    }

    /// Another batch of the same step follows one of so many rows: gradients add up, and dropout continues as if
    /// both were one batch.
    pub fn next_batch(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// All gradients, in the order of the tensors.
    pub fn gradients(&mut self) -> Vec<&mut [f32]> {
        self.modules.iter_mut().flat_map(|m| [m.grad_a.as_mut_slice(), m.grad_bt.as_mut_slice()]).collect()
    }

    /// Modules whose gradient did not arrive since [`Self::begin`].
    pub fn without_gradient(&self) -> Vec<&str> {
        self.modules
            .iter()
            .zip(&self.seen)
            .filter(|(_, seen)| !**seen)
            .map(|(m, _)| m.module.as_str())
            .collect()
    }

    /// Number of trained parameters.
    pub fn parameters(&self) -> usize {
        self.modules.iter().map(|m| m.a.len() + m.bt.len()).sum()
    }

    /// Dropout of the present batch at one module; `None` where nothing is dropped.
    fn dropout(&self, place: usize) -> Option<Dropout> {
        let step = self.step.filter(|_| self.dropout > 0.0)?;
        let key = spread_bits(self.seed ^ spread_bits(step.wrapping_add(1) ^ spread_bits(place as u64 + 1)));
        Some(Dropout { key, first_row: self.rows, p: self.dropout })
    }

    /// What it adds to these rows of a batch at a linear layer; `None` where it trains nothing.
    fn part(&self, linear: usize, rows: Range<usize>) -> Option<LoraPart<'_>> {
        let place = self.places[linear]?;
        let m = &self.modules[place];
        let (scale, dropout) = (self.scale, self.dropout(place));
        Some(LoraPart { rows, factors: LoraFactors { rank: m.rank, scale, a: &m.a, bt: &m.bt, dropout } })
    }

    /// The same with its gradients, which now arrive.
    fn learning_part(
        &mut self,
        linear: usize,
        rows: Range<usize>,
    ) -> Option<(LoraPart<'_>, LoraGradients<'_>)> {
        let place = self.places[linear]?;
        self.seen[place] = true;
        let (scale, dropout) = (self.scale, self.dropout(place));
        let m = &mut self.modules[place];
        let factors = LoraFactors { rank: m.rank, scale, a: &m.a, bt: &m.bt, dropout };
        Some((LoraPart { rows, factors }, LoraGradients { a: &mut m.grad_a, bt: &mut m.grad_bt }))
    }
}

/// All rows of a batch are of one expert.
impl LinearHook for LoraTrainer {
    fn apply(&mut self, linear: usize, x: &Activations, y: &mut Activations) -> Result<()> {
        self.part(linear, 0..x.rows()).map_or(Ok(()), |part| self.ops.add_lora(&[part], x, y))
    }

    fn trains(&self, linear: usize) -> bool {
        self.places[linear].is_some()
    }

    fn backward(
        &mut self,
        linear: usize,
        x: &Activations,
        dy: &Activations,
        dx: Option<&mut Activations>,
    ) -> Result<()> {
        let ops = Arc::clone(&self.ops);
        let Some((part, gradients)) = self.learning_part(linear, 0..x.rows()) else { return Ok(()) };
        ops.lora_backward(&[part], &mut [gradients], x, dy, dx)
    }
}

/// Several experts in one batch, each with its rows, in order.
pub(super) struct SharedBatch<'a>(pub Vec<(Range<usize>, &'a mut LoraTrainer)>);

impl LinearHook for SharedBatch<'_> {
    fn apply(&mut self, linear: usize, x: &Activations, y: &mut Activations) -> Result<()> {
        let Some((_, first)) = self.0.first() else { return Ok(()) };
        let parts: Vec<LoraPart> =
            self.0.iter().filter_map(|(rows, lora)| lora.part(linear, rows.clone())).collect();
        first.ops.add_lora(&parts, x, y)
    }

    fn trains(&self, linear: usize) -> bool {
        self.0.iter().any(|(_, lora)| lora.trains(linear))
    }

    fn backward(
        &mut self,
        linear: usize,
        x: &Activations,
        dy: &Activations,
        dx: Option<&mut Activations>,
    ) -> Result<()> {
        let Some(ops) = self.0.first().map(|(_, lora)| Arc::clone(&lora.ops)) else { return Ok(()) };
        let (parts, mut gradients): (Vec<LoraPart>, Vec<LoraGradients>) =
            self.0.iter_mut().filter_map(|(rows, lora)| lora.learning_part(linear, rows.clone())).unzip();
        ops.lora_backward(&parts, &mut gradients, x, dy, dx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_a_depends_on_seed_and_module_only() {
        let a = initial_a(42, "model.layers.0.q_proj", 4, 64);
        assert_eq!(a, initial_a(42, "model.layers.0.q_proj", 4, 64));
        assert_ne!(a, initial_a(43, "model.layers.0.q_proj", 4, 64));
        assert_ne!(a, initial_a(42, "model.layers.1.q_proj", 4, 64));
        assert!(a.iter().all(|v| v.abs() <= 0.125) && a.iter().any(|v| v.abs() > 0.1));
    }

    #[test]
    fn targets_match_whole_components() {
        let targets = ["q_proj".to_string(), "layers.1.mlp.up".to_string()];
        assert!(is_target("model.layers.0.self_attn.q_proj", &targets));
        assert!(is_target("model.layers.1.mlp.up", &targets));
        assert!(!is_target("model.layers.0.self_attn.kq_proj", &targets));
        assert!(!is_target("model.layers.11.mlp.up", &targets));
    }
}

//! Gates for PHATGOOSE: one per module of an expert, trained with the expert frozen.

use rayon::prelude::*;

use super::loss::{Target, cross_entropy};
use super::optimiser::AdamW;
use super::schedule::Schedule;
use crate::model::dot_rows::dot_rows;
use crate::model::simd::{add_rows, axpy, dot};
use crate::model::{Activations, Decoder, ForwardPass, LinearHook, Tape};
use crate::routing::{ExpertSet, GateJob, GateTrainer};
use crate::threads::rows_per_task;
use crate::{Cancel, Error, Result};

/// Of a longer example the end of the prompt and the start of the answer are used.
const LONGEST: usize = 256;

/// How gates are trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateSpec {
    /// Steps of AdamW per expert.
    pub steps: usize,
    /// Highest learning rate; it rises in a straight line and falls to 0.
    pub rate: f64,
    /// Share of the steps in which it rises.
    pub warmup: f64,
    /// Examples of one step, in their order, from the first again after the last.
    pub batch: usize,
}

impl Default for GateSpec {
    fn default() -> Self {
        Self { steps: 100, rate: 1e-3, warmup: 0.1, batch: 2 }
    }
}

/// [`train_gates_as`] with the usual settings.
pub const GATES: GateTrainer = GateTrainer {
    train: |job, progress, cancel| train_gates_as(GateSpec::default(), job, progress, cancel),
    settings: || format!("{:?}, at most {LONGEST} tokens", GateSpec::default()),
};

/// Trains a gate g for every module of an expert: y = W x + σ(g·x)·s·B·A·x, from g = 0, on the mean cross-entropy of the
/// answers of the expert's own examples. Embedding and head have none. Each gate, `[in]`, stands with the position of its
/// module. `progress` hears how many of how many steps are done.
///
/// # Errors
/// As [`GateJob::check`]; a raised `cancel`.
pub fn train_gates_as(
    spec: GateSpec,
    job: &GateJob,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Vec<(usize, Vec<f32>)>> {
    job.check()?;
    let (examples, decoder) = (job.examples, &job.model.decoder);
    let mut gated = GatedExpert::new(job.experts, job.expert, decoder);
    let mut optimiser = AdamW::default();
    for step in 0..spec.steps {
        progress(step, spec.steps);
        cancel.check()?;
        let some = (0..spec.batch).map(|i| &examples[(step * spec.batch + i) % examples.len()]);
        gated.learn(decoder, some, cancel)?;
        let rate = spec.rate * Schedule::Linear.factor(step, spec.steps, spec.warmup);
        let (mut gates, mut gradients) = (Vec::new(), Vec::new());
        for module in &mut gated.modules {
            gates.push(&mut module.gate);
            gradients.push(module.gradient.as_slice());
        }
        optimiser.step(&mut gates, &gradients, rate)?;
    }
    progress(spec.steps, spec.steps);
    Ok(gated.modules.into_iter().map(|module| (module.position, module.gate)).collect())
}

/// One module of an expert with its gate.
struct GatedModule {
    /// Among the routed modules.
    position: usize,
    rank: usize,
    scale: f32,
    width: usize,
    outputs: usize,
    /// [rank, in].
    a: Vec<f32>,
    /// [rank, out].
    bt: Vec<f32>,
    /// [in].
    gate: Vec<f32>,
    gradient: Vec<f32>,
}

/// An expert that speaks as loudly as its gates say.
struct GatedExpert {
    modules: Vec<GatedModule>,
    /// By linear layer.
    places: Vec<Option<usize>>,
}

impl GatedExpert {
    fn new(experts: &ExpertSet, expert: usize, decoder: &Decoder) -> Self {
        let (mut modules, mut places) = (Vec::new(), Vec::new());
        // The last one is the head, through which no gradient of a hook goes.
        let layers = decoder.linears().len();
        for module in experts.linears.iter().take(layers) {
            let found = module.as_ref().and_then(|m| Some((m, m.loras.get(expert)?.as_ref()?)));
            let Some((module, lora)) = found else {
                places.push(None);
                continue;
            };
            let parts = module.parts(lora);
            places.push(Some(modules.len()));
            modules.push(GatedModule {
                position: module.position,
                rank: parts.rank,
                scale: parts.scale,
                width: module.in_features,
                outputs: module.out_features,
                a: parts.a,
                bt: parts.bt,
                gate: vec![0.0; module.in_features],
                gradient: vec![0.0; module.in_features],
            });
        }
        Self { modules, places }
    }

    /// Gradients of the mean cross-entropy of the answers of some examples.
    fn learn<'a>(
        &mut self,
        decoder: &Decoder,
        examples: impl Iterator<Item = &'a (Vec<u32>, Vec<u32>)>,
        cancel: &Cancel,
    ) -> Result<()> {
        let (mut tokens, mut lengths, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let longest = LONGEST.min(decoder.spec.context);
        for (prompt, answer) in examples {
            let answer = &answer[..answer.len().min(longest.saturating_sub(1).max(1))];
            let prompt = &prompt[prompt.len().saturating_sub((longest - answer.len()).max(1))..];
            let before = tokens.len() + prompt.len() - 1;
            let target = |(at, &token): (usize, &u32)| Target { row: before + at, token, weight: 1.0 };
            targets.extend(answer.iter().enumerate().map(target));
            lengths.push(prompt.len() + answer.len() - 1);
            tokens.extend_from_slice(prompt);
            tokens.extend_from_slice(&answer[..answer.len() - 1]);
        }
        self.modules.iter_mut().for_each(|module| module.gradient.fill(0.0));
        let mut tape = Tape::new(false);
        let hidden = decoder.forward(&tokens, &lengths, ForwardPass::new(self, cancel).taped(&mut tape))?;
        let weight = 1.0 / targets.len().max(1) as f32;
        targets.iter_mut().for_each(|target: &mut Target| target.weight = weight);
        let (_, gradient) = cross_entropy(decoder, &hidden, &targets, true)?;
        let gradient = gradient.ok_or_else(|| Error::msg("the loss has no gradient"))?;
        decoder.backward(tape, &gradient, self, cancel)
    }
}

impl GatedModule {
    /// (A x, σ(g·x)) of a row.
    fn open(&self, x: &[f32], z: &mut [f32]) -> f32 {
        dot_rows(x, &self.a, self.width, z);
        1.0 / (1.0 + (-dot(&self.gate, x)).exp())
    }

    /// y += σ(g·x)·s·B·A·x.
    fn add(&self, x: &[f32], y: &mut [f32]) {
        let rows = rows_per_task(x.len() / self.width);
        let tasks = y.par_chunks_mut(self.outputs * rows).zip(x.par_chunks(self.width * rows));
        tasks.for_each(|(y, x)| {
            let mut z = vec![0f32; self.rank];
            for (y, x) in y.chunks_mut(self.outputs).zip(x.chunks(self.width)) {
                let open = self.open(x, &mut z);
                z.iter_mut().for_each(|z| *z *= self.scale * open);
                add_rows(&z, &self.bt, y);
            }
        });
    }

    /// Adds to the gate's gradient, and to `dx` where it is wanted, given that of the output.
    fn backward(&mut self, x: &[f32], dy: &[f32], dx: Option<&mut [f32]>) {
        let module = &*self;
        let rows = rows_per_task(x.len() / module.width);
        let mut unwanted = Vec::new();
        let wanted = dx.is_some();
        let dx = dx.unwrap_or_else(|| {
            unwanted.resize(x.len(), 0.0);
            &mut unwanted
        });
        let tasks = dx.par_chunks_mut(module.width * rows).zip(x.par_chunks(module.width * rows));
        let parts: Vec<Vec<f32>> = tasks
            .zip(dy.par_chunks(module.outputs * rows))
            .map(|((dx, x), dy)| {
                let mut gradient = vec![0f32; module.width];
                let (mut z, mut along) = (vec![0f32; module.rank], vec![0f32; module.rank]);
                let of_row = dx.chunks_mut(module.width).zip(x.chunks(module.width));
                for ((dx, x), dy) in of_row.zip(dy.chunks(module.outputs)) {
                    let open = module.open(x, &mut z);
                    // s Bᵀ dy.
                    dot_rows(dy, &module.bt, module.outputs, &mut along);
                    along.iter_mut().for_each(|v| *v *= module.scale);
                    let inner = dot(&z, &along) * open * (1.0 - open);
                    axpy(inner, x, &mut gradient);
                    if wanted {
                        axpy(inner, &module.gate, dx);
                        along.iter_mut().for_each(|v| *v *= open);
                        add_rows(&along, &module.a, dx);
                    }
                }
                gradient
            })
            .collect();
        for part in parts {
            self.gradient.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
        }
    }
}

impl LinearHook for GatedExpert {
    fn apply(&mut self, linear: usize, x: &Activations, y: &mut Activations) -> Result<()> {
        let Some(module) = self.places.get(linear).copied().flatten().and_then(|at| self.modules.get(at))
        else {
            return Ok(());
        };
        let x = x.values()?;
        y.edit(|y| module.add(&x, y))
    }

    fn trains(&self, linear: usize) -> bool {
        self.places.get(linear).is_some_and(Option::is_some)
    }

    fn backward(
        &mut self,
        linear: usize,
        x: &Activations,
        dy: &Activations,
        dx: Option<&mut Activations>,
    ) -> Result<()> {
        let place = self.places.get(linear).copied().flatten();
        let Some(module) = place.and_then(|at| self.modules.get_mut(at)) else { return Ok(()) };
        let (x, dy) = (x.values()?, dy.values()?);
        match dx {
            Some(dx) => dx.edit(|dx| module.backward(&x, &dy, Some(dx))),
            None => {
                module.backward(&x, &dy, None);
                Ok(())
            }
        }
    }
}

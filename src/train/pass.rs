//! Batches through the model, forward and backward: of one expert, or of several that share a pass.

use super::encode::Encoded;
use super::lora::{LoraTrainer, SharedBatch};
use super::loss::{Target, cross_entropy};
use crate::model::{ForwardPass, Model, Tape};
use crate::{Cancel, Result};

/// Tokens of one validation batch.
const VALIDATION_TOKENS: usize = 1024;

/// One expert's examples in a pass.
pub(super) struct Share<'a> {
    pub lora: &'a mut LoraTrainer,
    pub batch: Vec<&'a Encoded>,
    /// Of each output token in the gradient.
    pub weight: f32,
}

/// Summed loss in nats and number of output tokens.
pub(super) type Sum = (f64, usize);

/// Runs the examples of all shares through the model and gives their sums. With `train`, gradients of the weighted
/// losses are added to those of each share's LoRA; it says whether blocks are computed again for that.
pub(super) fn run(
    model: &Model,
    shares: &mut [Share],
    train: Option<bool>,
    cancel: &Cancel,
) -> Result<Vec<Sum>> {
    let (mut tokens, mut lengths, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut owners, mut counts) = (Vec::new(), Vec::new());
    for Share { lora, batch, weight } in shares {
        let (first, before) = (tokens.len(), targets.len());
        for example in batch.iter() {
            let start = tokens.len();
            tokens.extend_from_slice(&example.prompt);
            tokens.extend_from_slice(&example.output[..example.output.len() - 1]);
            lengths.push(example.len());
            let first = start + example.prompt.len() - 1;
            let target = |(i, &token)| Target { row: first + i, token, weight: *weight };
            targets.extend(example.output.iter().enumerate().map(target));
        }
        counts.push(targets.len() - before);
        owners.push((first..tokens.len(), &mut **lora));
    }
    let mut tape = train.map(Tape::new);
    let decoder = &model.decoder;
    let mut hook = SharedBatch(owners);
    let pass = ForwardPass::new(&mut hook, cancel).taped(tape.as_mut());
    let hidden = decoder.forward(&tokens, &lengths, pass)?;
    let (losses, gradient) = cross_entropy(decoder, &hidden, &targets, train.is_some())?;
    if let (Some(tape), Some(gradient)) = (tape, gradient) {
        drop(hidden);
        decoder.backward(tape, &gradient, &mut hook, cancel)?;
    }
    let mut rest = losses.as_slice();
    let sum = |count: usize| {
        let own;
        (own, rest) = rest.split_at(count);
        (own.iter().sum(), count)
    };
    Ok(counts.into_iter().map(sum).collect())
}

/// Summed loss and number of output tokens of all of `examples`, without dropout.
pub(super) fn evaluate(
    model: &Model,
    lora: &mut LoraTrainer,
    examples: &[Encoded],
    progress: &mut dyn FnMut(usize),
    cancel: &Cancel,
) -> Result<Sum> {
    lora.begin(None);
    let (mut sum, mut count) = (0.0, 0);
    let mut batch: Vec<&Encoded> = Vec::new();
    let mut tokens = 0;
    for (i, example) in examples.iter().enumerate() {
        batch.push(example);
        tokens += example.len();
        if tokens >= VALIDATION_TOKENS || i + 1 == examples.len() {
            let share = Share { lora: &mut *lora, batch: std::mem::take(&mut batch), weight: 0.0 };
            for (loss, outputs) in run(model, &mut [share], None, cancel)? {
                (sum, count) = (sum + loss, count + outputs);
            }
            tokens = 0;
            progress(i + 1);
        }
    }
    Ok((sum, count))
}

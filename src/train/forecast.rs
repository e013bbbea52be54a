//! How much memory a training will take, before anything big is read.

use std::path::Path;

pub(super) use super::memory_need::Forecast;
use super::prepare::Prepared;
use super::{TrainSpec, is_target};
use crate::catalog::Catalog;
use crate::memory::size;
use crate::model::memory;
use crate::model::{BlockKind, DecoderSpec, MlpLayout, ModelFiles, Precision, sizes};
use crate::{Error, Result};

/// Rows of logits that exist at one time, and copies of them.
const LOGITS: u64 = 2 * 128;
/// Wide values per token that exist beside what is kept for the backward pass.
const PASSING: u64 = 6;

/// Tokens of a pass from which on more make it no faster per token.
const CPU_TOKENS: usize = 512;
const GPU_TOKENS: usize = 4096;

/// Where trainings compute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    /// On the host.
    pub cpu: bool,
    /// Bytes of memory, where that is known and counts.
    pub free: Option<u64>,
}

/// Trainings that share a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowd {
    /// How many at once.
    pub trainings: usize,
    /// Tokens of a pass, where more than one training has a share in it.
    pub tokens: usize,
}

/// Tokens of the largest batch.
fn largest_batch(spec: &TrainSpec, lengths: &[usize]) -> usize {
    let mut longest = lengths.to_vec();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    longest.iter().take(spec.batch).sum()
}

/// As many trainings like this one at once as make a pass faster per token, or `wanted` of them, and in both cases no
/// more than memory has room for, and than there are (`most`).
pub(super) fn crowd(
    model: &DecoderSpec,
    spec: &TrainSpec,
    lengths: &[usize],
    here: Here,
    (most, wanted): (usize, Option<usize>),
) -> Crowd {
    let largest = largest_batch(spec, lengths);
    let mean =
        (lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64 * spec.batch as f64).max(1.0);
    let useful = if here.cpu { CPU_TOKENS } else { GPU_TOKENS };
    let fast = ((useful as f64 / mean) as usize).max(1);
    let of = |trainings: usize| Crowd {
        trainings,
        tokens: trainings.saturating_mul(largest).min(useful.max(largest)),
    };
    let fits = |crowd: &Crowd| here.free.is_none_or(|free| Forecast::of(model, spec, *crowd).peak() <= free);
    let wanted = wanted.unwrap_or(fast).clamp(1, most.max(1));
    (2..=wanted).rev().map(of).find(fits).unwrap_or_else(|| of(1))
}

impl Forecast {
    /// Of a training over examples of these lengths in tokens.
    pub(super) fn new(model: &DecoderSpec, spec: &TrainSpec, lengths: &[usize]) -> Self {
        Self::of(model, spec, Crowd { trainings: 1, tokens: largest_batch(spec, lengths) })
    }

    /// Of several trainings like this one.
    pub(super) fn of(model: &DecoderSpec, spec: &TrainSpec, crowd: Crowd) -> Self {
        let need = memory::need(model, spec.precision);
        let tokens = crowd.tokens as u64;
        let trained: u64 = sizes(model)
            .iter()
            .filter(|(module, _)| is_target(module, &spec.targets))
            .map(|(_, &(i, o))| (spec.rank * (i + o)) as u64)
            .sum();
        let wide = |n: usize| n as u64;
        let (hidden, inner) = (wide(model.hidden), wide(model.intermediate));
        let (q, kv) = (wide(model.q_width()), wide(model.kv_width()));
        let gated = if model.mlp == MlpLayout::Plain { 1 } else { 2 };
        let sequential = u64::from(model.block == BlockKind::Sequential);
        let mut block = hidden + 2 * q + 2 * kv + gated * inner + sequential * hidden;
        if model.qk_norm.is_some() {
            block += q + kv;
        }
        if model.post_norms {
            block += 2 * hidden;
        }
        let layers = wide(model.layers);
        let kept = if spec.checkpointing { layers * hidden + block } else { layers * block };
        Self {
            weights: need.weights,
            lora: 16 * trained * crowd.trainings as u64,
            activations: 4 * tokens * (kept + hidden),
            working: 4 * (LOGITS * wide(model.vocab) + PASSING * tokens * inner.max(hidden)),
            loading: need.loading,
        }
    }
}

/// The memory that a training will take. Reads the data and the base model's configuration and tokenizer.
///
/// # Errors
/// What [`super::train`] says of them.
pub fn forecast(spec: &TrainSpec) -> Result<Forecast> {
    spec.check()?;
    let prepared = Prepared::read(spec, Catalog::base_here)?;
    let files = ModelFiles::open(&prepared.base)?;
    let tokens = prepared.encode(spec, files.tokenizer()?, files.spec.context)?;
    Ok(Forecast::new(&files.spec, spec, &tokens.lengths()))
}

/// Refuses a training that cannot fit, with the numbers and a way out.
pub(super) fn check(
    base: &Path,
    model: &DecoderSpec,
    spec: &TrainSpec,
    lengths: &[usize],
    available: Option<u64>,
) -> Result<Forecast> {
    let needed = Forecast::new(model, spec, lengths);
    let Some(free) = available.filter(|&free| needed.peak() > free) else { return Ok(needed) };
    let ways = [
        ("--checkpointing", TrainSpec { checkpointing: true, ..spec.clone() }),
        ("--batch 1 and --accumulate", TrainSpec { batch: 1, ..spec.clone() }),
        ("--precision q8", TrainSpec { precision: Precision::Q8, ..spec.clone() }),
        (
            "--checkpointing, --batch 1, --accumulate and --precision q8",
            TrainSpec { checkpointing: true, batch: 1, precision: Precision::Q8, ..spec.clone() },
        ),
    ];
    let fitting = ways
        .iter()
        .map(|(options, spec)| (options, Forecast::new(model, spec, lengths).peak()))
        .find(|&(_, other)| other < needed.peak() && other <= free);
    let way = match fitting {
        Some((options, other)) => format!("with {options} it needs {}", size(other)),
        None => "free memory, or use a smaller model or shorter examples (--max-length)".into(),
    };
    Err(Error::file(
        base,
        format!("training needs {}, and {} are free here; {way}", needed.text(), size(free)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SmolLM2-135M.
    fn smollm() -> DecoderSpec {
        crate::model::described(serde_json::json!({
            "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30,
            "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536,
            "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "max_position_embeddings": 8192,
        }))
    }

    #[test]
    fn the_parts_are_those_of_the_longest_batch() {
        let lengths = [10, 50, 40, 30];
        let spec = TrainSpec { batch: 2, ..TrainSpec::default() };
        let found = Forecast::new(&smollm(), &spec, &lengths);
        assert_eq!(found.weights, 537_919_488);
        // 460,800 parameters, four times.
        assert_eq!(found.lora, 460_800 * 16);
        // x, q, k, v, mixed, middle, gate, up of 90 tokens in 30 layers.
        let block = 576 + 576 + 2 * 192 + 576 + 576 + 2 * 1536;
        assert_eq!(found.activations, 4 * 90 * (30 * block + 576));
        let less = |change: &dyn Fn(&mut TrainSpec)| {
            let mut other = spec.clone();
            change(&mut other);
            Forecast::new(&smollm(), &other, &lengths).peak() < found.peak()
        };
        assert!(less(&|s| s.checkpointing = true) && less(&|s| s.precision = Precision::Q8));
        assert!(less(&|s| s.batch = 1) && !less(&|s| s.accumulate = 8));
    }

    #[test]
    fn what_cannot_fit_is_refused_with_the_first_way_that_does() {
        let spec = TrainSpec::default();
        let refusal = |free: Option<u64>| {
            let found = check(Path::new("m.gguf"), &smollm(), &spec, &[100; 400], free);
            found.err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert_eq!((refusal(None), refusal(Some(4 << 30))), (String::new(), String::new()));
        let text = refusal(Some(1_000_000_000));
        assert!(text.starts_with("m.gguf: training needs 1.8 GB of memory (weights 538 MB, "), "{text}");
        assert!(text.ends_with("and 1.0 GB are free here; with --checkpointing it needs 806 MB"), "{text}");
        assert!(refusal(Some(700_000_000)).contains("with --batch 1 and --accumulate it needs"));
        assert!(
            refusal(Some(450_000_000)).contains("--precision q8 it needs"),
            "{}",
            refusal(Some(450_000_000))
        );
        assert!(refusal(Some(100_000_000)).ends_with("(--max-length)"));
    }
}

//! How much memory a training will take, before anything big is read.

use std::path::Path;

pub(super) use super::memory_need::Forecast;
use super::prepare::Prepared;
use super::{TrainSpec, is_target};
use crate::catalog::Catalog;
use crate::library::Template;
use crate::memory::size;
use crate::model::memory;
use crate::model::{BlockKind, DecoderSpec, MlpLayout, ModelFiles, Precision};
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
    pub fn new(model: &DecoderSpec, spec: &TrainSpec, lengths: &[usize]) -> Self {
        Self::of(model, spec, Crowd { trainings: 1, tokens: largest_batch(spec, lengths) })
    }

    /// Of several trainings like this one.
    pub(super) fn of(model: &DecoderSpec, spec: &TrainSpec, crowd: Crowd) -> Self {
        let need = memory::need(model, spec.precision);
        let tokens = crowd.tokens as u64;
        let trained: u64 = model
            .layer_sizes()
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

/// What a training works through.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amount {
    /// Training examples.
    pub examples: usize,
    /// Mean tokens of one, cut as they will be.
    pub tokens: f64,
    /// Bytes of memory at its peak, by its longest examples.
    pub memory: u64,
    /// Bytes of an adapter's weights.
    pub adapter: u64,
}

/// What a training on `spec.data` works through, on the model at `base`, judged by `sample` examples of each task. The
/// library need not be there.
///
/// # Errors
/// Data or a model that cannot be read.
pub fn amount(spec: &TrainSpec, base: &Path, template: &Template, sample: usize) -> Result<Amount> {
    let mut prepared = Prepared::of(spec, base, template)?;
    let examples = prepared.examples().count();
    for task in &mut prepared.tasks {
        task.train.truncate(sample);
        task.validation.truncate(0);
    }
    let files = ModelFiles::open(base)?;
    let tokens = prepared.encode(spec, files.tokenizer()?, files.spec.context)?;
    let lengths = tokens.lengths();
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64;
    let forecast = Forecast::new(&files.spec, spec, &lengths);
    // Weights, gradients and two moments of four bytes each; a file has the weights, in two.
    Ok(Amount { examples, tokens: mean, memory: forecast.peak(), adapter: forecast.lora / 8 })
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
    let way = way_out(model, spec, lengths, free)
        .unwrap_or_else(|| "free memory, or use a smaller model or shorter examples (--max-length)".into());
    Err(Error::file(
        base,
        format!("training needs {}, and {} are free here; {way}", needed.text(), size(free)),
    ))
}

/// What a GPU that ran out of memory leaves of its own for the forecast of another try: what could not be had was more
/// than the forecast said.
const MARGIN: f64 = 0.75;

/// The error of trainings that a GPU had too little memory for, with a way out: `together` of them shared a pass, and
/// `free` bytes were there before the model was loaded.
pub(super) fn out_of_memory(
    model: &DecoderSpec,
    spec: &TrainSpec,
    lengths: &[usize],
    together: usize,
    free: Option<u64>,
) -> Error {
    let needed = Forecast::new(model, spec, lengths);
    let way = match together {
        0 | 1 => {
            let most = needed.peak().min(free.unwrap_or(u64::MAX));
            way_out(model, spec, lengths, (most as f64 * MARGIN) as u64).unwrap_or_else(|| {
                "use a smaller model or shorter examples (--max-length), or --device cpu".into()
            })
        }
        _ => {
            let fewer = together / 2;
            format!(
                "train fewer at once: --at-once {fewer} (a job: `jobs LIBRARY resume ID --set at-once={fewer}`)"
            )
        }
    };
    let free = free.map_or(String::new(), |free| format!(" and had {} free", size(free)));
    Error::msg(format!(
        "the GPU is out of memory: by the forecast one training takes {}{free}; {way}",
        needed.text()
    ))
}

/// The change of settings that costs the least and takes at most `free` bytes, in words: how to ask for it, and what it
/// needs. As many examples make a step, so that the training stays the same, but for 8-bit weights, which come last.
fn way_out(model: &DecoderSpec, spec: &TrainSpec, lengths: &[usize], free: u64) -> Option<String> {
    let needed = Forecast::new(model, spec, lengths).peak();
    let smaller = smaller_batches(spec);
    let checkpointing = TrainSpec { checkpointing: true, ..spec.clone() };
    let mut ways = vec![checkpointing.clone()];
    ways.extend(smaller);
    ways.extend(smaller_batches(&checkpointing));
    let of_8_bit = |way: &TrainSpec| TrainSpec { precision: Precision::Q8, ..way.clone() };
    let in_8_bit: Vec<TrainSpec> = std::iter::once(spec).chain(&ways).map(of_8_bit).collect();
    ways.extend(in_8_bit);
    let need = |way: &TrainSpec| Forecast::new(model, way, lengths).peak();
    let (way, needs) =
        ways.iter().map(|way| (way, need(way))).find(|&(_, need)| need < needed && need <= free)?;
    let mut options: Vec<(String, String)> = Vec::new();
    let mut changed = |flag: &str, value: String| options.push((flag.to_string(), value));
    if way.checkpointing && !spec.checkpointing {
        changed("checkpointing", String::new());
    }
    if way.batch != spec.batch {
        changed("batch", way.batch.to_string());
        changed("accumulate", way.accumulate.to_string());
    }
    if way.precision != spec.precision {
        changed("precision", way.precision.to_string());
    }
    let typed = |(flag, value): &(String, String)| format!("--{flag} {value}").trim_end().to_string();
    let set = |(flag, value): &(String, String)| {
        format!("--set {flag}={}", if value.is_empty() { "yes" } else { value })
    };
    let joined = |words: Vec<String>| words.join(" ");
    Some(format!(
        "with {} it needs {} (a job: `jobs LIBRARY resume ID {}`)",
        joined(options.iter().map(typed).collect()),
        size(needs),
        joined(options.iter().map(set).collect())
    ))
}

/// The same training in smaller batches, more of which make a step, the largest first.
fn smaller_batches(spec: &TrainSpec) -> Vec<TrainSpec> {
    let step = spec.step_size();
    let fits = |batch: &usize| step.is_multiple_of(*batch);
    let smaller = (1..spec.batch).rev().filter(fits);
    smaller.map(|batch| TrainSpec { batch, accumulate: step / batch, ..spec.clone() }).collect()
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
    fn a_gpu_that_is_full_is_told_with_settings_that_take_much_less() {
        let (spec, lengths) = (TrainSpec::default(), [100; 400]);
        let told = |together, free| out_of_memory(&smollm(), &spec, &lengths, together, free).to_string();
        let needs = Forecast::new(&smollm(), &spec, &lengths).peak() as f64;
        let text = told(1, Some(24 << 30));
        assert!(
            text.starts_with("the GPU is out of memory: by the forecast one training takes 1.8 GB"),
            "{text}"
        );
        assert!(text.contains("25.8 GB free; with --checkpointing it needs 806 MB"), "{text}");
        assert!(806e6 < needs * MARGIN);
        assert!(
            told(1, Some(1 << 30)).contains("--batch 2 --accumulate 8 it needs"),
            "{}",
            told(1, Some(1 << 30))
        );
        assert!(told(1, Some(1 << 20)).contains("--device cpu"));
        assert!(told(8, None).contains("--set at-once=4"), "{}", told(8, None));
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
        let way = "and 1.0 GB are free here; with --checkpointing it needs 806 MB (a job: `jobs LIBRARY resume ID \
                   --set checkpointing=yes`)";
        assert!(text.ends_with(way), "{text}");
        // The largest batch that fits, and as many examples per step.
        let text = refusal(Some(780_000_000));
        assert!(text.contains("with --batch 2 --accumulate 8 it needs"), "{text}");
        assert!(text.contains("resume ID --set batch=2 --set accumulate=8`"), "{text}");
        let text = refusal(Some(450_000_000));
        assert!(text.contains("--precision q8 it needs"), "{text}");
        assert!(refusal(Some(100_000_000)).ends_with("(--max-length)"));
    }
}

//! One training, from the specification to the expert on disk.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::DType;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::claim::Claim;
use super::dataset::{Dataset, Example, fingerprint, read_examples};
use super::encode::{Encoded, encode};
use super::lora::LoraTrainer;
use super::loss::cross_entropy;
use super::schedule::{AdamW, linear_schedule};
use super::{TrainReport, TrainSpec};
use crate::library::{
    BaseLocation, Library, NewAdapterConfig, Provenance, Template, locate_base, sha256_file, write_adapter,
};
use crate::model::{LoadOptions, Model, Precision, Tape};
use crate::{Cancel, Error, Result};

/// Validation examples that are looked at.
const VALIDATION: usize = 200;
/// Tokens of one validation batch.
const VALIDATION_TOKENS: usize = 1024;

/// What a training tells while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// What it is doing now.
    Stage(String),
    /// The first step is about to begin.
    Started { steps: usize, base_validation_loss: Option<f64> },
    /// A step is over. The validation loss stands with each epoch's last and the last step.
    Step {
        step: usize,
        steps: usize,
        loss: f64,
        validation_loss: Option<f64>,
        learning_rate: f64,
        tokens_per_second: f64,
        eta_seconds: f64,
    },
}

/// Everything read and checked before the base model is loaded.
struct Prepared {
    claim: Claim,
    base: PathBuf,
    template: Template,
    train: Vec<Example>,
    validation: Vec<Example>,
    task: String,
    family: Option<String>,
}

fn check(spec: &TrainSpec) -> Result<()> {
    if !(spec.learning_rate > 0.0 && spec.learning_rate.is_finite()) {
        return Err(Error::usage("the learning rate must be positive"));
    }
    if spec.batch == 0 || spec.max_length < 2 || spec.max_steps == Some(0) {
        return Err(Error::usage("batch, max steps and max length must be positive (max length at least 2)"));
    }
    if spec.epochs.is_some_and(|n| !(n > 0.0 && n.is_finite())) {
        return Err(Error::usage("the number of epochs must be positive"));
    }
    if spec.data.is_empty() {
        return Err(Error::usage("give at least one task folder or .jsonl file with --data"));
    }
    Ok(())
}

fn prepare(spec: &TrainSpec, events: &mut dyn FnMut(TrainEvent)) -> Result<Prepared> {
    let claim = Claim::take(&spec.library, &spec.name)?;
    let library = Library::open(&spec.library)?;
    events(TrainEvent::Stage("reading the data".into()));
    let (mut train, mut validation, mut tasks, mut families) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for path in &spec.data {
        let mut data = Dataset::load(path)?;
        if spec.validation.is_none() {
            data.ensure_validation(spec.seed);
        }
        train.extend(data.train);
        validation.extend(data.validation);
        tasks.push(data.task.id);
        families.push(data.task.family);
    }
    if let Some(path) = &spec.validation {
        validation = read_examples(path)?;
    }
    validation.truncate(VALIDATION);
    let base = match locate_base(&library, spec.base.as_deref())? {
        BaseLocation::Found { path, .. } => path,
        BaseLocation::Missing { label, .. } => {
            let library = spec.library.display();
            return Err(Error::msg(format!(
                "the base model {label} is not on this machine: run `lora-tui fetch {library}` first"
            )));
        }
    };
    families.dedup();
    let family = if families.len() == 1 { families.swap_remove(0) } else { None };
    let template = library.manifest.template.clone().unwrap_or_default();
    Ok(Prepared { claim, base, template, train, validation, task: tasks.join("+"), family })
}

/// Runs a batch through the model; returns summed loss and number of output tokens. With `train`, gradients
/// of the mean loss end up in `lora`.
fn run_batch(
    model: &Model,
    lora: &mut LoraTrainer,
    batch: &[&Encoded],
    train: bool,
    cancel: &Cancel,
) -> Result<(f64, usize)> {
    let (mut tokens, mut lengths, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for example in batch {
        let start = tokens.len();
        tokens.extend_from_slice(&example.prompt);
        tokens.extend_from_slice(&example.output[..example.output.len() - 1]);
        lengths.push(example.len());
        let first = start + example.prompt.len() - 1;
        targets.extend(example.output.iter().enumerate().map(|(i, &t)| (first + i, t)));
    }
    let mut tape = Tape::new(false);
    let decoder = &model.decoder;
    let hidden = decoder.forward(&tokens, &lengths, &mut [], lora, train.then_some(&mut tape), cancel)?;
    let weight = 1.0 / targets.len() as f32;
    let (loss, gradient) = cross_entropy(decoder, &hidden, &targets, weight, train)?;
    if let Some(gradient) = gradient {
        drop(hidden);
        decoder.backward(tape, &gradient, lora, cancel)?;
    }
    Ok((loss, targets.len()))
}

/// Mean loss per output token over all of `examples`.
fn evaluate(
    model: &Model,
    lora: &mut LoraTrainer,
    examples: &[Encoded],
    cancel: &Cancel,
) -> Result<Option<f64>> {
    if examples.is_empty() {
        return Ok(None);
    }
    lora.begin(None);
    let (mut sum, mut count) = (0.0, 0);
    let mut batch: Vec<&Encoded> = Vec::new();
    let mut tokens = 0;
    for (i, example) in examples.iter().enumerate() {
        batch.push(example);
        tokens += example.len();
        if tokens >= VALIDATION_TOKENS || i + 1 == examples.len() {
            let (loss, n) = run_batch(model, lora, &batch, false, cancel)?;
            (sum, count, tokens) = (sum + loss, count + n, 0);
            batch.clear();
        }
    }
    Ok(Some(sum / count as f64))
}

/// The examples of every step: epochs in seeded order, cut into batches.
fn plan(examples: usize, spec: &TrainSpec) -> (usize, impl FnMut() -> Vec<usize>) {
    let per_epoch = examples.div_ceil(spec.batch);
    let of_epochs = |n: f64| (per_epoch as f64 * n).ceil().min(1e9) as usize;
    let steps = match (spec.epochs, spec.max_steps) {
        (None, Some(most)) => most,
        (epochs, most) => of_epochs(epochs.unwrap_or(1.0)).min(most.unwrap_or(usize::MAX)),
    }
    .max(1);
    let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
    let (batch, shuffle) = (spec.batch, spec.shuffle);
    let mut queue: Vec<usize> = Vec::new();
    let next = move || {
        if queue.is_empty() {
            queue = (0..examples).collect();
            if shuffle {
                queue.shuffle(&mut rng);
            }
            queue.reverse();
        }
        queue.split_off(queue.len().saturating_sub(batch)).into_iter().rev().collect()
    };
    (steps, next)
}

/// Trains an expert and writes it into the library.
///
/// The loss of a step is the mean over the output tokens of its batch. Learning rate: linear warm-up over
/// 6 % of the steps, then linear decay. Nothing is written before the end, but for `spec.log`.
///
/// # Errors
/// Bad specification, data or base model; a name that exists; a run that diverges; a raised `cancel`.
pub fn train(spec: &TrainSpec, events: &mut dyn FnMut(TrainEvent), cancel: &Cancel) -> Result<TrainReport> {
    check(spec)?;
    let prepared = prepare(spec, events)?;
    let mut log = match &spec.log {
        Some(path) => Some((path, std::fs::File::create(path).map_err(|e| Error::io(path, e))?)),
        None => None,
    };
    events(TrainEvent::Stage("loading the base model".into()));
    let options = LoadOptions { device: spec.device.clone(), precision: Precision::F32 };
    let model = Model::load(&prepared.base, &options, &mut |_, _| {}, cancel)?;
    let tokenizer = model.tokenizer()?;
    let encode_all = |examples: &[Example]| -> Result<Vec<Encoded>> {
        let max = spec.max_length.min(model.decoder.spec.context);
        examples.iter().map(|e| encode(e, &prepared.template, tokenizer, max)).collect()
    };
    let frame = tokenizer.encode(&prepared.template.render("", ""))?.len();
    if spec.max_length <= frame {
        return Err(Error::usage(format!(
            "a max length of {} leaves no room for examples: the template alone has {frame} tokens",
            spec.max_length
        )));
    }
    let (examples, validation) = (encode_all(&prepared.train)?, encode_all(&prepared.validation)?);
    let mut lora =
        LoraTrainer::new(&model.decoder, &spec.targets, spec.rank, spec.alpha, spec.dropout, spec.seed)?;
    events(TrainEvent::Stage("measuring the base model's loss".into()));
    let base_loss = evaluate(&model, &mut lora, &validation, cancel)?;
    if let Some(path) = &spec.init {
        lora.start_from(&load_init(path)?)?;
    }

    let (steps, mut next_batch) = plan(examples.len(), spec);
    events(TrainEvent::Stage(format!("training {steps} steps")));
    events(TrainEvent::Started { steps, base_validation_loss: base_loss });
    let began = Instant::now();
    let mut optimiser = AdamW::default();
    let (mut seen, mut busy, mut train_loss, mut validation_loss) = (0usize, 0.0, f64::NAN, base_loss);
    for step in 0..steps {
        cancel.check()?;
        let start = Instant::now();
        let batch: Vec<&Encoded> = next_batch().into_iter().map(|i| &examples[i]).collect();
        lora.begin(Some(step as u64));
        let (loss, outputs) = run_batch(&model, &mut lora, &batch, true, cancel)?;
        if step == 0 && !lora.without_gradient().is_empty() {
            return Err(Error::msg(format!("no gradient reached {}", lora.without_gradient()[0])));
        }
        let rate = spec.learning_rate * linear_schedule(step, steps);
        apply(&mut lora, &mut optimiser, rate)?;
        seen += batch.iter().map(|e| e.len()).sum::<usize>();
        busy += start.elapsed().as_secs_f64();
        train_loss = loss / outputs as f64;
        let epoch_over = (step + 1) % examples.len().div_ceil(spec.batch) == 0;
        let measured = if step + 1 == steps || epoch_over {
            validation_loss = evaluate(&model, &mut lora, &validation, cancel)?;
            validation_loss
        } else {
            None
        };
        let speed = seen as f64 / busy.max(1e-9);
        let eta = busy / (step + 1) as f64 * (steps - step - 1) as f64;
        if let Some((path, file)) = &mut log {
            let line = serde_json::json!({
                "step": step + 1, "steps": steps, "loss": train_loss, "validation_loss": measured,
                "learning_rate": rate, "tokens_per_second": speed,
            });
            writeln!(file, "{line}").map_err(|e| Error::io(path.as_path(), e))?;
        }
        events(TrainEvent::Step {
            step: step + 1,
            steps,
            loss: train_loss,
            validation_loss: measured,
            learning_rate: rate,
            tokens_per_second: speed,
            eta_seconds: eta,
        });
    }
    events(TrainEvent::Stage("writing the expert".into()));
    let report = TrainReport {
        expert: spec.name.clone(),
        path: prepared.claim.path.clone(),
        steps,
        train_loss,
        validation_loss,
        base_validation_loss: base_loss,
        seconds: began.elapsed().as_secs_f64(),
        tokens_per_second: seen as f64 / busy.max(1e-9),
    };
    write(spec, &prepared, &model, &lora, &report)?;
    Ok(report)
}

fn apply(lora: &mut LoraTrainer, optimiser: &mut AdamW, rate: f64) -> Result<()> {
    let (mut parameters, mut gradients) = (Vec::new(), Vec::new());
    for m in &mut lora.modules {
        parameters.extend([&mut m.a, &mut m.bt]);
        gradients.extend([m.grad_a.as_slice(), m.grad_bt.as_slice()]);
    }
    optimiser.step(&mut parameters, &gradients, rate)
}

/// The adapter folder given with `--init`.
fn load_init(path: &Path) -> Result<crate::library::Adapter> {
    let library = Library::open(path)?;
    match library.experts.as_slice() {
        [one] => one.load(),
        _ => Err(Error::file(path, "is not one adapter: give the folder with adapter_config.json")),
    }
}

fn write(
    spec: &TrainSpec,
    prepared: &Prepared,
    model: &Model,
    lora: &LoraTrainer,
    report: &TrainReport,
) -> Result<()> {
    let base = base_name(&spec.library, spec.base.as_deref(), &prepared.base)?;
    let tensors: Vec<_> = lora.modules.iter().map(|m| m.to_new()).collect();
    let config = NewAdapterConfig {
        base: base.clone(),
        r: spec.rank,
        alpha: spec.alpha,
        dropout: spec.dropout,
        targets: spec.targets.clone(),
    };
    let data: Vec<String> = spec.data.iter().map(|p| p.display().to_string()).collect();
    let provenance = Provenance {
        task: Some(prepared.task.clone()),
        family: prepared.family.clone(),
        dataset: Some(data.join(", ")),
        dataset_sha256: Some(fingerprint(&prepared.train)),
        examples: Some(prepared.train.len()),
        rank: Some(spec.rank),
        alpha: Some(spec.alpha),
        dropout: Some(spec.dropout),
        learning_rate: Some(spec.learning_rate),
        batch: Some(spec.batch),
        steps: Some(report.steps),
        epochs: Some(report.steps as f64 * spec.batch as f64 / prepared.train.len() as f64),
        seed: Some(spec.seed),
        init: spec.init.as_ref().map(|p| p.display().to_string()),
        base: Some(base),
        base_sha256: if model.path.is_file() { Some(sha256_file(&model.path)?) } else { None },
        template: Some(prepared.template.prompt.clone()),
        train_loss: Some(report.train_loss),
        validation_loss: report.validation_loss,
        base_validation_loss: report.base_validation_loss,
        seconds: Some(report.seconds),
        tokens_per_second: Some(report.tokens_per_second),
        created: Some(humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()),
        tool_version: Some(env!("CARGO_PKG_VERSION").into()),
    };
    write_adapter(&prepared.claim.path, &tensors, &config, DType::F16, &provenance)
}

/// What the adapter says of its base: the hub repository that `library.toml` or the default names, else the
/// path.
fn base_name(library: &Path, cli: Option<&Path>, found: &Path) -> Result<String> {
    if cli.is_none() {
        let manifest = crate::library::Manifest::read(library)?;
        let spec = manifest.base.unwrap_or_else(crate::library::BaseSpec::smollm2);
        if let Some(hub) = spec.hub {
            return Ok(hub);
        }
    }
    Ok(found.display().to_string())
}

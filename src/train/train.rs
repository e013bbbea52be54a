//! One training, from the specification to the expert on disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::base_loss::{BaseLoss, Sums};
use super::batches::Batches;
use super::encode::Encoded;
use super::identity::Identity;
use super::log::StepLog;
use super::lora::LoraTrainer;
use super::loss::cross_entropy;
use super::optimiser::{AdamW, clip};
use super::prepare::{Prepared, Tokens};
use super::state::{self, Standing, Validation};
use super::{Step, TrainEvent, TrainReport, TrainSpec, forecast, save};
use crate::catalog::Catalog;
use crate::error::system_reason;
use crate::library::{Adapter, Claim, Expert, Library, Provenance, TaskRecord, exists};
use crate::memory;
use crate::model::{ForwardPass, Model, ModelFiles, Tape, keep_freed_memory, open_ops};
use crate::outside::{TEMPORARY, Unfinished, UnfinishedFolder, own};
use crate::text::counted;
use crate::{Cancel, Error, Result};

/// Tokens of one validation batch.
const VALIDATION_TOKENS: usize = 1024;
/// Between two counts of a measurement.
const BETWEEN_COUNTS: Duration = Duration::from_millis(500);
/// Between two saved states, unless the specification says otherwise.
const BETWEEN_STATES: Duration = Duration::from_secs(60);

/// Trains an expert and writes it into the library.
///
/// The loss of a step is the mean over the output tokens of all its examples. With a file for its `state`, the
/// training resumes from what is there, saves now and then and when it is interrupted, and removes the file at
/// the end: the weights are those of a training that was never interrupted. Without, nothing is written before
/// the end, but for `spec.log`.
///
/// # Errors
/// Bad specification, data, state or base model; a name that exists; a run that diverges; a raised `cancel`.
pub fn train(
    spec: &TrainSpec,
    state: Option<&Path>,
    events: &mut dyn FnMut(TrainEvent),
    cancel: &Cancel,
) -> Result<TrainReport> {
    spec.check()?;
    keep_freed_memory();
    // With a state, an earlier run may have finished the expert and not lived to report it.
    let claim = match state {
        Some(_) => Claim::take_again(&spec.library, &spec.name)?,
        None => Claim::take(&spec.library, &spec.name)?,
    };
    let finished = match own::is_taken(&claim.path) {
        true => Some(made_before(&claim.path).ok_or_else(|| exists(&claim.path))?),
        false => None,
    };
    events(TrainEvent::Stage("reading the data".into()));
    let prepared = Prepared::read(spec, |catalog| {
        catalog.base_fetched_with_words(&mut |text| events(TrainEvent::Stage(text)), cancel)
    })?;
    if let Some(path) = spec.log.as_ref().filter(|path| !path.exists()) {
        StepLog::open(path, 0)?;
    }
    let files = ModelFiles::open(&prepared.base)?;
    let tokens = prepared.encode(spec, &files)?;
    if let Some(cuts) = tokens.cuts() {
        events(TrainEvent::Stage(cuts));
    }
    let identity = Identity::new(spec, &prepared, &tokens)?;
    if let Some(found) = finished {
        let report = take_up(spec, &claim.path, &found, &identity)?;
        events(TrainEvent::Stage("the expert was finished by an earlier run".into()));
        remove_state(state);
        return Ok(report);
    }
    let lengths = tokens.lengths();
    // What a GPU has left is its own matter.
    let ops = open_ops(&spec.device)?;
    let free = memory::available().filter(|_| ops.device().is_cpu());
    let needed = forecast::check(&prepared.base, &files.spec, spec, &lengths, free)?;
    let free = free.map_or(String::new(), |free| format!(", {} free", memory::size(free)));
    events(TrainEvent::Stage(format!("loading the base model: training needs {}{free}", needed.text())));
    let mut model = files.load(spec.precision, ops, &mut |_, _| {}, cancel)?;
    model.decoder.widen_weights();
    let lora =
        LoraTrainer::new(&model.decoder, &spec.targets, spec.rank, spec.alpha, spec.dropout, spec.seed)?;
    let room = reserve(&claim.path, &lora)?;
    let mut training = Training {
        spec,
        model: &model,
        steps: spec.steps(tokens.train.len()),
        batches: Batches::new(spec, tokens.tasks.clone(), lengths),
        tokens,
        lora,
        optimiser: AdamW::new(spec.weight_decay),
        standing: Standing::default(),
        began: Instant::now(),
        state,
        identity,
        unsaved: None,
    };
    training.begin(events, cancel)?;
    let done = training.run(events, cancel);
    if done.is_err() {
        training.keep(events);
    }
    done?;
    events(TrainEvent::Stage("writing the expert".into()));
    let report = training.report(&prepared, claim.path.clone());
    // From here on the room is the expert's.
    drop(room);
    let saved = save::save(spec, &prepared, &model, &training.lora, &report, &training.identity);
    if saved.is_err() {
        training.keep(events);
    }
    saved?;
    remove_state(state);
    Ok(report)
}

/// The expert is there: a state that stays behind is only in the way.
fn remove_state(state: Option<&Path>) {
    if let Some(path) = state {
        let _ = own::remove(path);
    }
}

/// Where an expert that lies at `path` came from, if a training made it whole.
fn made_before(path: &Path) -> Option<Provenance> {
    let expert = Library::open(path).ok()?.experts.into_iter().next().filter(Expert::is_usable)?;
    expert.provenance.filter(|provenance| provenance.training_sha256.is_some())
}

/// The report of an expert that an earlier run of this very training finished.
fn take_up(spec: &TrainSpec, path: &Path, found: &Provenance, identity: &Identity) -> Result<TrainReport> {
    let ours = found.training_sha256 == Some(identity.sha256()?);
    let report = TrainReport::of_finished(&spec.name, path.to_path_buf(), found);
    report.filter(|_| ours).ok_or_else(|| exists(path))
}

/// Takes room on the disk for the expert that will lie at `path`, which the disk may not have any more when it is made.
fn reserve(path: &Path, lora: &LoraTrainer) -> Result<Room> {
    // f16, and the texts around it; f32 where f16 cannot say the values.
    let bytes = 4 * lora.parameters() as u64 + (64 << 10);
    let take = || {
        let folder = UnfinishedFolder::new_in(path.parent().unwrap_or(Path::new(".")), TEMPORARY)?;
        let file = |name: &str| Unfinished::new(&folder.path().join(name), TEMPORARY);
        // As many as an expert has: a disk may run out of files before it runs out of bytes.
        let files = [file("weights")?, file("configuration")?, file("provenance")?];
        files[0].reserve(bytes)?;
        Ok(Room { _files: files, _folder: folder })
    };
    take().map_err(|e: std::io::Error| {
        let (size, reason) = (memory::size(bytes), system_reason(&e));
        Error::file(path, format!("the new expert takes up to {size} there: {reason}"))
    })
}

/// Room for a folder and its files, given back when dropped: the files before their folder.
struct Room {
    _files: [Unfinished; 3],
    _folder: UnfinishedFolder,
}

/// A training under way.
struct Training<'a> {
    spec: &'a TrainSpec,
    model: &'a Model,
    tokens: Tokens,
    batches: Batches,
    steps: usize,
    lora: LoraTrainer,
    optimiser: AdamW,
    standing: Standing,
    began: Instant,
    state: Option<&'a Path>,
    identity: Identity,
    /// Why the state could not be saved, the last time.
    unsaved: Option<String>,
}

impl Training<'_> {
    /// Goes to where an earlier run ended, or to the start.
    fn begin(&mut self, events: &mut dyn FnMut(TrainEvent), cancel: &Cancel) -> Result<()> {
        let init = self.spec.init.as_deref().map(|path| load_init(path, &self.model.path)).transpose()?;
        if let Some(init) = &init {
            self.lora.name_as(init);
        }
        if let Some(path) = self.state
            && let Some(standing) = state::read(path, &self.identity, &mut self.lora, &mut self.optimiser)?
        {
            events(TrainEvent::Stage(format!("continuing after step {} of {}", standing.step, self.steps)));
            self.standing = standing;
            return Ok(());
        }
        self.standing.base = self.base_loss(events, cancel)?;
        self.standing.validation = self.standing.base.clone();
        if let Some(init) = &init {
            self.lora.start_from(init)?;
        }
        events(TrainEvent::Stage(format!("training {}", counted(self.steps, "step"))));
        Ok(())
    }

    /// All steps that are left.
    fn run(&mut self, events: &mut dyn FnMut(TrainEvent), cancel: &Cancel) -> Result<()> {
        let first = self.standing.step;
        let mut log = self.spec.log.as_deref().map(|path| StepLog::open(path, first)).transpose()?;
        events(TrainEvent::Started {
            step: first,
            steps: self.steps,
            base_validation_loss: self.standing.base.all,
        });
        let (seconds_before, mut saved) = (self.standing.seconds, Instant::now());
        for step in first..self.steps {
            cancel.check()?;
            let rate =
                self.spec.learning_rate * self.spec.schedule.factor(step, self.steps, self.spec.warmup);
            let loss = self.step(step, rate, step == first, cancel)?;
            self.standing.seconds = seconds_before + self.began.elapsed().as_secs_f64();
            let due = step + 1 == self.steps || (step + 1) % self.batches.per_epoch() == 0;
            let measured = if due { self.measure(cancel) } else { Ok(None) };
            // A finished step is reported, also when the look at the validation set was interrupted.
            let validation_loss = measured.as_ref().ok().copied().flatten();
            let speed = self.standing.tokens as f64 / self.standing.busy.max(1e-9);
            if let Some(open) = &mut log {
                let line = serde_json::json!({
                    "step": step + 1, "steps": self.steps, "loss": loss, "validation_loss": validation_loss,
                    "learning_rate": rate, "tokens_per_second": speed,
                });
                if let Err(error) = open.line(&line) {
                    // One that cannot be written at all was asked for in vain.
                    if step == first {
                        return Err(error);
                    }
                    // It decides nothing. A line in the middle would be missing, so that it ends here.
                    events(TrainEvent::Stage(format!("the log ends before step {}: {error}", step + 1)));
                    log = None;
                }
            }
            events(TrainEvent::Step(Step {
                step: step + 1,
                steps: self.steps,
                loss: Some(loss),
                validation_loss,
                learning_rate: Some(rate),
                tokens_per_second: Some(speed),
                eta_seconds: Some(self.standing.busy / (step + 1) as f64 * (self.steps - step - 1) as f64),
            }));
            measured?;
            let due = match self.spec.checkpoint_every {
                Some(every) => (step + 1) % every == 0,
                None => saved.elapsed() >= BETWEEN_STATES,
            };
            if due && let Some(path) = self.state {
                self.save(path, events);
                saved = Instant::now();
            }
        }
        if self.standing.validated_at != self.steps {
            self.measure(cancel)?;
        }
        self.standing.seconds = seconds_before + self.began.elapsed().as_secs_f64();
        Ok(())
    }

    /// One step of the optimiser; gives its loss.
    fn step(&mut self, step: usize, rate: f64, check: bool, cancel: &Cancel) -> Result<f64> {
        let start = Instant::now();
        let examples: Vec<&Encoded> =
            self.batches.of(step).into_iter().map(|i| &self.tokens.train[i]).collect();
        let outputs: usize = examples.iter().map(|e| e.output.len()).sum();
        let weight = 1.0 / outputs as f32;
        self.lora.begin(Some(step as u64));
        let (mut loss, mut rows) = (0.0, 0);
        for batch in examples.chunks(self.spec.batch) {
            loss += run_batch(
                self.model,
                &mut self.lora,
                batch,
                Some((weight, self.spec.checkpointing)),
                cancel,
            )?
            .0;
            let tokens = batch.iter().map(|e| e.len()).sum();
            self.lora.next_batch(tokens);
            rows += tokens;
        }
        if check && let Some(module) = self.lora.without_gradient().first() {
            return Err(Error::msg(format!("no gradient reached {module}")));
        }
        if let Some(limit) = self.spec.clip {
            clip(&mut self.lora.gradients(), limit);
        }
        let (mut parameters, mut gradients) = (Vec::new(), Vec::new());
        for m in &mut self.lora.modules {
            parameters.extend([&mut m.a, &mut m.bt]);
            gradients.extend([m.grad_a.as_slice(), m.grad_bt.as_slice()]);
        }
        self.optimiser.step(&mut parameters, &gradients, rate)?;
        let loss = loss / outputs as f64;
        self.standing.step = step + 1;
        self.standing.train_loss = Some(loss);
        self.standing.tokens += rows;
        self.standing.busy += start.elapsed().as_secs_f64();
        Ok(loss)
    }

    fn measure(&mut self, cancel: &Cancel) -> Result<Option<f64>> {
        self.standing.validation = self.validate(cancel)?;
        self.standing.validated_at = self.standing.step;
        Ok(self.standing.validation.all)
    }

    /// The base model's losses, measured unless they are known from an earlier training on the same data.
    fn base_loss(&mut self, events: &mut dyn FnMut(TrainEvent), cancel: &Cancel) -> Result<Validation> {
        // Without a place for what is known, it is measured.
        let known = BaseLoss::of(self.spec, &self.model.path, &self.tokens.validation).ok();
        if let Some(sums) = known.as_ref().and_then(BaseLoss::read) {
            events(TrainEvent::Stage("the base model's loss is known from an earlier training".into()));
            return Ok(validation(&sums));
        }
        events(TrainEvent::Stage("measuring the base model's loss".into()));
        let mut said = Instant::now();
        let all = self.tokens.validation.iter().map(Vec::len).sum();
        events(TrainEvent::Measuring { done: 0, all });
        let sums = self.sums(
            &mut |done| {
                if said.elapsed() >= BETWEEN_COUNTS {
                    said = Instant::now();
                    events(TrainEvent::Measuring { done, all });
                }
            },
            cancel,
        )?;
        if let Some(known) = known {
            known.keep(&sums);
        }
        Ok(validation(&sums))
    }

    /// Losses on the validation sets.
    fn validate(&mut self, cancel: &Cancel) -> Result<Validation> {
        Ok(validation(&self.sums(&mut |_| {}, cancel)?))
    }

    /// Summed losses on the validation sets; `progress` hears how many examples are done.
    fn sums(&mut self, progress: &mut dyn FnMut(usize), cancel: &Cancel) -> Result<Sums> {
        let (mut sets, mut before) = (Vec::new(), 0);
        for set in &self.tokens.validation {
            let mut progress = |done: usize| progress(before + done);
            sets.push(evaluate(self.model, &mut self.lora, set, &mut progress, cancel)?);
            before += set.len();
        }
        Ok(sets)
    }

    /// Saves the state of a training that goes on. One that cannot be saved is reported, once, and the next time it
    /// is tried again: the training itself needs no disk.
    fn save(&mut self, path: &Path, events: &mut dyn FnMut(TrainEvent)) {
        let written = state::write(path, &self.identity, &self.standing, &self.lora, &self.optimiser);
        let problem = written.err().map(|error| error.to_string());
        let step = self.standing.step;
        match (&problem, &self.unsaved) {
            (Some(error), before) if before.as_ref() != Some(error) => events(TrainEvent::Stage(format!(
                "the state after step {step} could not be saved; the training goes on and tries again: {error}"
            ))),
            (None, Some(_)) => {
                events(TrainEvent::Stage(format!("the state is saved again, after step {step}")))
            }
            _ => {}
        }
        self.unsaved = problem;
    }

    /// Saves the state of a training that ends early, if it is kept at all.
    fn keep(&self, events: &mut dyn FnMut(TrainEvent)) {
        let Some(path) = self.state else { return };
        let saved = state::write(path, &self.identity, &self.standing, &self.lora, &self.optimiser);
        events(TrainEvent::Stage(match saved {
            Ok(()) => format!("saved after step {} of {}", self.standing.step, self.steps),
            Err(error) => format!("the state could not be saved: {error}"),
        }));
    }

    fn report(&self, prepared: &Prepared, path: PathBuf) -> TrainReport {
        let standing = &self.standing;
        let set = |of: &Validation, task: usize| {
            // With a validation file of its own, the tasks have no losses.
            of.sets.get(task).copied().flatten().filter(|_| prepared.validation.is_none())
        };
        let tasks = prepared.tasks.iter().enumerate().map(|(i, task)| TaskRecord {
            task: task.id.clone(),
            examples: task.train.len(),
            validation_loss: set(&standing.validation, i),
            base_validation_loss: set(&standing.base, i),
        });
        TrainReport {
            expert: self.spec.name.clone(),
            path,
            steps: self.steps,
            train_loss: standing.train_loss.unwrap_or(f64::NAN),
            validation_loss: standing.validation.all,
            base_validation_loss: standing.base.all,
            seconds: standing.seconds,
            tokens_per_second: standing.tokens as f64 / standing.busy.max(1e-9),
            tasks: if prepared.tasks.len() > 1 { tasks.collect() } else { Vec::new() },
        }
    }
}

/// Mean losses of the sets and of all of them together.
fn validation(sums: &Sums) -> Validation {
    let mean = |&(sum, count): &(f64, usize)| (count > 0).then(|| sum / count as f64);
    let all = sums.iter().fold((0.0, 0), |(sum, count), set| (sum + set.0, count + set.1));
    Validation { all: mean(&all), sets: sums.iter().map(mean).collect() }
}

/// Runs a batch through the model; returns summed loss and number of output tokens. With `train`, gradients
/// of the sum times a weight are added to those in `lora`; blocks may be computed again for it.
fn run_batch(
    model: &Model,
    lora: &mut LoraTrainer,
    batch: &[&Encoded],
    train: Option<(f32, bool)>,
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
    let mut tape = train.map(|(_, checkpointing)| Tape::new(checkpointing));
    let decoder = &model.decoder;
    let hidden = decoder.forward(&tokens, &lengths, ForwardPass::new(lora, cancel).taped(tape.as_mut()))?;
    let weight = train.map_or(0.0, |(weight, _)| weight);
    let (loss, gradient) = cross_entropy(decoder, &hidden, &targets, weight, train.is_some())?;
    if let (Some(tape), Some(gradient)) = (tape, gradient) {
        drop(hidden);
        decoder.backward(tape, &gradient, lora, cancel)?;
    }
    Ok((loss, targets.len()))
}

/// Summed loss and number of output tokens of all of `examples`, without dropout.
fn evaluate(
    model: &Model,
    lora: &mut LoraTrainer,
    examples: &[Encoded],
    progress: &mut dyn FnMut(usize),
    cancel: &Cancel,
) -> Result<(f64, usize)> {
    lora.begin(None);
    let (mut sum, mut count) = (0.0, 0);
    let mut batch: Vec<&Encoded> = Vec::new();
    let mut tokens = 0;
    for (i, example) in examples.iter().enumerate() {
        batch.push(example);
        tokens += example.len();
        if tokens >= VALIDATION_TOKENS || i + 1 == examples.len() {
            let (loss, n) = run_batch(model, lora, &batch, None, cancel)?;
            (sum, count, tokens) = (sum + loss, count + n, 0);
            batch.clear();
            progress(i + 1);
        }
    }
    Ok((sum, count))
}

/// The adapter given with `--init`, for this base model.
fn load_init(path: &Path, base: &Path) -> Result<Adapter> {
    let catalog = Catalog::open(path, Some(base))?;
    // Others may lie in its folder.
    let itself = catalog.experts.iter().find(|expert| expert.path == path);
    match (itself, catalog.experts.as_slice()) {
        (Some(one), _) | (None, [one]) => one.load(),
        _ => Err(Error::file(path, "is not one adapter: give its folder or file")),
    }
}

//! One expert's training, from its claim to the expert on disk, a step at a time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::base_loss::{BaseLoss, Sums};
use super::batches::Batches;
use super::dataset::content_hash;
use super::encode::Encoded;
use super::identity::Identity;
use super::learned::Learned;
use super::log::StepLog;
use super::one::{Adapted, OneOf};
use super::opening::{Ready, remove_state};
use super::optimiser::AdamW;
use super::pass::{Share, evaluate};
use super::prepare::{Prepared, Tokens};
use super::room::{Room, reserve};
use super::start::Start;
use super::state::{self, Standing, Validation};
use super::{Step, TrainEvent, TrainReport, TrainSpec, save};
use crate::library::{Claim, SeenTask, TaskRecord};
use crate::model::Model;
use crate::text::counted;
use crate::{Cancel, Error, Result};

/// Between two counts of a measurement.
const BETWEEN_COUNTS: Duration = Duration::from_millis(500);
/// Between two saved states, unless the specification says otherwise.
const BETWEEN_STATES: Duration = Duration::from_secs(60);

/// A training under way.
pub(super) struct Training<'a> {
    spec: &'a TrainSpec,
    state: Option<&'a Path>,
    adapted: Option<&'a Adapted>,
    claim: Claim,
    room: Option<Room>,
    prepared: Prepared,
    tokens: Tokens,
    batches: Batches,
    steps: usize,
    learned: Learned,
    optimiser: AdamW,
    standing: Standing,
    identity: Identity,
    /// What had been learned before by what it starts from.
    seen_before: Vec<SeenTask>,
    log: Option<StepLog>,
    run: Run,
    /// Why the state could not be saved, the last time.
    unsaved: Option<String>,
}

/// What only this run of a training knows.
struct Run {
    began: Instant,
    /// When its first step was about to begin.
    stepping: Instant,
    /// The step that it began with, and the seconds of earlier runs.
    first: usize,
    seconds_before: f64,
    saved: Instant,
    /// The present step, once its first batch was asked for.
    step: Option<Within>,
}

impl Default for Run {
    fn default() -> Self {
        let now = Instant::now();
        Self { began: now, stepping: now, first: 0, seconds_before: 0.0, saved: now, step: None }
    }
}

/// A step of which some batches are done.
struct Within {
    /// Examples of the whole step.
    examples: Vec<usize>,
    /// Of them, those that went through.
    done: usize,
    /// Output tokens of the whole step.
    outputs: usize,
    /// Summed loss so far.
    loss: f64,
}

impl<'a> Training<'a> {
    /// Takes room on the disk and goes to where an earlier run ended, or to the start.
    ///
    /// # Errors
    /// A disk that is full; targets that the model does not have; a bad state or adapter to start from; a raised
    /// `cancel`.
    pub(super) fn begin(
        ready: Ready<'a>,
        model: &Model,
        events: &mut dyn FnMut(TrainEvent),
        cancel: &Cancel,
    ) -> Result<Self> {
        let Ready { one: OneOf { spec, state, adapted }, claim, prepared, tokens, identity } = ready;
        let learned = Learned::begin(&model.decoder, spec, adapted)?;
        let room = reserve(&claim.path, &learned.lora)?;
        let mut training = Self {
            spec,
            state,
            adapted,
            claim,
            room: Some(room),
            steps: spec.steps(tokens.train.len()),
            batches: Batches::new(spec, tokens.tasks.clone(), tokens.lengths()),
            prepared,
            tokens,
            learned,
            optimiser: AdamW::new(spec.weight_decay),
            standing: Standing::default(),
            identity,
            seen_before: adapted.map(|adapted| adapted.seen.clone()).unwrap_or_default(),
            log: None,
            run: Run::default(),
            unsaved: None,
        };
        training.find_start(model, events, cancel)?;
        training.start_run(events)?;
        Ok(training)
    }
}

impl Training<'_> {
    /// Goes to where an earlier run ended, or to the start.
    fn find_start(
        &mut self,
        model: &Model,
        events: &mut dyn FnMut(TrainEvent),
        cancel: &Cancel,
    ) -> Result<()> {
        let init = self.spec.init.as_deref().filter(|_| !self.learned.is_blend());
        let start = init.map(|path| Start::find(path, &model.path)).transpose()?;
        if let Some(start) = &start {
            self.learned.lora.name_as(&start.adapter);
            self.seen_before.clone_from(&start.seen);
        }
        if let Some(path) = self.state
            && let Some(standing) =
                state::read(path, &self.identity, self.learned.parameters_mut(), &mut self.optimiser)?
        {
            self.learned.restored();
            events(TrainEvent::Stage(format!("continuing after step {} of {}", standing.step, self.steps)));
            self.standing = standing;
            return Ok(());
        }
        self.standing.base = self.base_loss(model, events, cancel)?;
        self.standing.validation = self.standing.base.clone();
        if let Some(start) = &start {
            self.learned.lora.start_from(&start.adapter)?;
        }
        events(TrainEvent::Stage(format!("training {}", counted(self.steps, "step"))));
        Ok(())
    }

    /// Its first step of this run comes next.
    fn start_run(&mut self, events: &mut dyn FnMut(TrainEvent)) -> Result<()> {
        let first = self.standing.step;
        self.log = self.spec.log.as_deref().map(|path| StepLog::open(path, first)).transpose()?;
        events(TrainEvent::Started {
            step: first,
            steps: self.steps,
            base_validation_loss: self.standing.base.all,
        });
        let now = Instant::now();
        let run = &mut self.run;
        (run.first, run.seconds_before, run.saved, run.stepping) = (first, self.standing.seconds, now, now);
        Ok(())
    }

    /// What it was asked to do.
    pub(super) fn spec(&self) -> &TrainSpec {
        self.spec
    }

    /// Length of each training example.
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.tokens.lengths()
    }

    /// Whether all steps are made.
    pub(super) fn is_over(&self) -> bool {
        self.standing.step >= self.steps
    }

    /// Whether blocks are computed again in the backward pass.
    pub(super) fn checkpoints(&self) -> bool {
        self.spec.checkpointing
    }

    /// Tokens of the next batch.
    pub(super) fn next_tokens(&mut self) -> usize {
        let tokens = &self.tokens;
        let batch = Self::batch(&mut self.run.step, &mut self.batches, tokens, &self.standing, self.spec);
        batch.iter().map(|&example| tokens.train[example].len()).sum()
    }

    /// Examples of the next batch of the present step, which begins with its first.
    fn batch<'b>(
        step: &'b mut Option<Within>,
        batches: &mut Batches,
        tokens: &Tokens,
        standing: &Standing,
        spec: &TrainSpec,
    ) -> &'b [usize] {
        let within = step.get_or_insert_with(|| {
            let examples = batches.of(standing.step);
            let outputs = examples.iter().map(|&example| tokens.train[example].output.len()).sum();
            Within { examples, done: 0, outputs, loss: 0.0 }
        });
        let left = within.examples.get(within.done..).unwrap_or_default();
        left.get(..spec.batch).unwrap_or(left)
    }

    /// Its next batch, as a share of a pass.
    pub(super) fn share(&mut self) -> Share<'_> {
        let step = self.standing.step as u64;
        let Self { run, batches, tokens, standing, spec, learned: Learned { lora, .. }, .. } = self;
        let batch: Vec<&Encoded> = Self::batch(&mut run.step, batches, tokens, standing, spec)
            .iter()
            .map(|&example| &tokens.train[example])
            .collect();
        let within = run.step.as_ref();
        if within.is_none_or(|within| within.done == 0) {
            lora.begin(Some(step));
        }
        let outputs = within.map_or(1, |within| within.outputs);
        Share { lora, batch, weight: 1.0 / outputs as f32 }
    }

    /// Its share went through in so many seconds that were its own: with the last batch of a step, the step is made.
    ///
    /// # Errors
    /// A run that diverges; a raised `cancel`.
    pub(super) fn went_through(
        &mut self,
        (loss, seconds): (f64, f64),
        model: &Model,
        events: &mut dyn FnMut(TrainEvent),
        cancel: &Cancel,
    ) -> Result<()> {
        let rows = self.next_tokens();
        let start = Instant::now();
        let Some(within) = &mut self.run.step else { return Ok(()) };
        within.loss += loss;
        within.done = (within.done + self.spec.batch).min(within.examples.len());
        self.learned.lora.next_batch(rows);
        self.standing.tokens += rows;
        self.standing.busy += seconds;
        if within.done < within.examples.len() {
            return Ok(());
        }
        let loss = within.loss / within.outputs as f64;
        self.run.step = None;
        let step = self.standing.step;
        let rate =
            self.learned.rate(self.spec) * self.spec.schedule.factor(step, self.steps, self.spec.warmup);
        self.learn(step, rate)?;
        self.standing.step = step + 1;
        self.standing.train_loss = Some(loss);
        self.standing.busy += start.elapsed().as_secs_f64();
        self.standing.seconds = self.run.seconds_before + self.run.began.elapsed().as_secs_f64();
        self.step_is_made(step, (loss, rate), model, events, cancel)
    }

    /// A step of the optimiser.
    fn learn(&mut self, step: usize, rate: f64) -> Result<()> {
        if step == self.run.first
            && let Some(module) = self.learned.lora.without_gradient().first()
        {
            return Err(Error::msg(format!("no gradient reached {module}")));
        }
        self.learned.learn(&mut self.optimiser, self.spec.clip, rate)
    }

    /// Reports a step, and saves the state where that is due.
    fn step_is_made(
        &mut self,
        step: usize,
        (loss, rate): (f64, f64),
        model: &Model,
        events: &mut dyn FnMut(TrainEvent),
        cancel: &Cancel,
    ) -> Result<()> {
        let is_epoch = (step + 1).is_multiple_of(self.batches.per_epoch());
        let due = step + 1 == self.steps || is_epoch && self.has_learned_enough(step + 1);
        let measured = if due { self.measure(model, cancel) } else { Ok(None) };
        // A finished step is reported, also when the look at the validation set was interrupted.
        let validation_loss = measured.as_ref().ok().copied().flatten();
        let speed = self.standing.tokens as f64 / self.standing.busy.max(1e-9);
        if let Some(open) = &mut self.log {
            let line = serde_json::json!({
                "step": step + 1, "steps": self.steps, "loss": loss, "validation_loss": validation_loss,
                "learning_rate": rate, "tokens_per_second": speed,
            });
            if let Err(error) = open.line(&line) {
                // One that cannot be written at all was asked for in vain.
                if step == self.run.first {
                    return Err(error);
                }
                // It decides nothing. A line in the middle would be missing, so that it ends here.
                events(TrainEvent::Stage(format!("the log ends before step {}: {error}", step + 1)));
                self.log = None;
            }
        }
        // Others may share the passes, so that only the clock says how long a step takes.
        let pace = self.run.stepping.elapsed().as_secs_f64() / (step + 1 - self.run.first) as f64;
        events(TrainEvent::Step(Step {
            step: step + 1,
            steps: self.steps,
            loss: Some(loss),
            validation_loss,
            learning_rate: Some(rate),
            tokens_per_second: Some(speed),
            eta_seconds: Some(pace * self.steps.saturating_sub(step + 1) as f64),
        }));
        measured?;
        let due = match self.spec.checkpoint_every {
            Some(every) => (step + 1).is_multiple_of(every),
            None => self.run.saved.elapsed() >= BETWEEN_STATES,
        };
        if due && let Some(path) = self.state {
            self.save(path, events);
            self.run.saved = Instant::now();
        }
        Ok(())
    }

    /// Whether, after so many steps, as many examples went through since the last look at the validation set as it has:
    /// of few examples, each step is an epoch.
    fn has_learned_enough(&self, steps: usize) -> bool {
        let learned = steps.saturating_sub(self.standing.validated_at).saturating_mul(self.spec.step_size());
        learned >= self.tokens.validation.iter().map(Vec::len).sum()
    }

    /// Writes the expert, after the last step.
    ///
    /// # Errors
    /// What cannot be written; a raised `cancel`.
    pub(super) fn finish(
        &mut self,
        model: &Model,
        events: &mut dyn FnMut(TrainEvent),
        cancel: &Cancel,
    ) -> Result<TrainReport> {
        if self.standing.validated_at != self.steps {
            self.measure(model, cancel)?;
        }
        self.standing.seconds = self.run.seconds_before + self.run.began.elapsed().as_secs_f64();
        events(TrainEvent::Stage("writing the expert".into()));
        let report = self.report(self.claim.path.clone());
        // From here on the room is the expert's.
        self.room = None;
        let made = save::Made {
            spec: self.spec,
            prepared: &self.prepared,
            lora: &self.learned.lora,
            identity: &self.identity,
            adapted: self.adapted.map(|adapted| self.learned.adapted_from(&adapted.from)),
            seen_before: std::mem::take(&mut self.seen_before),
            is_blend: self.learned.is_blend(),
        };
        made.save(model, &report)?;
        remove_state(self.state);
        Ok(report)
    }

    fn measure(&mut self, model: &Model, cancel: &Cancel) -> Result<Option<f64>> {
        self.standing.validation = self.validate(model, cancel)?;
        self.standing.validated_at = self.standing.step;
        Ok(self.standing.validation.all)
    }

    /// The base model's losses, measured unless they are known from an earlier training on the same data.
    fn base_loss(
        &mut self,
        model: &Model,
        events: &mut dyn FnMut(TrainEvent),
        cancel: &Cancel,
    ) -> Result<Validation> {
        // Without a place for what is known, it is measured.
        let known = BaseLoss::of(self.spec, &model.path, &self.tokens.validation).ok();
        if let Some(sums) = known.as_ref().and_then(BaseLoss::read) {
            events(TrainEvent::Stage("the base model's loss is known from an earlier training".into()));
            return Ok(validation(&sums));
        }
        events(TrainEvent::Stage("measuring the base model's loss".into()));
        let mut said = Instant::now();
        let all = self.tokens.validation.iter().map(Vec::len).sum();
        events(TrainEvent::Measuring { done: 0, all });
        // Experts whose weights are learned speak from the beginning.
        let scale = std::mem::replace(&mut self.learned.lora.scale, 0.0);
        let sums = self.sums(
            model,
            &mut |done| {
                if said.elapsed() >= BETWEEN_COUNTS {
                    said = Instant::now();
                    events(TrainEvent::Measuring { done, all });
                }
            },
            cancel,
        );
        self.learned.lora.scale = scale;
        let sums = sums?;
        if let Some(known) = known {
            known.keep(&sums);
        }
        Ok(validation(&sums))
    }

    /// Losses on the validation sets.
    fn validate(&mut self, model: &Model, cancel: &Cancel) -> Result<Validation> {
        Ok(validation(&self.sums(model, &mut |_| {}, cancel)?))
    }

    /// Summed losses on the validation sets; `progress` hears how many examples are done.
    fn sums(&mut self, model: &Model, progress: &mut dyn FnMut(usize), cancel: &Cancel) -> Result<Sums> {
        let (mut sets, mut before) = (Vec::new(), 0);
        for set in &self.tokens.validation {
            let mut progress = |done: usize| progress(before + done);
            sets.push(evaluate(model, &mut self.learned.lora, set, &mut progress, cancel)?);
            before += set.len();
        }
        Ok(sets)
    }

    /// Saves the state of a training that continues. One that cannot be saved is reported, once, and the next time it
    /// is tried again: the training itself needs no disk.
    fn save(&mut self, path: &Path, events: &mut dyn FnMut(TrainEvent)) {
        let problem = self.write_state(path).err().map(|error| error.to_string());
        let step = self.standing.step;
        match (&problem, &self.unsaved) {
            (Some(error), before) if before.as_ref() != Some(error) => events(TrainEvent::Stage(format!(
                "the state after step {step} could not be saved; the training continues and tries again: {error}"
            ))),
            (None, Some(_)) => {
                events(TrainEvent::Stage(format!("the state is saved again, after step {step}")))
            }
            _ => {}
        }
        self.unsaved = problem;
    }

    fn write_state(&self, path: &Path) -> Result<()> {
        let parameters = self.learned.parameters();
        state::write(path, &self.identity, &self.standing, &parameters, &self.optimiser)
    }

    /// Saves the state of a training that ends early, if it is kept at all.
    pub(super) fn keep(&self, events: &mut dyn FnMut(TrainEvent)) {
        let Some(path) = self.state else { return };
        let step = self.standing.step;
        let Err(error) = self.write_state(path) else {
            return events(TrainEvent::Stage(format!("saved after step {step} of {}", self.steps)));
        };
        let then = if path.is_file() {
            "is resumed from the state that was saved before"
        } else {
            "begins anew when it is resumed"
        };
        events(TrainEvent::Unsaved(format!(
            "the state after step {step} could not be saved, so that it {then}: {error}"
        )));
    }

    fn report(&self, path: PathBuf) -> TrainReport {
        let (standing, prepared) = (&self.standing, &self.prepared);
        let set = |of: &Validation, task: usize| {
            // With a validation file of its own, the tasks have no losses.
            of.sets.get(task).copied().flatten().filter(|_| prepared.validation.is_none())
        };
        let tasks = prepared.tasks.iter().enumerate().map(|(i, task)| TaskRecord {
            task: task.id.clone(),
            examples: task.train.len(),
            dataset_sha256: Some(content_hash(&task.train)),
            validation_loss: set(&standing.validation, i),
            base_validation_loss: set(&standing.base, i),
        });
        TrainReport {
            expert: self.spec.name.clone(),
            path,
            steps: self.steps,
            examples: prepared.examples().count(),
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

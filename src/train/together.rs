//! Trainings of several experts of one base model in one process. Their batches share passes through the frozen
//! model, in which each row takes its own LoRA; everything else is each training's own, so that each gives the expert
//! that it would give alone.

use std::ops::Range;
use std::time::Instant;

use super::frozen::Frozen;
use super::one::OneOf;
use super::opening::{Opened, Ready};
use super::pass;
use super::training::Training;
use super::{TrainEvent, TrainReport};
use crate::model::keep_freed_memory;
use crate::{Cancel, Error, Result};

/// What trainings report that run together.
#[derive(Debug)]
pub enum TogetherEvent {
    /// One of them reports.
    Training {
        /// Its number.
        row: usize,
        /// What it reports.
        event: TrainEvent,
    },
    /// One of them has ended: its expert is written, or it failed, which does not end the others.
    Over {
        /// Its number.
        row: usize,
        /// What came of it.
        outcome: Result<TrainReport>,
    },
}

/// Trains `all`, in order, `at_once` of them at a time or as many as make it faster and fit into memory. One that ends
/// makes room for the next. What is written, kept and resumed is as in [`super::train`] for each of them.
///
/// # Errors
/// A raised `cancel`: what was under way is saved. What is wrong with one training is reported in its
/// [`TogetherEvent::Over`].
pub fn train_together(
    all: &[OneOf],
    at_once: Option<usize>,
    events: &mut dyn FnMut(TogetherEvent),
    cancel: &Cancel,
) -> Result<()> {
    keep_freed_memory();
    let mut frozen = None;
    let mut crew = Crew { active: Vec::new(), room: 1, events, cancel };
    let mut waiting = all.iter().enumerate();
    loop {
        while crew.active.len() < crew.room
            && let Some((row, one)) = waiting.next()
        {
            crew.take_on(row, one, &mut frozen, (all.len(), at_once))?;
        }
        match frozen.as_ref().filter(|_| !crew.active.is_empty()) {
            Some(frozen) => crew.go_on(frozen)?,
            None if crew.active.is_empty() && waiting.len() == 0 => return Ok(()),
            None => {}
        }
    }
}

/// Trainings that are under way.
struct Crew<'a, 'e> {
    active: Vec<(usize, Training<'a>)>,
    /// How many at most.
    room: usize,
    events: &'e mut dyn FnMut(TogetherEvent),
    cancel: &'e Cancel,
}

impl<'a> Crew<'a, '_> {
    /// Begins a training; the first opens and loads the base model. `many` is how many trainings there are, and how
    /// many are wanted at once.
    ///
    /// # Errors
    /// Only a raised `cancel`.
    fn take_on(
        &mut self,
        row: usize,
        one: &OneOf<'a>,
        frozen: &mut Option<Frozen>,
        many: (usize, Option<usize>),
    ) -> Result<()> {
        let Self { active, room, events, cancel } = self;
        let mut report = |event| events(TogetherEvent::Training { row, event });
        // The report of one that was finished before.
        let mut begin = || -> Result<Option<TrainReport>> {
            let ready = match Ready::open(one, frozen, &mut report, cancel)? {
                Opened::Finished(report) => return Ok(Some(report)),
                Opened::Ready(ready) => ready,
            };
            let Some(frozen) = frozen else { return Err(Error::msg("there is no base model")) };
            let lengths = ready.lengths();
            frozen.load(one.spec, &lengths, many, &mut report, cancel)?;
            let (model, crowd) = frozen.model()?;
            *room = crowd.trainings;
            let begun = Training::begin(*ready, model, &mut report, cancel);
            let mut training = begun.map_err(|error| frozen.explained(error, one.spec, &lengths, 1))?;
            if training.is_over() {
                // It was stopped between its last step and its writing.
                return training.finish(model, &mut report, cancel).map(Some);
            }
            active.push((row, training));
            Ok(None)
        };
        match begin() {
            Ok(None) => Ok(()),
            Ok(Some(report)) => self.is_over(row, Ok(report)),
            Err(error) => self.is_over(row, Err(error)),
        }
    }

    /// Tells what came of a training, unless everything ends.
    ///
    /// # Errors
    /// A raised `cancel`, after what is under way is saved.
    fn is_over(&mut self, row: usize, outcome: Result<TrainReport>) -> Result<()> {
        if outcome.is_err() && self.cancel.is_cancelled() {
            for (row, training) in &self.active {
                training.keep(&mut |event| (self.events)(TogetherEvent::Training { row: *row, event }));
            }
            return Err(Error::Cancelled);
        }
        (self.events)(TogetherEvent::Over { row, outcome });
        Ok(())
    }

    /// One batch of every training, in as few passes as their tokens allow.
    ///
    /// # Errors
    /// Only a raised `cancel`.
    fn go_on(&mut self, frozen: &Frozen) -> Result<()> {
        let (_, crowd) = frozen.model()?;
        // From the last to the first, so that those who leave change no other's place.
        let mut end = self.active.len();
        while end > 0 {
            let (mut first, mut tokens) = (end, 0);
            for (_, training) in self.active[..end].iter_mut().rev() {
                let more = training.next_tokens();
                if first < end && tokens + more > crowd.tokens {
                    break;
                }
                (first, tokens) = (first - 1, tokens + more);
            }
            self.pass(first..end, tokens, frozen)?;
            end = first;
        }
        Ok(())
    }

    /// One pass with the batches of some trainings, of so many tokens. Those that are finished then leave.
    ///
    /// # Errors
    /// Only a raised `cancel`.
    fn pass(&mut self, some: Range<usize>, tokens: usize, frozen: &Frozen) -> Result<()> {
        let (model, _) = frozen.model()?;
        let Self { active, events, cancel, .. } = self;
        let group = &mut active[some.clone()];
        let checkpoint = group.iter().any(|(_, training)| training.checkpoints());
        let own: Vec<usize> = group.iter_mut().map(|(_, training)| training.next_tokens()).collect();
        let start = Instant::now();
        let mut shares: Vec<_> = group.iter_mut().map(|(_, training)| training.share()).collect();
        let sums = pass::run(model, &mut shares, Some(checkpoint), cancel);
        drop(shares);
        let seconds = start.elapsed().as_secs_f64();
        let mut over: Vec<(usize, Result<TrainReport>)> = Vec::new();
        match sums {
            Ok(sums) => {
                for (at, (((row, training), (loss, _)), own)) in
                    group.iter_mut().zip(sums).zip(own).enumerate()
                {
                    let mut report = |event| events(TogetherEvent::Training { row: *row, event });
                    let seconds = seconds * own as f64 / tokens.max(1) as f64;
                    let made = training.went_through((loss, seconds), model, &mut report, cancel);
                    match made {
                        Ok(()) if !training.is_over() => {}
                        Ok(()) => over.push((at, training.finish(model, &mut report, cancel))),
                        Err(error) => {
                            let error = frozen.explained(error, training.spec(), &training.lengths(), 1);
                            over.push((at, Err(error)));
                        }
                    }
                }
            }
            Err(error) => {
                let one = group.first().map(|(_, training)| (training.spec(), training.lengths()));
                let error = match one {
                    Some((spec, lengths)) => frozen.explained(error, spec, &lengths, group.len()),
                    None => error,
                };
                let text = error.to_string();
                let same = (1..group.len()).map(|at| (at, Err(Error::msg(&text))));
                over.extend([(0, Err(error))].into_iter().chain(same));
            }
        }
        for (at, outcome) in over.into_iter().rev() {
            if outcome.is_err() && self.cancel.is_cancelled() {
                return self.is_over(0, outcome);
            }
            let (row, training) = self.active.remove(some.start + at);
            if outcome.is_err() {
                training.keep(&mut |event| (self.events)(TogetherEvent::Training { row, event }));
            }
            self.is_over(row, outcome)?;
        }
        Ok(())
    }
}

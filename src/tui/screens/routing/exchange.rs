//! A request to the engine and what came back: the routing, an answer, or an error.

use std::sync::Arc;

use super::TAB;
use super::answer::{Answer, MAX_NEW_TOKENS};
use super::digest::Digest;
use super::question::Asked;
use crate::routing::{Part, Preparing, Trace};
use crate::tui::{Effect, EngineEffect, EngineState, Shared, Tickets};

/// Seconds after which a person wants to know how far a request is, and how to end it.
const LONG: f64 = 1.0;

/// Seconds until an old picture fades: quick answers replace it without a flicker.
const PATIENCE: f64 = 0.4;

/// A request that has not been answered in full.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    pub generating: bool,
    /// Something of its answer is shown.
    pub begun: bool,
    /// `Shared::now` when it was asked.
    pub since: f64,
    /// Tokens of the prompt that are done, and all of them, once the engine said so.
    pub progress: Option<(usize, usize)>,
    /// How far what the router needs first is, while it is made.
    pub calibration: Option<Preparing>,
}

/// The newest routing that arrived.
#[derive(Clone, Debug)]
pub struct Shown {
    pub asked: Asked,
    /// The experts are others now.
    pub outdated: bool,
    pub trace: Arc<Trace>,
    pub digest: Digest,
    pub milliseconds: f64,
}

/// Why a request has no answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// One line.
    pub line: String,
    /// The expert without which there would be one, where it is one expert's fault.
    pub blamed: Option<String>,
}

/// Tokens of an answer in a trace.
pub fn written(trace: &Trace) -> usize {
    trace.tokens.iter().filter(|t| t.part == Part::Generated).count()
}

/// Whether the engine waits for a person to do something.
pub fn needs_retry(state: &EngineState) -> bool {
    matches!(state, EngineState::Missing { .. } | EngineState::Failed { .. })
}

/// Whether requests can be answered.
pub fn is_ready(shared: &Shared) -> bool {
    matches!(shared.engine, EngineState::Ready { .. })
}

/// The newest request and the newest answers.
#[derive(Debug)]
pub struct Exchange {
    tickets: Tickets,
    /// Number of the newest request; answers to older ones are dropped.
    pub ticket: u64,
    /// What the newest request asks: what is shown is old when it answers another question.
    pub asked: Asked,
    pub pending: Option<Pending>,
    pub shown: Option<Shown>,
    pub answer: Option<Answer>,
    /// The answer that stood there before this one, until there is a word of it.
    earlier: Option<Answer>,
    /// Why the newest request has no answer.
    pub error: Option<Failure>,
    /// The model was there and is no more, so that the next one is not a change of experts.
    lost: bool,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            tickets: Tickets::of(TAB),
            ticket: 0,
            asked: Asked::default(),
            pending: None,
            shown: None,
            answer: None,
            earlier: None,
            error: None,
            lost: false,
        }
    }
}

impl Exchange {
    /// A ticket for a study.
    pub fn issue(&mut self) -> u64 {
        self.tickets.issue()
    }

    /// Whether what is shown answers another question than the one on the screen.
    pub fn is_stale(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.outdated || shown.asked != self.asked)
    }

    /// Whether to show that it does.
    pub fn is_faded(&self, shared: &Shared) -> bool {
        self.is_stale() && self.pending.is_none_or(|p| shared.now - p.since >= PATIENCE)
    }

    /// Seconds since the request under way was asked.
    pub fn elapsed(&self, shared: &Shared) -> Option<f64> {
        self.pending.map(|p| (shared.now - p.since).max(0.0))
    }

    /// Whether something is under way that Esc should stop, from the prompt too.
    pub fn is_long(&self, shared: &Shared) -> bool {
        self.is_generating() || self.elapsed(shared).is_some_and(|seconds| seconds >= LONG)
    }

    pub fn is_generating(&self) -> bool {
        self.pending.is_some_and(|p| p.generating)
    }

    /// Whether the prompt on the screen is not routed because a person stopped it.
    pub fn is_stopped(&self, shared: &Shared) -> bool {
        let unanswered = self.shown.is_none() && !is_blank(&self.asked) || self.is_stale();
        unanswered && self.pending.is_none() && self.error.is_none() && is_ready(shared)
    }

    /// Asks the engine, which drops whatever it was doing. An empty prompt stops it and leaves nothing to see but an
    /// answer; without a model, nothing is asked until there is one.
    pub fn ask(&mut self, asked: Asked, generating: bool, shared: &Shared) -> Vec<Effect> {
        self.ticket = self.tickets.issue();
        self.error = None;
        self.asked = asked;
        if is_blank(&self.asked) {
            self.shown = None;
            return self.stop();
        }
        self.interrupt_answer();
        if !is_ready(shared) {
            // Asked again as soon as the engine is ready.
            self.pending = None;
            return Vec::new();
        }
        let (ticket, Asked { prompt, raw, router }) = (self.ticket, self.asked.clone());
        self.pending =
            Some(Pending { generating, begun: false, since: shared.now, progress: None, calibration: None });
        if !generating {
            return vec![Effect::Engine(EngineEffect::Route { ticket, prompt, raw, router })];
        }
        let earlier = self.answer.replace(Answer::new(self.asked.clone()));
        // One that was asked for before its first word has no place.
        self.earlier = earlier.filter(|earlier| !earlier.is_empty()).or(self.earlier.take());
        let max_tokens = MAX_NEW_TOKENS;
        vec![Effect::Engine(EngineEffect::Generate { ticket, prompt, raw, router, max_tokens })]
    }

    /// Ends the request under way; what is there stays.
    pub fn stop(&mut self) -> Vec<Effect> {
        self.interrupt_answer();
        if self.pending.take().is_some() { vec![Effect::Engine(EngineEffect::Stop)] } else { Vec::new() }
    }

    /// Nothing more will be written. What has no word yet gives its place back to the answer before it.
    fn interrupt_answer(&mut self) {
        if self.is_generating()
            && let Some(answer) = &mut self.answer
        {
            answer.done = true;
            answer.stopped = true;
            if answer.is_empty() && self.earlier.is_some() {
                self.answer = self.earlier.take();
            }
        }
    }

    /// Shows a routing of what was asked last.
    pub fn show(&mut self, trace: Arc<Trace>, digest: Digest, milliseconds: f64, more: bool) {
        let asked = self.asked.clone();
        self.shown = Some(Shown { asked, outdated: false, trace, digest, milliseconds });
        self.error = None;
        match &mut self.pending {
            Some(pending) if more => pending.begun = true,
            _ => self.pending = None,
        }
    }

    /// Takes how much of the prompt is routed.
    pub fn take_progress(&mut self, done: usize, total: usize) {
        if let Some(pending) = &mut self.pending {
            pending.progress = Some((done, total));
            pending.calibration = None;
        }
    }

    /// Takes how far what the router needs first is.
    pub fn take_calibration(&mut self, step: Preparing) {
        if let Some(pending) = &mut self.pending {
            pending.calibration = Some(step).filter(|step| step.done < step.all);
        }
    }

    /// Takes the answer so far.
    pub fn take_text(&mut self, text: &str, done: bool) {
        let tokens = self.shown.as_ref().map_or(0, |shown| written(&shown.trace));
        if let Some(answer) = &mut self.answer {
            answer.text = text.to_string();
            answer.done = done;
            answer.full = done && tokens >= MAX_NEW_TOKENS;
            self.earlier.take_if(|_| done || !answer.is_empty());
        }
    }

    /// Takes why the request cannot be answered.
    pub fn fail(&mut self, error: &str, blamed: Option<&str>) {
        self.interrupt_answer();
        self.answer.take_if(|answer| answer.stopped && answer.is_empty());
        self.pending = None;
        self.error = Some(Failure { line: error.to_string(), blamed: blamed.map(String::from) });
    }

    /// The model is gone.
    pub fn lose_model(&mut self) {
        self.interrupt_answer();
        self.pending = None;
        self.lost = true;
    }

    /// A model was loaded, or the experts were read again; whether what is shown is of other experts now.
    pub fn take_model(&mut self) -> bool {
        let changed = !std::mem::take(&mut self.lost) && (self.shown.is_some() || self.answer.is_some());
        if let Some(shown) = self.shown.as_mut().filter(|_| changed) {
            shown.outdated = true;
        }
        let waiting = self.is_generating();
        if let Some(answer) = self.answer.as_mut().filter(|_| changed && !waiting) {
            answer.experts_changed = true;
        }
        changed
    }
}

/// Whether there is nothing to route.
fn is_blank(asked: &Asked) -> bool {
    asked.prompt.trim().is_empty()
}

//! What is asked of the engine, and what its answers do to the screen.

use std::sync::Arc;

use super::answer::Answer;
use super::digest::Digest;
use super::{Asked, Focus, MAX_NEW_TOKENS, Pending, RoutingScreen, Shown, is_ready, needs_retry};
use crate::library::Library;
use crate::routing::{Part, RouterConfig, Trace};
use crate::tui::{AppEffect, Effect, EngineEffect, EngineMessage, EngineState, Shared};

/// Seconds after which a person wants to know how far a request is, and how to end it.
const LONG: f64 = 1.0;

/// Seconds until an old picture fades: quick answers replace it without a flicker.
const PATIENCE: f64 = 0.4;

/// Tokens of an answer in a trace.
pub fn written(trace: &Trace) -> usize {
    trace.tokens.iter().filter(|t| t.part == Part::Generated).count()
}

impl RoutingScreen {
    /// Whether what is shown answers another question than the one on the screen.
    pub(super) fn is_stale(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.outdated || shown.asked != self.asked)
    }

    /// Whether to show that it does.
    pub(super) fn is_faded(&self, shared: &Shared) -> bool {
        self.is_stale() && self.pending.is_none_or(|p| shared.now - p.since >= PATIENCE)
    }

    /// Seconds since the request under way was asked.
    pub(super) fn elapsed(&self, shared: &Shared) -> Option<f64> {
        self.pending.map(|p| (shared.now - p.since).max(0.0))
    }

    /// Whether something is under way that Esc should stop, from the prompt too.
    pub(super) fn is_long(&self, shared: &Shared) -> bool {
        self.is_generating() || self.elapsed(shared).is_some_and(|seconds| seconds >= LONG)
    }

    pub(super) fn is_generating(&self) -> bool {
        self.pending.is_some_and(|p| p.generating)
    }

    /// Whether the prompt on the screen is not routed because a person stopped it.
    pub(super) fn is_stopped(&self, shared: &Shared) -> bool {
        let unanswered = self.shown.is_none() && !self.prompt.is_blank() || self.is_stale();
        unanswered && self.pending.is_none() && self.error.is_none() && is_ready(shared)
    }

    /// Examples never replace what a person wrote.
    pub(super) fn can_fill_example(&self) -> bool {
        !self.examples.is_empty() && (self.prompt.is_blank() || self.examples.contains(&self.prompt.text()))
    }

    pub(super) fn can_generate(&self, shared: &Shared) -> bool {
        !self.prompt.is_blank() && is_ready(shared)
    }

    /// Asks for the routing of what is in the box now; the engine drops whatever it was doing. An answer stays
    /// until there is another one.
    pub(super) fn route(&mut self, shared: &Shared) -> Vec<Effect> {
        self.request(shared, false)
    }

    pub(super) fn generate(&mut self, shared: &Shared) -> Vec<Effect> {
        if !self.can_generate(shared) {
            return Vec::new();
        }
        self.token = None;
        let effects = self.request(shared, true);
        self.answer = Some(Answer::new(self.asked.clone()));
        effects
    }

    fn request(&mut self, shared: &Shared, generating: bool) -> Vec<Effect> {
        self.ticket = self.tickets.issue();
        self.error = None;
        self.asked = Asked { prompt: self.prompt.text(), raw: self.raw, router: self.router.clone() };
        if self.prompt.is_blank() {
            self.shown = None;
            self.token = None;
            return self.stop();
        }
        self.interrupt_answer();
        if !is_ready(shared) {
            // Asked again as soon as the engine is ready.
            self.pending = None;
            return Vec::new();
        }
        let (ticket, Asked { prompt, raw, router }) = (self.ticket, self.asked.clone());
        self.pending = Some(Pending { generating, since: shared.now, progress: None });
        vec![if generating {
            Effect::Engine(EngineEffect::Generate { ticket, prompt, raw, router, max_tokens: MAX_NEW_TOKENS })
        } else {
            Effect::Engine(EngineEffect::Route { ticket, prompt, raw, router })
        }]
    }

    pub(super) fn stop(&mut self) -> Vec<Effect> {
        self.interrupt_answer();
        if self.pending.take().is_some() { vec![Effect::Engine(EngineEffect::Stop)] } else { Vec::new() }
    }

    /// Nothing more will be written.
    fn interrupt_answer(&mut self) {
        if self.is_generating()
            && let Some(answer) = &mut self.answer
        {
            answer.done = true;
            answer.stopped = true;
        }
    }

    pub(super) fn next_example(&mut self, shared: &Shared, forward: bool) -> Vec<Effect> {
        if !self.can_fill_example() {
            return vec![Effect::App(AppEffect::Notice(
                "An example never replaces your own prompt: empty the box first.".into(),
            ))];
        }
        let count = self.examples.len();
        let next = match (self.example, forward) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(i), true) => (i + 1) % count,
            (Some(i), false) => (i + count - 1) % count,
        };
        self.example = Some(next);
        self.prompt.set_text(&self.examples[next], self.focus == Focus::Prompt);
        self.token = None;
        self.route(shared)
    }

    pub(super) fn on_engine(&mut self, message: &EngineMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            EngineMessage::State(state) => return self.on_state(state, shared),
            EngineMessage::Trace { ticket, trace, generating, milliseconds } if *ticket == self.ticket => {
                self.show(trace, *milliseconds);
                if !generating {
                    self.pending = None;
                }
            }
            EngineMessage::Progress { ticket, done, total } if *ticket == self.ticket => {
                if let Some(pending) = &mut self.pending {
                    pending.progress = Some((*done, *total));
                }
            }
            EngineMessage::Text { ticket, text, done } if *ticket == self.ticket => {
                if let Some(answer) = &mut self.answer {
                    answer.text.clone_from(text);
                    answer.done = *done;
                    let tokens = self.shown.as_ref().map_or(0, |shown| written(&shown.trace));
                    answer.full = *done && tokens >= MAX_NEW_TOKENS;
                }
            }
            EngineMessage::Failed { ticket, error } if *ticket == self.ticket => {
                self.interrupt_answer();
                self.answer.take_if(|answer| answer.stopped && answer.text.is_empty());
                self.pending = None;
                self.error = Some(error.clone());
            }
            EngineMessage::Examples(examples) if !examples.is_empty() => {
                self.examples = examples.clone();
                self.example = None;
            }
            _ => {}
        }
        Vec::new()
    }

    fn show(&mut self, trace: &Arc<Trace>, milliseconds: f64) {
        let digest = Digest::new(trace, self.kind.as_deref(), self.by_module);
        match &self.shown {
            // The middle of the network says more than its first layer.
            None => self.column = digest.columns.len() / 2,
            Some(old) if old.trace.experts != trace.experts => {
                let name = self.expert.and_then(|e| old.trace.experts.get(e));
                self.expert = name.and_then(|name| trace.experts.iter().position(|e| e == name));
            }
            Some(_) => {}
        }
        let (asked, trace) = (self.asked.clone(), trace.clone());
        self.shown = Some(Shown { asked, outdated: false, trace, digest, milliseconds });
        self.error = None;
    }

    fn on_state(&mut self, state: &EngineState, shared: &Shared) -> Vec<Effect> {
        match state {
            EngineState::Ready { .. } => self.on_ready(shared),
            EngineState::Loading { .. } | EngineState::Fetching { .. } => Vec::new(),
            EngineState::Missing { .. } | EngineState::Failed { .. } | EngineState::Unloaded => {
                self.interrupt_answer();
                self.pending = None;
                self.lost = true;
                // Keys such as `f` must not be typed into the box.
                if needs_retry(state) {
                    self.set_focus(Focus::Map);
                }
                Vec::new()
            }
        }
    }

    /// A model was loaded, or the experts were read again.
    fn on_ready(&mut self, shared: &Shared) -> Vec<Effect> {
        let changed = !std::mem::take(&mut self.lost) && (self.shown.is_some() || self.answer.is_some());
        if let Some(shown) = self.shown.as_mut().filter(|_| changed) {
            shown.outdated = true;
        }
        let waiting = self.is_generating();
        if let Some(answer) = self.answer.as_mut().filter(|_| changed && !waiting) {
            answer.experts_changed = true;
        }
        // What was asked before is still to be answered, with the new experts.
        let mut effects = Vec::new();
        if self.pending.is_none() && !self.prompt.is_blank() {
            effects = self.route(shared);
        }
        if changed {
            let again = if self.prompt.is_blank() { "" } else { ": the prompt is routed again" };
            effects.push(Effect::App(AppEffect::Notice(format!("The experts changed{again}."))));
        }
        effects
    }

    pub(super) fn on_library(&mut self, library: &Library, shared: &Shared) -> Vec<Effect> {
        let before = self.router.clone();
        let mut effects = Vec::new();
        if !self.router_touched {
            // Without experts only the base model can answer.
            let anybody = library.usable().next().is_some();
            match RouterConfig::of_library(&library.manifest, anybody) {
                Ok(config) => {
                    self.router = RouterConfig { muted: std::mem::take(&mut self.router.muted), ..config };
                }
                Err(error) => effects.push(Effect::App(AppEffect::Error(error.to_string()))),
            }
        }
        let known = |name: &String| library.usable().any(|e| &e.name == name);
        self.router.muted.retain(known);
        if library.usable().all(|e| self.router.muted.contains(&e.name)) {
            // Somebody must be left to answer.
            self.router.muted.clear();
        }
        if self.router.router.names_expert() && !known(&self.router.argument) {
            self.router.change_to(RouterConfig::default().router, String::new());
        }
        if self.wanted && shared.engine == EngineState::Unloaded {
            effects.push(Effect::Engine(EngineEffect::Load));
        } else if before != self.router && self.shown.is_some() {
            effects.extend(self.route(shared));
        }
        effects
    }
}

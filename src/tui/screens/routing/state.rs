//! What the Routing tab knows, in parts: the question, the exchange with the engine, the view of its answer, and
//! example prompts. Here is what concerns several of them.

use std::sync::Arc;

use super::cost::Costs;
use super::cursor::{MapView, Zoom};
use super::exchange::{Exchange, is_ready, needs_retry};
use super::experiment::{Experiment, Kept, MOST};
use super::history::History;
use super::marks::ExpertMarks;
use super::question::{Asked, Change, Question};
use super::reasons::Reasons;
use super::suggestions::Suggestions;
use crate::library::Library;
use crate::routing::{RouterSetting, Trace};
use crate::text::{counted, listed};
use crate::tui::{
    AppEffect, Effect, EngineEffect, EngineState, PromptsEffect, Shared, TextField, WantedPrompt,
};

/// What keys act on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    #[default]
    Map,
    Prompt,
    /// The search among the experts.
    Search,
    /// The answer whose probability is compared.
    Reference,
    /// The list of prompts that were tried.
    History,
    /// Nothing: what a key would have opened is not to be had, and what is typed after it is no command.
    Refused,
}

/// What is said where a prompt is longer than the box.
pub fn left_out(characters: usize, of: &str) -> Option<Effect> {
    let text = format!("{} left out of the {of}", counted(characters, "character"));
    (characters > 0).then_some(Effect::App(AppEffect::Notice(text)))
}

/// State of the Routing tab.
#[derive(Debug, Default)]
pub struct RoutingScreen {
    pub(super) question: Question,
    pub(super) exchange: Exchange,
    pub(super) map: MapView,
    pub(super) suggestions: Suggestions,
    /// Whether there is data of all experts, for routers that know them by it.
    pub(super) has_data: bool,
    pub(super) marks: ExpertMarks,
    /// What experts are looked for, while one looks.
    pub(super) search: Option<TextField>,
    pub(super) experiment: Experiment,
    pub(super) reasons: Reasons,
    pub(super) costs: Costs,
    pub(super) history: History,
    /// The answer whose probability is compared, while one types it.
    pub(super) reference: Option<TextField>,
    /// Why there is nothing to type for, after a key that opens a line of text.
    pub(super) refused: Option<String>,
    pub(super) focus: Focus,
    /// What had the focus before the list of prompts, or before a key that led nowhere: it comes back.
    back: Focus,
    /// The tab was looked at, so the model is to be loaded as soon as there is a library.
    pub(super) wanted: bool,
}

impl RoutingScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn set_focus(&mut self, focus: Focus) {
        self.focus = focus;
        self.question.prompt.set_focus(focus == Focus::Prompt);
    }

    pub(super) fn can_fill_example(&self) -> bool {
        self.suggestions.may_fill(&self.question.prompt)
    }

    pub(super) fn can_generate(&self, shared: &Shared) -> bool {
        !self.question.prompt.is_blank() && is_ready(shared)
    }

    /// The expert that `x` and `s` act on.
    pub(super) fn expert(&self) -> Option<usize> {
        self.map.expert_in(self.exchange.shown.as_ref()?)
    }

    /// The experts that can be chosen: those of the routing, before one those of the library.
    pub(super) fn experts(&self, shared: &Shared) -> Vec<String> {
        match &self.exchange.shown {
            Some(shown) if !shown.trace.experts.is_empty() => shown.trace.experts.to_vec(),
            _ => shared.library.iter().flat_map(|l| l.usable()).map(|e| e.name.clone()).collect(),
        }
    }

    /// Asks for the routing of what is in the box now. An answer stays until there is another one.
    pub(super) fn route(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.question.prompt.is_blank() {
            self.map.token = None;
        }
        let asked = self.question.asked();
        let mut effects = self.leave(&asked);
        effects.extend(self.exchange.ask(asked, false, shared));
        effects
    }

    /// Ends the studies of another prompt.
    fn leave(&mut self, asked: &Asked) -> Vec<Effect> {
        let effects = self.experiment.leave(asked);
        if !effects.is_empty() {
            self.reasons.end();
            self.costs.end();
        }
        effects
    }

    /// Asks for an answer.
    pub(super) fn generate(&mut self, shared: &Shared) -> Vec<Effect> {
        if !self.can_generate(shared) {
            return Vec::new();
        }
        self.map.token = None;
        let asked = self.question.asked();
        let mut effects = self.leave(&asked);
        self.experiment.retry();
        effects.extend(self.exchange.ask(asked, true, shared));
        effects.extend(self.remember());
        effects
    }

    /// Keeps the prompt among those that were tried; examples are there anyway.
    pub(super) fn remember(&mut self) -> Vec<Effect> {
        let prompt = self.question.prompt.text();
        if self.suggestions.prompts.contains(&prompt) || !self.history.remember(&prompt) {
            return Vec::new();
        }
        vec![Effect::Prompts(PromptsEffect::Remember(prompt))]
    }

    /// Keeps the prompt of the box among those that were tried where its routing was seen: before another takes its place,
    /// and where nobody types, so that no beginnings are kept.
    pub(super) fn keep_seen(&mut self) -> Vec<Effect> {
        let prompt = self.question.prompt.text();
        let seen = self.exchange.shown.as_ref().is_some_and(|shown| shown.asked.prompt == prompt);
        if seen && !self.history.has(&prompt) { self.remember() } else { Vec::new() }
    }

    /// Makes a prompt a favourite, or no longer.
    pub(super) fn favour(&mut self, prompt: String) -> Vec<Effect> {
        if prompt.trim().is_empty() {
            return vec![Effect::App(AppEffect::Notice("There is no prompt to keep.".into()))];
        }
        let favourite = self.history.favour(&prompt);
        let said =
            if favourite { "A favourite now: Ctrl-R lists it first." } else { "No favourite any more." };
        let notice = Effect::App(AppEffect::Notice(said.into()));
        vec![Effect::Prompts(PromptsEffect::Favour { prompt, favourite }), notice]
    }

    /// Hides which router gave which answer, or shows it again.
    pub(super) fn toggle_blind(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.experiment.rows.is_empty() {
            let why = "No answers stand side by side to compare: a puts this router beside others.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        // When the key was pressed is the lot: nobody presses it at a microsecond that they chose.
        self.experiment.toggle_blind(shared.now.to_bits());
        Vec::new()
    }

    /// Shows on the map what moved against the run that is kept, or the map itself again.
    pub(super) fn toggle_difference(&mut self) -> Vec<Effect> {
        let Some(shown) = &mut self.exchange.shown else { return Vec::new() };
        if self.map.difference {
            self.map.difference = false;
            return Vec::new();
        }
        let Some(kept) = &mut self.experiment.kept else {
            let why = "No run is kept to compare with: R keeps this one, then r or t changes the router.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        };
        if !kept.asked.is_same_prompt(&shown.asked) {
            let why = "The run that is kept is of another prompt: R keeps this one instead.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        if self.map.zoom == Zoom::Whole {
            self.map.toggle_zoom(shown);
            kept.digest = self.map.digest(&kept.trace);
        }
        self.map.difference = true;
        Vec::new()
    }

    /// Puts the next older prompt into the box, or the next newer one.
    pub(super) fn step_history(&mut self, older: bool, shared: &Shared) -> Vec<Effect> {
        let mut effects = self.keep_seen();
        if let Some(prompt) = self.history.step(older, &self.question.prompt.text()) {
            effects.extend(self.replace_prompt(&prompt, shared));
        }
        effects
    }

    /// Opens the list of prompts that were tried.
    pub(super) fn find_prompt(&mut self) {
        if self.history.is_empty() {
            self.refuse(
                "No prompt was tried yet: one is kept when it is answered, or the box is left or emptied.",
            );
            return;
        }
        self.history.find();
        self.back = self.focus;
        self.set_focus(Focus::History);
    }

    /// Says why there is nothing to type for, and takes what is typed all the same.
    pub(super) fn refuse(&mut self, why: &str) {
        self.refused = Some(why.into());
        self.back = self.focus;
        self.set_focus(Focus::Refused);
    }

    /// Goes back from where there was nothing to type for.
    pub(super) fn leave_refused(&mut self) {
        self.refused = None;
        self.set_focus(self.back);
    }

    /// Closes the list; the prompt that was chosen goes into the box.
    pub(super) fn end_history(&mut self, take: bool, shared: &Shared) -> Vec<Effect> {
        let chosen = self.history.choose().filter(|_| take);
        self.set_focus(if take { Focus::Map } else { self.back });
        chosen.map_or_else(Vec::new, |prompt| self.replace_prompt(&prompt, shared))
    }

    /// Takes a prompt with its router and a right answer from another tab.
    pub(super) fn take_wanted(&mut self, wanted: &WantedPrompt, shared: &Shared) -> Vec<Effect> {
        self.search = None;
        self.reference = None;
        self.refused = None;
        self.history.finding = None;
        self.set_focus(Focus::Map);
        self.question.raw = wanted.raw;
        self.question.set_router(&wanted.router);
        self.experiment.set_reference(&wanted.prompt, &wanted.reference);
        self.replace_prompt(&wanted.prompt, shared)
    }

    fn replace_prompt(&mut self, prompt: &str, shared: &Shared) -> Vec<Effect> {
        let kept = self.keep_seen();
        let dropped = self.question.prompt.set_text(prompt);
        self.map.token = None;
        let mut effects = self.route(shared);
        effects.extend(kept);
        effects.extend(left_out(dropped, "prompt"));
        effects
    }

    /// Takes the prompt from the person's editor.
    pub(super) fn take_edited(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        if text == self.question.prompt.text() {
            return Vec::new();
        }
        self.replace_prompt(text, shared)
    }

    /// Fills in an example prompt.
    pub(super) fn fill_example(&mut self, forward: bool, shared: &Shared) -> Vec<Effect> {
        if !self.can_fill_example() {
            let leave = if self.focus == Focus::Prompt { ", Esc leaves it" } else { "" };
            let why = format!("An example never replaces your own prompt: Ctrl-X empties the box{leave}.");
            return vec![Effect::App(AppEffect::Notice(why))];
        }
        let Some(prompt) = self.suggestions.step(forward).map(String::from) else { return Vec::new() };
        self.replace_prompt(&prompt, shared)
    }

    /// Routes again after a change of the router, or says why there is none. Live: an answer under way starts anew, a
    /// finished one stays and says whose it is.
    fn after(&mut self, change: Change, shared: &Shared) -> Vec<Effect> {
        match change {
            Change::Made if self.exchange.is_generating() => self.generate(shared),
            Change::Made => self.route(shared),
            Change::Nothing => Vec::new(),
            Change::Refused(why) => vec![Effect::App(AppEffect::Notice(why))],
        }
    }

    pub(super) fn next_router(&mut self, shared: &Shared) -> Vec<Effect> {
        let names = self.experts(shared);
        let expert = self
            .expert()
            .and_then(|e| names.get(e).cloned())
            .or_else(|| shared.selected.clone().filter(|name| names.contains(name)))
            .or_else(|| names.first().cloned());
        let (change, passed) = self.question.next_router(expert, self.has_data);
        let mut effects = self.after(change, shared);
        if !passed.is_empty() {
            let why = format!(
                "Passed over {}: the data that the experts were trained on is not here.",
                listed(&passed, "and")
            );
            effects.push(Effect::App(AppEffect::Notice(why)));
        }
        effects
    }

    pub(super) fn step_setting(
        &mut self,
        setting: &'static RouterSetting,
        up: bool,
        shared: &Shared,
    ) -> Vec<Effect> {
        let change = self.question.step_setting(setting, up, self.experts(shared).len());
        self.after(change, shared)
    }

    pub(super) fn toggle_mute(&mut self, shared: &Shared) -> Vec<Effect> {
        let names = self.experts(shared);
        let (expert, target) = (self.chosen(), self.target(shared));
        let was_muted = self.question.muted().len();
        let change = self.question.toggle_mute(target.as_deref(), &names);
        if self.question.muted().len() > was_muted {
            // The selection stays on the expert, so that the same key brings it back.
            self.map.expert = expert;
        }
        self.after(change, shared)
    }

    pub(super) fn unmute_all(&mut self, shared: &Shared) -> Vec<Effect> {
        let change = self.question.unmute_all();
        self.after(change, shared)
    }

    pub(super) fn route_single(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(name) = self.target(shared) else { return Vec::new() };
        let change = self.question.route_single(name);
        self.after(change, shared)
    }

    /// Routes everything through the chosen expert, or no longer where that is so.
    pub(super) fn toggle_single(&mut self, shared: &Shared) -> Vec<Effect> {
        if !self.question.router.router.names_expert() {
            return self.route_single(shared);
        }
        let change = self.question.leave_single();
        self.after(change, shared)
    }

    pub(super) fn toggle_pin(&mut self, shared: &Shared) -> Vec<Effect> {
        let (expert, target) = (self.chosen(), self.target(shared));
        let change = self.question.toggle_pin(target.as_deref());
        // The selection stays on the expert, so that the same key undoes it.
        self.map.expert = expert;
        self.after(change, shared)
    }

    /// Shows a routing.
    pub(super) fn show(
        &mut self,
        trace: &Arc<Trace>,
        milliseconds: f64,
        more: bool,
        shared: &Shared,
    ) -> Vec<Effect> {
        let answered = !more && self.exchange.is_generating();
        let digest = self.map.digest(trace);
        if self.exchange.shown.is_none() {
            // Who was chosen among the experts of the library stays chosen.
            let name = self.map.expert.and_then(|expert| self.experts(shared).get(expert).cloned());
            self.map.expert = name.and_then(|name| trace.experts.iter().position(|e| *e == name));
        }
        self.map.replace(self.exchange.shown.as_ref(), trace, &digest);
        self.exchange.show(trace.clone(), digest, milliseconds, more);
        self.mark_experts(shared);
        if more {
            return Vec::new();
        }
        // Nothing is compared while one types.
        if self.focus == Focus::Prompt {
            return self.explain(shared);
        }
        let mut effects = self.compare();
        effects.extend(self.keep_seen());
        if answered {
            let (asked, ticket) = (self.exchange.asked.clone(), self.exchange.issue());
            effects.extend(self.costs.ask(&asked, ticket));
        }
        effects.extend(self.explain(shared));
        effects
    }

    /// Asks why the experts of the token under the cursor have their weights, unless that is known or something else is
    /// under way.
    pub(super) fn explain(&mut self, shared: &Shared) -> Vec<Effect> {
        let busy = self.exchange.pending.is_some() || self.exchange.is_stale() || !is_ready(shared);
        let Some(shown) = self.exchange.shown.as_ref().filter(|_| !busy) else { return Vec::new() };
        let token = self.map.token_in(shown);
        if !self.reasons.lack(shown, token) {
            return Vec::new();
        }
        let ticket = self.exchange.issue();
        let Some(shown) = &self.exchange.shown else { return Vec::new() };
        self.reasons.ask(shown, token, ticket)
    }

    /// Asks for what is missing beside the routing that is shown.
    pub(super) fn compare(&mut self) -> Vec<Effect> {
        let asked = self.question.asked();
        let shown = self.exchange.shown.as_ref().is_some_and(|shown| shown.asked == asked);
        if !shown || !self.experiment.is_stale(&asked) {
            return Vec::new();
        }
        let ticket = self.exchange.issue();
        self.experiment.compare(&asked, ticket)
    }

    /// The answer to what is shown, where there is one and it is complete.
    pub(super) fn present_answer(&self) -> Option<&str> {
        let shown = self.exchange.shown.as_ref()?;
        let answer = self
            .exchange
            .answer
            .as_ref()
            .filter(|answer| answer.done && answer.asked().is_same_run(&shown.asked));
        let row = || self.experiment.rows.iter().find(|row| row.done && row.asked.is_same_run(&shown.asked));
        let text = answer.map(|answer| answer.text.as_str()).or_else(|| Some(row()?.text.as_str()))?;
        (!text.trim().is_empty()).then_some(text)
    }

    /// Puts the present router beside others, or takes it away.
    pub(super) fn toggle_router(&mut self) -> Vec<Effect> {
        if !self.experiment.toggle(&self.question.router) {
            let why =
                format!("{MOST} routers stand side by side already: r to one of them, and a takes it away.");
            return vec![Effect::App(AppEffect::Notice(why))];
        }
        self.compare()
    }

    /// Keeps the run that is shown to compare others with, or lets it go.
    pub(super) fn toggle_kept(&mut self) -> Vec<Effect> {
        let Some(shown) = &self.exchange.shown else { return Vec::new() };
        if self.experiment.kept.take_if(|kept| kept.asked.is_same_run(&shown.asked)).is_some() {
            return Vec::new();
        }
        let answer = self.present_answer().map(String::from);
        let mut kept = Kept::new(shown, answer);
        let row = self.experiment.rows.iter().find(|row| row.asked.is_same_run(&kept.asked));
        kept.log_probability = row.and_then(|row| row.log_probability());
        self.experiment.kept = Some(kept);
        self.compare()
    }

    /// The answer whose probability is compared, or what is offered for it.
    fn offered_reference(&self) -> String {
        match self.experiment.reference(&self.question.asked()) {
            "" => self.present_answer().unwrap_or_default().trim().to_string(),
            text => text.to_string(),
        }
    }

    /// Begins to type the answer whose probability is compared.
    pub(super) fn edit_reference(&mut self) {
        self.reference = Some(TextField::suggestion(&self.offered_reference()));
        self.set_focus(Focus::Reference);
    }

    /// Ends typing; what was typed holds from now on.
    pub(super) fn end_reference(&mut self, keep: bool) -> Vec<Effect> {
        let field = self.reference.take();
        self.set_focus(Focus::Map);
        let Some(field) = field.filter(|_| keep) else { return Vec::new() };
        // A field is one line; what was offered and not touched may have several.
        let text = if field.is_suggestion() { self.offered_reference() } else { field.text() };
        self.experiment.set_reference(&self.question.prompt.text(), &text);
        self.compare()
    }

    /// Asks which experts the reference answer or, without one, the present answer is owed to.
    pub(super) fn ask_why(&mut self, shared: &Shared) -> Vec<Effect> {
        let of_prompt = self.exchange.shown.as_ref().map(|shown| self.experiment.reference(&shown.asked));
        let answer = match of_prompt.unwrap_or_default() {
            "" => self.present_answer().map(String::from),
            text => Some(text.to_string()),
        };
        let ticket = self.exchange.issue();
        let (Some(answer), Some(shown)) = (answer, &self.exchange.shown) else {
            let why = "There is no answer to explain yet: g generates one, = sets one.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        };
        if !shown.asked.router.is_weighted() {
            let why = "The base model alone owes nothing to experts: r chooses another router.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        self.experiment.ask_why(shown, answer, shared.now, ticket)
    }

    /// Ends what is under way: first what is asked, then studies.
    pub(super) fn stop(&mut self) -> Vec<Effect> {
        if self.exchange.pending.is_some() {
            return self.exchange.stop();
        }
        let effects = self.experiment.stop();
        if !effects.is_empty() {
            self.reasons.end();
            self.costs.end();
        }
        effects
    }

    /// Gives letters and hues to the experts of the routing that is shown.
    pub(super) fn mark_experts(&mut self, shared: &Shared) {
        if let Some(shown) = &self.exchange.shown {
            self.marks.update(&shown.trace.experts, &shown.digest.totals, shared);
            // Whoever was chosen is on the screen, however little weight it has.
            if let Some(name) = self.map.expert.and_then(|expert| shown.trace.experts.get(expert)) {
                self.marks.lend(name);
            }
        }
    }

    /// The engine is in another state.
    pub(super) fn take_state(&mut self, state: &EngineState, shared: &Shared) -> Vec<Effect> {
        match state {
            EngineState::Ready { .. } => return self.take_model(shared),
            EngineState::Loading { .. } | EngineState::Fetching { .. } => {}
            EngineState::Missing { .. } | EngineState::Failed { .. } | EngineState::Unloaded => {
                self.exchange.lose_model();
                // The engine has ended its studies, too.
                drop(self.experiment.stop());
                self.reasons.end();
                self.costs.end();
                // Keys such as `f` must not be typed into the box, and the rest of a prompt must not act as keys.
                if needs_retry(state) && self.focus == Focus::Prompt && self.question.prompt.is_blank() {
                    self.set_focus(Focus::Map);
                }
            }
        }
        Vec::new()
    }

    /// A model was loaded, or the experts were read again.
    fn take_model(&mut self, shared: &Shared) -> Vec<Effect> {
        let changed = self.exchange.take_model();
        self.experiment.forget();
        self.reasons.forget();
        self.costs.forget();
        // What was asked before is still to be answered, with the new experts.
        let mut effects = Vec::new();
        let is_blank = self.question.prompt.is_blank();
        if self.exchange.pending.is_none() && !is_blank {
            effects = self.route(shared);
        }
        if changed {
            let again = if is_blank { "" } else { ": the prompt is routed again" };
            effects.push(Effect::App(AppEffect::Notice(format!("The experts changed{again}."))));
        }
        effects
    }

    /// The library was read.
    pub(super) fn take_library(&mut self, library: &Library, shared: &Shared) -> Vec<Effect> {
        let (changed, settled) = self.question.take_library(library);
        let mut effects = Vec::new();
        if let Err(error) = settled {
            effects.push(Effect::App(AppEffect::Error(error.to_string())));
        }
        if self.wanted && shared.engine == EngineState::Unloaded {
            effects.push(Effect::Engine(EngineEffect::Load));
        } else if changed && self.exchange.shown.is_some() {
            effects.extend(self.route(shared));
        }
        effects
    }
}

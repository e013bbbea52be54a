//! The Routing tab: a prompt, and which experts every one of its tokens uses in every layer.

mod action;
mod acts;
mod answer;
mod answers;
mod boxes;
mod cell;
mod choosing;
mod cost;
mod cursor;
mod digest;
mod empty_state;
mod exchange;
mod experiment;
mod experts;
mod field_keys;
mod finding;
mod groups;
mod history;
mod keys;
mod layers;
mod look;
mod map;
mod marks;
mod paint;
mod places;
mod prompt;
mod question;
mod reading;
mod reasons;
#[cfg(test)]
mod request_tests;
mod state;
mod status;
mod suggestions;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod view;
mod weights;
mod whole;
mod why;
mod zoomed;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use self::prompt::Edit;
pub use self::state::RoutingScreen;
use self::state::{Focus, left_out};
use crate::catalog::Catalog;
use crate::tui::{
    ComputeMessage, Effect, EngineEffect, EngineMessage, EngineState, KeyHint, PromptsEffect, Screen, Shared,
    Tab, Theme, TriedPrompt, Wanted, screen::TabSpec,
};

/// The Routing tab.
pub const TAB: Tab = Tab("Routing");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(RoutingScreen::new()) };

impl Screen for RoutingScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn captures_text(&self) -> bool {
        self.focus != Focus::Map
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !std::mem::replace(&mut self.wanted, true) {
            effects.push(Effect::Prompts(PromptsEffect::Read));
        }
        if shared.engine == EngineState::Unloaded && shared.library.is_some() {
            effects.push(Effect::Engine(EngineEffect::Load));
        }
        if let Some(Wanted::Prompt(wanted)) = &shared.wanted {
            effects.extend(self.take_wanted(wanted, shared));
        }
        effects
    }

    fn on_paste(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        if self.refused.is_some() {
            return Vec::new();
        }
        if let Some(search) = &mut self.search {
            search.insert(text);
            self.follow_search(shared);
            return Vec::new();
        }
        if let Some(reference) = &mut self.reference {
            reference.insert(text);
            return Vec::new();
        }
        if let Some((field, list)) = &mut self.history.finding {
            field.insert(text);
            list.select(0, 1);
            return Vec::new();
        }
        let (edit, dropped) = self.question.prompt.paste(text);
        let mut effects = Vec::new();
        if edit == Edit::Changed {
            self.set_focus(Focus::Prompt);
            self.map.token = None;
            effects = self.route(shared);
        }
        effects.extend(left_out(dropped, "paste"));
        effects
    }

    fn on_prompts(&mut self, prompts: &[TriedPrompt]) {
        self.history.take(prompts);
    }

    fn on_edited(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        // Only this tab lends texts.
        self.take_edited(text, shared)
    }

    fn is_animating(&self, _shared: &Shared) -> bool {
        self.exchange.pending.is_some() || self.experiment.is_running()
    }

    fn on_library(&mut self, library: &Arc<Catalog>, shared: &Shared) -> Vec<Effect> {
        self.take_library(library, shared)
    }

    fn on_compute(&mut self, message: &ComputeMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            ComputeMessage::Clustering { result: Ok(_), .. } => self.mark_experts(shared),
            ComputeMessage::Clustering { result: Err(_), .. }
            | ComputeMessage::Similarity { .. }
            | ComputeMessage::Sample { .. }
            | ComputeMessage::Sweep { .. }
            | ComputeMessage::Pair { .. }
            | ComputeMessage::Progress { .. }
            | ComputeMessage::Profile { .. }
            | ComputeMessage::ClustersPlanned { .. } => {}
        }
        Vec::new()
    }

    fn on_engine(&mut self, message: &EngineMessage, shared: &Shared) -> Vec<Effect> {
        let newest = self.exchange.ticket;
        match message {
            EngineMessage::State(state) => return self.take_state(state, shared),
            EngineMessage::Examples { prompts, has_data } => {
                self.suggestions.take(prompts);
                self.has_data = *has_data;
            }
            EngineMessage::Compared { ticket, at, result } => {
                self.experiment.take_compared(*ticket, *at, result);
            }
            EngineMessage::ComparedText { ticket, at, text, done } => {
                self.experiment.take_text(*ticket, *at, text, *done);
            }
            EngineMessage::Attributed { ticket, result } => self.experiment.take_why(*ticket, result),
            EngineMessage::Explained { ticket, result } => self.reasons.take(*ticket, result),
            EngineMessage::Costed { ticket, result } => self.costs.take(*ticket, result),
            EngineMessage::Trace { ticket, .. }
            | EngineMessage::Calibrating { ticket, .. }
            | EngineMessage::Progress { ticket, .. }
            | EngineMessage::Text { ticket, .. }
            | EngineMessage::Failed { ticket, .. }
                if *ticket != newest => {}
            EngineMessage::Trace { trace, generating, milliseconds, ticket: _ } => {
                return self.show(trace, *milliseconds, *generating, shared);
            }
            EngineMessage::Calibrating { step, ticket: _ } => self.exchange.take_calibration(*step),
            EngineMessage::Progress { done, total, ticket: _ } => self.exchange.take_progress(*done, *total),
            EngineMessage::Text { text, done, ticket: _ } => self.exchange.take_text(text, *done),
            EngineMessage::Failed { error, blamed, ticket: _ } => {
                self.exchange.fail(error, blamed.as_deref());
            }
        }
        Vec::new()
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        view::draw(self, frame, area, shared, theme);
    }
}

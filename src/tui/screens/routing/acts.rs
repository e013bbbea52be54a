//! What keys of the Routing tab do, and who gets those that have no meaning there.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{Action, Look};
use super::exchange::needs_retry;
use super::keys::shows;
use super::layers::by_groups;
use super::prompt::{Edit, PromptBox};
use super::state::{Focus, RoutingScreen};
use crate::routing::{CALIBRATED, TEMPERATURE, TOP_K};
use crate::tui::{AppEffect, Effect, EngineEffect, Shared};

/// Whether a key looks at the routing or changes the router: while answers are compared blindly, what it does would say
/// whose they are.
fn reveals(action: Action) -> bool {
    match action {
        Action::Look(_)
        | Action::NextRouter
        | Action::FewerExperts
        | Action::MoreExperts
        | Action::Sharper
        | Action::Softer
        | Action::Calibrate
        | Action::PreviousExpert
        | Action::NextExpert
        | Action::Mute
        | Action::Pin
        | Action::UnmuteAll
        | Action::Find
        | Action::Bars
        | Action::Beside
        | Action::Keep
        | Action::Reference
        | Action::Why
        | Action::Single
        | Action::Difference => true,
        Action::Fetch
        | Action::Load
        | Action::StopFetching
        | Action::Stop
        | Action::EditPrompt
        | Action::NextExample
        | Action::PreviousExample
        | Action::Generate
        | Action::KeepFound
        | Action::EndSearch
        | Action::KeepReference
        | Action::LeaveReference
        | Action::LeaveRefused
        | Action::Template
        | Action::LeavePrompt
        | Action::Submit
        | Action::NewLine
        | Action::DeleteToHead
        | Action::Clear
        | Action::Undo
        | Action::Redo
        | Action::Older
        | Action::Newer
        | Action::History
        | Action::List(_)
        | Action::TakePrompt
        | Action::LeaveHistory
        | Action::Editor
        | Action::Favour
        | Action::FavourListed
        | Action::Blind => false,
    }
}

impl RoutingScreen {
    pub(super) fn take_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if let Some(action) = self.table().action(key, self, shared) {
            let mut effects = self.act(action, shared);
            // What was stopped is not begun again by the same key.
            if action != Action::Stop {
                effects.extend(self.explain(shared));
            }
            return Some(effects);
        }
        match self.focus {
            Focus::Map => None,
            Focus::Prompt => {
                let edit = self.question.prompt.on_key(key);
                self.edited(edit, shared)
            }
            Focus::Search => {
                if self.search.as_mut()?.on_key(key)? {
                    self.follow_search(shared);
                }
                Some(Vec::new())
            }
            Focus::Reference => self.reference.as_mut()?.on_key(key).map(|_| Vec::new()),
            Focus::Refused => {
                let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
                let is_text = plain && matches!(key.code, KeyCode::Char(_)) || key.code == KeyCode::Backspace;
                is_text.then(Vec::new)
            }
            Focus::History => {
                let (field, list) = self.history.finding.as_mut()?;
                if field.on_key(key)? {
                    list.select(0, 1);
                }
                Some(Vec::new())
            }
        }
    }

    fn edited(&mut self, edit: Edit, shared: &Shared) -> Option<Vec<Effect>> {
        match edit {
            Edit::Changed => {
                self.map.token = None;
                Some(self.route(shared))
            }
            Edit::Kept => Some(Vec::new()),
            Edit::Ignored => None,
        }
    }

    fn edit(&mut self, change: fn(&mut PromptBox) -> Edit, shared: &Shared) -> Vec<Effect> {
        let edit = change(&mut self.question.prompt);
        self.edited(edit, shared).unwrap_or_default()
    }

    /// Deletes much of the prompt, which is kept where its routing was seen.
    fn delete(&mut self, change: fn(&mut PromptBox) -> Edit, shared: &Shared) -> Vec<Effect> {
        let kept = self.keep_seen();
        let mut effects = self.edit(change, shared);
        effects.extend(kept);
        effects
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if self.experiment.hides() && reveals(action) {
            let why = "Answers are compared blindly: B says whose they are, then this key works again.";
            // What is typed after a key that opens a line of text is meant for that.
            if matches!(action, Action::Find | Action::Reference) {
                self.refuse(why);
                return Vec::new();
            }
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        match action {
            Action::Fetch => return vec![Effect::Engine(EngineEffect::FetchBase)],
            Action::Load if needs_retry(&shared.engine) => return vec![Effect::Engine(EngineEffect::Load)],
            Action::Load => {}
            Action::StopFetching => return vec![Effect::Engine(EngineEffect::Stop)],
            Action::Stop => return self.stop(),
            Action::EditPrompt => self.set_focus(Focus::Prompt),
            Action::NextExample => return self.fill_example(true, shared),
            Action::PreviousExample => return self.fill_example(false, shared),
            Action::Generate => return self.generate(shared),
            Action::Look(look) => self.look(look),
            Action::NextRouter => return self.next_router(shared),
            Action::FewerExperts => return self.step_setting(&TOP_K, false, shared),
            Action::MoreExperts => return self.step_setting(&TOP_K, true, shared),
            Action::Sharper => return self.step_setting(&TEMPERATURE, false, shared),
            Action::Softer => return self.step_setting(&TEMPERATURE, true, shared),
            Action::Calibrate => return self.step_setting(&CALIBRATED, true, shared),
            Action::PreviousExpert => return self.move_expert(-1, shared),
            Action::NextExpert => return self.move_expert(1, shared),
            Action::Mute => return self.toggle_mute(shared),
            Action::Pin => return self.toggle_pin(shared),
            Action::Find => self.begin_search(shared),
            Action::KeepFound if self.order(shared).is_empty() => {
                let why = "No expert has such a name: Esc goes back.";
                return vec![Effect::App(AppEffect::Notice(why.into()))];
            }
            Action::KeepFound => self.end_search(true),
            Action::EndSearch => self.end_search(false),
            Action::Bars => return self.toggle_bars(),
            Action::Beside => return self.toggle_router(),
            Action::Keep => return self.toggle_kept(),
            Action::Reference if shows(self, shared) => self.edit_reference(),
            Action::Reference => self.refuse("There is no routing yet to compare answers under."),
            Action::LeaveRefused => self.leave_refused(),
            Action::KeepReference => return self.end_reference(true),
            Action::LeaveReference => return self.end_reference(false),
            Action::Why => return self.ask_why(shared),
            Action::UnmuteAll => return self.unmute_all(shared),
            Action::Single => return self.toggle_single(shared),
            Action::Template => {
                self.question.raw = !self.question.raw;
                self.map.token = None;
                return self.route(shared);
            }
            Action::LeavePrompt => {
                self.set_focus(Focus::Map);
                let mut effects = self.remember();
                effects.extend(self.compare());
                return effects;
            }
            Action::Older => return self.step_history(true, shared),
            Action::Newer => return self.step_history(false, shared),
            Action::History => self.find_prompt(),
            Action::List(motion) => {
                let found = self.history.found().len();
                if let Some((_, list)) = &mut self.history.finding {
                    list.go(motion, found);
                }
            }
            Action::TakePrompt => return self.end_history(true, shared),
            Action::LeaveHistory => return self.end_history(false, shared),
            Action::Favour => {
                let prompt = self.question.prompt.text();
                return self.favour(prompt);
            }
            Action::FavourListed => {
                let Some(prompt) = self.history.under_cursor() else { return Vec::new() };
                let effects = self.favour(prompt.clone());
                self.history.go_to(&prompt);
                return effects;
            }
            Action::Blind => return self.toggle_blind(shared),
            Action::Difference => return self.toggle_difference(),
            Action::Editor => return vec![Effect::Edit(self.question.prompt.text())],
            Action::Submit => {
                let effects = self.generate(shared);
                if !effects.is_empty() {
                    // Now the keys that change the router are at hand.
                    self.set_focus(Focus::Map);
                }
                return effects;
            }
            Action::NewLine => return self.edit(PromptBox::new_line, shared),
            Action::DeleteToHead => return self.delete(PromptBox::delete_to_head, shared),
            Action::Clear => return self.delete(PromptBox::clear, shared),
            Action::Undo => return self.edit(PromptBox::undo, shared),
            Action::Redo => return self.edit(PromptBox::redo, shared),
        }
        Vec::new()
    }

    /// Switches what the layers' bars are made of.
    fn toggle_bars(&mut self) -> Vec<Effect> {
        let Some(shown) = &self.exchange.shown else { return Vec::new() };
        if !self.marks.groups.divide() {
            let why = "No groups to show: the experts have neither clusters yet (tab 3) nor families.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        let groups = by_groups(self.map.bars, &shown.trace, &self.marks);
        self.map.toggle_bars(groups);
        Vec::new()
    }

    fn look(&mut self, look: Look) {
        let Some(shown) = &mut self.exchange.shown else { return };
        match look {
            Look::Token(motion) => self.map.move_token(shown, |token, last| motion.scroll(token, last)),
            Look::PreviousColumn => self.map.move_column(shown, -1),
            Look::NextColumn => self.map.move_column(shown, 1),
            Look::NextKind => self.map.next_kind(shown),
            Look::Zoom => self.map.toggle_zoom(shown),
        }
        if let (Look::NextKind | Look::Zoom, Some(kept)) = (look, &mut self.experiment.kept) {
            kept.digest = self.map.digest(&kept.trace);
        }
    }
}

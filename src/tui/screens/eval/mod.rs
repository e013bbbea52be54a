//! The Eval tab: scores of methods on tasks, as evaluations found them out.

mod chooser;
mod differences;
mod finding;
mod items;
mod keys;
mod lines;
mod panel;
mod saving;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod transfer;
mod view;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use self::chooser::evaluations;
pub use self::state::EvalScreen;
use crate::jobs::kinds::{EVAL, Kind};
use crate::tui::{
    Effect, EvalMessage, JobsMessage, KeyHint, Screen, Shared, Tab, Theme, Wanted, screen::TabSpec,
};

/// The Eval tab.
pub const TAB: Tab = Tab("Eval");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(EvalScreen::new()) };

impl Screen for EvalScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn captures_text(&self) -> bool {
        self.confirming.is_some() || self.choosing.is_some() || self.saving.is_some()
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.wanted = true;
        match &shared.wanted {
            Some(Wanted::Evaluation(id)) => {
                let id = id.clone();
                self.choose(&id, shared)
            }
            Some(Wanted::Job(_) | Wanted::Compared(_) | Wanted::Clusters { .. } | Wanted::Prompt(_))
            | None => self.follow(shared),
        }
    }

    fn follows(&self, kind: &Kind) -> bool {
        *kind == EVAL
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if let Some(saving) = self.saving.as_mut().filter(|saving| saving.ticket.is_none()) {
            saving.paste(text);
        }
        Vec::new()
    }

    fn count(&self, _shared: &Shared) -> Option<(String, &'static str)> {
        let tasks = self.evaluated()?.report.tasks.len();
        (tasks > 0).then(|| (tasks.to_string(), if tasks == 1 { "task" } else { "tasks" }))
    }

    fn is_animating(&self, shared: &Shared) -> bool {
        let waits = self.items.as_ref().is_some_and(|items| items.is_waiting())
            || self.differences.as_ref().is_some_and(|found| found.is_unknown());
        waits
            || self.reading.is_some()
            || self.is_live(shared)
            || (!self.listed && shared.library_error.is_none())
    }

    fn on_jobs(&mut self, message: &JobsMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            JobsMessage::List(_) => {
                self.listed = true;
                // What has ended meanwhile is no longer asked about.
                let is_open =
                    |id: &String| evaluations(shared).any(|job| job.id == *id && !job.state.is_over());
                self.confirming = self.confirming.take().filter(is_open);
                self.follow(shared)
            }
            JobsMessage::Started(Ok(id)) => {
                self.awaited = Some(id.clone());
                Vec::new()
            }
            JobsMessage::Detail(_)
            | JobsMessage::Curves(_)
            | JobsMessage::Machine(_)
            | JobsMessage::Started(_)
            | JobsMessage::Ended(_) => Vec::new(),
        }
    }

    fn on_evaluation(&mut self, message: &EvalMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            EvalMessage::Read { ticket, result } => self.take(*ticket, result, shared),
            EvalMessage::Items { ticket, result } => {
                self.take_items(*ticket, result);
                Vec::new()
            }
            EvalMessage::Compared { ticket, result } => {
                self.take_differences(*ticket, result);
                Vec::new()
            }
            EvalMessage::Saved { ticket, result } => self.take_saved(*ticket, result),
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        self.draw(frame, area, shared, theme);
    }
}

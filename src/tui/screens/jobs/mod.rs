//! The Jobs tab: what runs in the background, how far it is, its curves and its log.

mod chooser;
mod columns;
mod curve;
mod details;
mod group_details;
mod groups;
mod headline;
mod keys;
mod machine_pane;
mod marks;
mod order;
mod outcome;
mod pace;
mod plot;
mod state;
#[cfg(test)]
mod tests;
mod view;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

pub(super) use self::marks::state_glyph;
pub use self::state::JobsScreen;
use crate::tui::{Effect, JobsMessage, KeyHint, Screen, Shared, Tab, Theme, Wanted, screen::TabSpec};

/// The Jobs tab.
pub const TAB: Tab = Tab("Jobs");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(JobsScreen::new()) };

impl Screen for JobsScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn captures_text(&self) -> bool {
        self.confirming.is_some() || self.choosing.is_some() || self.filtering
    }

    fn on_paste(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        if !self.filtering {
            return Vec::new();
        }
        self.filter.insert(text);
        self.set_filter(shared)
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        match &shared.wanted {
            Some(Wanted::Job(id)) => self.select_job(id, shared),
            Some(
                Wanted::Clusters { .. } | Wanted::Compared(_) | Wanted::Evaluation(_) | Wanted::Prompt(_),
            )
            | None => self.follow_cursor(shared),
        }
    }

    fn badge(&self, shared: &Shared) -> Option<String> {
        let live = shared.live_jobs();
        (live > 0).then(|| live.to_string())
    }

    fn watches_jobs(&self) -> bool {
        true
    }

    fn count(&self, shared: &Shared) -> Option<(String, &'static str)> {
        let all = shared.jobs.len();
        let found = self.rows.found;
        let count = if self.rows.is_filtered() { format!("{found} of {all}") } else { all.to_string() };
        (all > 0).then_some((count, if all == 1 { "job" } else { "jobs" }))
    }

    fn is_animating(&self, shared: &Shared) -> bool {
        (!self.listed && shared.library_error.is_none()) || shared.jobs.iter().any(|job| !job.state.is_over())
    }

    fn on_jobs(&mut self, message: &JobsMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            JobsMessage::List(jobs) => {
                self.take_list(jobs);
                self.follow_cursor(shared)
            }
            JobsMessage::Detail(detail) => {
                self.detail = Some(detail.clone());
                Vec::new()
            }
            JobsMessage::Machine(machine) => {
                self.machine = Some(machine.clone());
                Vec::new()
            }
            JobsMessage::Curves(curves) => {
                self.take_curves(curves);
                Vec::new()
            }
            JobsMessage::Started(Ok(id)) => self.select_job(id, shared),
            JobsMessage::Started(Err(_)) | JobsMessage::Ended(_) => Vec::new(),
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        self.draw(frame, area, shared, theme);
        if let Some(chooser) = &self.choosing {
            chooser.draw(frame, area, theme);
        }
    }
}

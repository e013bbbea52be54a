//! The Similarity tab: all experts against each other, and two of them module by module.

mod arrange;
mod keys;
mod pair;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use self::pair::PairView;
pub use self::state::SimilarityScreen;
use super::comparison_chrome::Request;
use crate::catalog::Catalog;
use crate::tui::{ComputeMessage, Effect, KeyHint, Screen, Shared, Tab, Theme, Wanted, screen::TabSpec};

/// The Similarity tab.
pub const TAB: Tab = Tab("Similarity");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(SimilarityScreen::new()) };

impl Screen for SimilarityScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        if let Some(Wanted::Compared(expert)) = &shared.wanted {
            self.pair = None;
            self.sought = Some(expert.clone());
            self.seek();
        }
        let idle = self.shown.is_none() && self.request.is_none();
        if self.comparing.on_show(shared, idle) { self.compute() } else { Vec::new() }
    }

    fn is_animating(&self, _shared: &Shared) -> bool {
        self.request.is_some() || self.pair.as_ref().is_some_and(PairView::is_waiting)
    }

    fn on_library(&mut self, library: &Arc<Catalog>, _shared: &Shared) -> Vec<Effect> {
        if self.comparing.on_library(library) { self.start_over() } else { Vec::new() }
    }

    fn on_compute(&mut self, message: &ComputeMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            ComputeMessage::Progress { ticket, done, total } => {
                if let Some(request) = &mut self.request {
                    request.progress(*ticket, *done, *total, shared.now);
                }
            }
            ComputeMessage::Similarity { ticket, result } => {
                match (Request::answered(&mut self.request, *ticket), result) {
                    (Some(_), Ok(similarity)) => self.take(similarity, shared),
                    (Some(_), Err(error)) => self.comparing.fail(error),
                    (None, _) => {}
                }
            }
            ComputeMessage::Sample { ticket, similarity, .. } => {
                if Request::is(&self.request, *ticket) {
                    self.take_sample(similarity, shared);
                }
            }
            ComputeMessage::Clustering { result: Ok(_), .. } => self.arrange(shared),
            ComputeMessage::Pair { ticket, result } => {
                if let Some(pair) = self.pair.as_mut().filter(|pair| pair.ticket == *ticket) {
                    pair.take(result);
                }
            }
            ComputeMessage::Clustering { result: Err(_), .. }
            | ComputeMessage::Sweep { .. }
            | ComputeMessage::Profile { .. }
            | ComputeMessage::ClustersPlanned { .. } => {}
        }
        Vec::new()
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        match &self.pair {
            Some(pair) => pair.view(frame, area, shared, theme),
            None => self.draw(frame, area, shared, theme),
        }
    }
}

//! The Clusters tab: the partition, its members, a map, and how many clusters fit.

mod cells;
mod charts;
mod groups;
mod keys;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

pub use self::state::ClustersScreen;
use super::comparable::LARGE;
use super::comparison_chrome::Request;
use crate::analysis::Metric;
use crate::catalog::Catalog;
use crate::tui::{ComputeMessage, Effect, KeyHint, Screen, Shared, Tab, Theme, Wanted, screen::TabSpec};

/// The Clusters tab.
pub const TAB: Tab = Tab("Clusters");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(ClustersScreen::new()) };

impl Screen for ClustersScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        if let Some(Wanted::Clusters { k, seed, sparsity }) = shared.wanted {
            return self.adopt(k, seed, sparsity, shared);
        }
        let idle = self.shown.is_none() && self.clustering.is_none();
        if self.comparing.on_show(shared, idle) { self.cluster() } else { Vec::new() }
    }

    fn is_animating(&self, _shared: &Shared) -> bool {
        self.clustering.is_some() || self.sweeping.is_some()
    }

    fn on_library(&mut self, library: &Arc<Catalog>, _shared: &Shared) -> Vec<Effect> {
        let changed = self.comparing.on_library(library);
        // All tabs show clusters: they are looked for before anybody asks.
        self.comparing.want_early();
        if changed { self.library_changed() } else { Vec::new() }
    }

    fn on_compute(&mut self, message: &ComputeMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            ComputeMessage::Similarity { result: Ok(similarity), .. } => {
                // Once anybody looks at similarities, clusters order and colour them.
                let fits = similarity.metric == Metric::default() && similarity.len() <= LARGE;
                if fits && !self.comparing.is_wanted() {
                    self.comparing.set_sparsity(similarity.sparsity);
                    return self.on_show(shared);
                }
            }
            ComputeMessage::Progress { ticket, done, total } => {
                for request in [&mut self.clustering, &mut self.sweeping].into_iter().flatten() {
                    request.progress(*ticket, *done, *total, shared.now);
                }
            }
            ComputeMessage::Clustering { ticket, result } => {
                match (Request::answered(&mut self.clustering, *ticket), result) {
                    (Some(_), Ok((similarity, clustering))) => {
                        self.take(similarity, clustering, shared);
                        if self.sweep.is_none() && self.sweeping.is_none() {
                            return self.ask_sweep();
                        }
                    }
                    (Some(_), Err(error)) => self.comparing.fail(error),
                    (None, _) => {}
                }
            }
            ComputeMessage::Sample { ticket, similarity, clustering } => {
                if Request::is(&self.clustering, *ticket) {
                    self.take_sample(similarity, clustering, shared);
                }
            }
            ComputeMessage::Sweep { ticket, result: Ok(sweep) } if sweep.more => {
                if Request::is(&self.sweeping, *ticket) {
                    return self.take_sweep(sweep);
                }
            }
            ComputeMessage::Sweep { ticket, result } => {
                match (Request::answered(&mut self.sweeping, *ticket), result) {
                    (Some(_), Ok(sweep)) => return self.take_sweep(sweep),
                    (Some(_), Err(error)) => self.comparing.fail(error),
                    (None, _) => {}
                }
            }
            ComputeMessage::Similarity { result: Err(_), .. }
            | ComputeMessage::Pair { .. }
            | ComputeMessage::Profile { .. }
            | ComputeMessage::ClustersPlanned { .. } => {}
        }
        Vec::new()
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        self.draw(frame, area, shared, theme);
    }
}

//! The Library tab: a table of experts and the details of the selected one.

mod details;
mod keys;
mod rows;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

pub use self::state::LibraryScreen;
use self::table::Columns;
use super::comparable::Comparable;
use crate::catalog::Catalog;
use crate::tui::{AppEffect, ComputeMessage, Effect, KeyHint, Screen, Shared, Tab, Theme, screen::TabSpec};

/// The Library tab.
pub const TAB: Tab = Tab("Library");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(LibraryScreen::new()) };

impl Screen for LibraryScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn captures_text(&self) -> bool {
        self.filtering
    }

    fn count(&self, _shared: &Shared) -> Option<(String, &'static str)> {
        self.rows.is_filtered().then(|| {
            let (found, all) = (self.rows.len(), self.rows.total());
            (format!("{found} of {all}"), "experts found")
        })
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.follow(shared);
        self.announce(shared)
    }

    fn on_paste(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        if !self.filtering {
            return Vec::new();
        }
        self.filter.insert(text);
        self.set_filter(shared)
    }

    fn is_animating(&self, _shared: &Shared) -> bool {
        self.selected().is_some_and(|row| row.readable && !self.profiles.contains_key(&row.name))
    }

    fn on_library(&mut self, library: &Arc<Catalog>, shared: &Shared) -> Vec<Effect> {
        self.profiles.clear();
        let said = std::mem::take(&mut self.rereading).then(|| self.differs(library));
        self.rows.set_library(library);
        let comparable = Comparable::of(Some(library));
        // The Clusters tab looks for clusters when other experts can be compared.
        if comparable != self.comparable {
            self.rows.comparing = comparable.problem().is_none() && comparable.question().is_none();
            self.comparable = comparable;
        }
        if let Some(similarity) = &shared.similarity {
            self.rows.set_strength(similarity, &shared.doubts);
        }
        self.columns = Columns::measure(&self.rows);
        self.follow(shared);
        let mut effects = self.announce(shared);
        effects.extend(said.map(|text| Effect::App(AppEffect::Notice(text))));
        effects
    }

    fn on_compute(&mut self, message: &ComputeMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            ComputeMessage::Clustering { result: Ok((similarity, clustering)), .. } => {
                let labels = clustering.labels.iter().copied();
                self.rows.set_strength(similarity, &shared.doubts);
                self.rows.set_clusters(clustering.experts.iter().cloned().zip(labels).collect());
                self.columns = Columns::measure(&self.rows);
                self.follow(shared);
            }
            ComputeMessage::Clustering { result: Err(_), .. } => {
                self.rows.comparing = false;
                self.columns = Columns::measure(&self.rows);
            }
            ComputeMessage::Profile { expert, result } => self.take_profile(expert, result),
            ComputeMessage::Similarity { .. }
            | ComputeMessage::Sample { .. }
            | ComputeMessage::Sweep { .. }
            | ComputeMessage::Pair { .. }
            | ComputeMessage::Progress { .. }
            | ComputeMessage::ClustersPlanned { .. } => {}
        }
        Vec::new()
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        self.draw(frame, area, shared, theme);
    }
}

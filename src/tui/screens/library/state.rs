//! What the Library tab knows: rows, the cursor, the filter, profiles.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use super::rows::{Row, Rows};
use super::table::Columns;
use crate::analysis::ExpertProfile;
use crate::tui::screens::comparable::Comparable;
use crate::tui::{AppEffect, ComputeEffect, Effect, List, Shared, TextField};

/// Profiles kept; more are forgotten together, for they are quick to compute again.
const PROFILES: usize = 256;

/// State of the Library tab.
#[derive(Debug, Default)]
pub struct LibraryScreen {
    pub(super) rows: Rows,
    pub(super) columns: Columns,
    pub(super) list: List,
    pub(super) filter: TextField,
    pub(super) filtering: bool,
    /// The details have the focus.
    pub(super) reading: bool,
    pub(super) scroll: usize,
    /// Furthest useful scroll, known once drawn.
    pub(super) scroll_end: Cell<usize>,
    pub(super) profiles: HashMap<String, Result<Arc<ExpertProfile>, String>>,
    /// The experts for which clusters were last waited for.
    pub(super) comparable: Comparable,
}

impl LibraryScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn has_experts(&self) -> bool {
        self.rows.total() > 0
    }

    pub(super) fn selected(&self) -> Option<&Row> {
        self.rows.get(self.list.cursor())
    }

    /// Moves the cursor back to the expert that is selected everywhere; else stays as near as it can.
    pub(super) fn follow(&mut self, shared: &Shared) {
        let row = shared.selected.as_deref().and_then(|name| self.rows.position(name));
        self.list.select(row.unwrap_or(self.list.cursor()), self.rows.len());
    }

    /// Tells the others what is selected now and asks for its profile.
    pub(super) fn announce(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(row) = self.selected() else { return Vec::new() };
        let (name, readable) = (row.name.clone(), row.readable);
        let mut effects = Vec::new();
        if shared.selected.as_deref() != Some(&name) {
            self.scroll = 0;
            effects.push(Effect::App(AppEffect::Select { expert: name.clone() }));
        }
        if readable && !self.profiles.contains_key(&name) {
            effects.push(Effect::Compute(ComputeEffect::Profile { expert: name }));
        }
        effects
    }

    pub(super) fn set_filter(&mut self, shared: &Shared) -> Vec<Effect> {
        self.rows.set_filter(&self.filter.text());
        if self.filter.is_empty() {
            self.follow(shared);
        } else {
            self.list.select(0, self.rows.len());
        }
        self.announce(shared)
    }

    /// Takes what is known of an expert's weights.
    pub(super) fn take_profile(&mut self, expert: &str, result: &Result<Arc<ExpertProfile>, String>) {
        if self.profiles.len() >= PROFILES {
            self.profiles.clear();
        }
        self.profiles.insert(expert.to_string(), result.clone());
    }
}

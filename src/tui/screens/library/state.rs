//! What the Library tab knows: rows, the cursor, the filter, profiles.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use super::rows::{Row, Rows};
use super::table::Columns;
use crate::analysis::ExpertProfile;
use crate::library::{Expert, Library};
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
    /// A person asked to read the library again.
    pub(super) rereading: bool,
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
        if !self.rows.is_filtered() {
            self.follow(shared);
        } else {
            self.list.select(0, self.rows.len());
        }
        self.announce(shared)
    }

    /// What another reading brought, in words.
    pub(super) fn differs(&self, library: &Library) -> String {
        let before: HashMap<&str, _> =
            self.rows.all().iter().map(|row| (row.name.as_str(), row.file)).collect();
        let new = library.experts.iter().filter(|expert| !before.contains_key(expert.name.as_str())).count();
        let stayed = library.experts.len() - new;
        let changed = |expert: &&Expert| {
            before.get(expert.name.as_str()).is_some_and(|&file| file != (expert.bytes, expert.modified))
        };
        let counts = [
            (new, "new"),
            (before.len().saturating_sub(stayed), "gone"),
            (library.experts.iter().filter(changed).count(), "changed"),
        ];
        let parts: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let parts = if parts.is_empty() { "nothing changed".into() } else { parts.join(", ") };
        format!("Read again: {parts}.")
    }

    /// Takes what is known of an expert's weights.
    pub(super) fn take_profile(&mut self, expert: &str, result: &Result<Arc<ExpertProfile>, String>) {
        if self.profiles.len() >= PROFILES {
            self.profiles.clear();
        }
        self.profiles.insert(expert.to_string(), result.clone());
    }
}

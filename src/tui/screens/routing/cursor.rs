//! What of a routing is looked at: token, column, expert, and which modules the columns are.

use super::digest::{self, Digest};
use super::exchange::Shown;
use crate::routing::{Part, Trace};

/// How closely a routing is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zoom {
    /// The prompt as text, and layers as bars.
    #[default]
    Whole,
    /// A row a token, a column a layer.
    Layers,
    /// A row a token, a column a module.
    Modules,
}

/// What the bars of the layers are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BarsBy {
    /// Experts while each has a colour of its own, else groups.
    #[default]
    Fitting,
    Experts,
    Groups,
}

/// Where the cursor is on the map, and what the map's columns are.
#[derive(Debug, Default)]
pub struct MapView {
    /// Token under the cursor; `None` follows the last one that counts.
    pub token: Option<usize>,
    pub column: usize,
    /// Expert chosen with `[` and `]`; `None` follows the leader of the cell under the cursor.
    pub expert: Option<usize>,
    /// Kind of modules on the map (`q`, `v` …); all of them for `None`.
    pub kind: Option<String>,
    pub zoom: Zoom,
    pub bars: BarsBy,
    /// The map shows what moved against the run that is kept.
    pub difference: bool,
}

impl MapView {
    /// A trace summed up for these columns.
    pub fn digest(&self, trace: &Trace) -> Digest {
        Digest::new(trace, self.kind.as_deref(), self.zoom == Zoom::Modules)
    }

    /// The token under the cursor.
    pub fn token_in(&self, Shown { trace, .. }: &Shown) -> usize {
        let last = trace.tokens.len().saturating_sub(1);
        // What the template puts behind the prompt is of less interest than the prompt's end.
        let followed = || (0..=last).rev().find(|&token| trace.counts(token)).unwrap_or(last);
        self.token.map_or_else(followed, |token| token.min(last))
    }

    /// The column under the cursor.
    pub fn column_in(&self, shown: &Shown) -> usize {
        self.column.min(shown.digest.columns.len().saturating_sub(1))
    }

    /// The expert that `x` and `s` act on.
    pub fn expert_in(&self, shown: &Shown) -> Option<usize> {
        let leader = || {
            let cell = shown.digest.cell(self.token_in(shown), self.column_in(shown));
            cell.expert.filter(|_| !cell.tie).map(|e| e as usize)
        };
        self.expert.or_else(leader).filter(|&e| e < shown.trace.experts.len())
    }

    /// Moves to another token. What the template adds is passed over where only the text is shown.
    pub fn move_token(&mut self, shown: &Shown, to: impl FnOnce(usize, usize) -> usize) {
        let tokens = &shown.trace.tokens;
        let text: Vec<usize> = (0..tokens.len()).filter(|&t| tokens[t].part != Part::Template).collect();
        let now = self.token_in(shown);
        self.expert = None;
        if self.zoom != Zoom::Whole || text.is_empty() {
            let last = tokens.len().saturating_sub(1);
            self.token = Some(to(now, last).min(last));
            return;
        }
        let at = text.partition_point(|&token| token < now).min(text.len() - 1);
        self.token = text.get(to(at, text.len() - 1).min(text.len() - 1)).copied();
    }

    /// Moves over the columns.
    pub fn move_column(&mut self, shown: &Shown, by: isize) {
        let last = shown.digest.columns.len().saturating_sub(1);
        self.column = self.column_in(shown).saturating_add_signed(by).min(last);
        self.expert = None;
    }

    /// Another kind of modules, then all of them.
    pub fn next_kind(&mut self, shown: &mut Shown) {
        let kinds = digest::kinds(&shown.trace.modules);
        let at = self.kind.as_ref().and_then(|kind| kinds.iter().position(|k| k == kind));
        self.kind = match at {
            None => kinds.first().cloned(),
            Some(i) => kinds.get(i + 1).cloned(),
        };
        shown.digest = self.digest(&shown.trace);
    }

    /// Looks closer: one row per token, then one column per module, then at the whole again. The cursor stays on its layer.
    pub fn toggle_zoom(&mut self, shown: &mut Shown) {
        let here = shown
            .digest
            .columns
            .get(self.column_in(shown))
            .and_then(|column| column.modules.first().copied());
        self.zoom = match self.zoom {
            Zoom::Whole => Zoom::Layers,
            Zoom::Layers => Zoom::Modules,
            Zoom::Modules => Zoom::Whole,
        };
        self.difference &= self.zoom != Zoom::Whole;
        shown.digest = self.digest(&shown.trace);
        if let Some(module) = here {
            let columns = &shown.digest.columns;
            self.column = columns.iter().position(|c| c.modules.contains(&module)).unwrap_or_default();
        }
    }

    /// Bars of experts instead of groups, and back.
    pub fn toggle_bars(&mut self, groups: bool) {
        self.bars = if groups { BarsBy::Experts } else { BarsBy::Groups };
    }

    /// A routing takes the place of `old`: the cursor stays on its expert.
    pub fn replace(&mut self, old: Option<&Shown>, trace: &Trace, digest: &Digest) {
        match old {
            // The middle of the network says more than its first layer.
            None => self.column = digest.columns.len() / 2,
            Some(old) if old.trace.experts != trace.experts => {
                let name = self.expert.and_then(|e| old.trace.experts.get(e));
                self.expert = name.and_then(|name| trace.experts.iter().position(|e| e == name));
            }
            Some(_) => {}
        }
    }
}

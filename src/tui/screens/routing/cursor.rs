//! What is looked at: token, column, expert, and which modules the columns are.

use super::digest::{self, Digest};
use super::{RoutingScreen, Shown};

impl RoutingScreen {
    pub(super) fn token_cursor(&self) -> usize {
        let Some(Shown { trace, .. }) = &self.shown else { return 0 };
        let last = trace.tokens.len().saturating_sub(1);
        // What the template puts behind the prompt is of less interest than the prompt's end.
        let followed = || (0..=last).rev().find(|&token| trace.counts(token)).unwrap_or(last);
        self.token.map_or_else(followed, |token| token.min(last))
    }

    pub(super) fn column_cursor(&self) -> usize {
        let columns = self.shown.as_ref().map_or(0, |s| s.digest.columns.len());
        self.column.min(columns.saturating_sub(1))
    }

    /// The expert that `x` and `s` act on.
    pub(super) fn expert_cursor(&self) -> Option<usize> {
        let shown = self.shown.as_ref()?;
        let leader = || {
            let cell = shown.digest.cell(self.token_cursor(), self.column_cursor());
            cell.expert.filter(|_| !cell.tie).map(|e| e as usize)
        };
        self.expert.or_else(leader).filter(|&e| e < shown.trace.experts.len())
    }

    pub(super) fn move_token(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let Some(shown) = &self.shown else { return };
        let last = shown.trace.tokens.len().saturating_sub(1);
        self.token = Some(to(self.token_cursor(), last).min(last));
        self.expert = None;
    }

    pub(super) fn move_column(&mut self, by: isize) {
        let Some(shown) = &self.shown else { return };
        let last = shown.digest.columns.len().saturating_sub(1);
        self.column = self.column_cursor().saturating_add_signed(by).min(last);
        self.expert = None;
    }

    pub(super) fn next_kind(&mut self) {
        let Some(shown) = &self.shown else { return };
        let kinds = digest::kinds(&shown.trace.modules);
        let at = self.kind.as_ref().and_then(|kind| kinds.iter().position(|k| k == kind));
        self.kind = match at {
            None => kinds.first().cloned(),
            Some(i) => kinds.get(i + 1).cloned(),
        };
        self.redigest();
    }

    /// Switches between layers and modules, keeping the cursor on the same layer.
    pub(super) fn toggle_zoom(&mut self) {
        let here = self.shown.as_ref().and_then(|shown| {
            shown.digest.columns.get(self.column_cursor()).and_then(|c| c.modules.first().copied())
        });
        self.by_module = !self.by_module;
        self.redigest();
        if let (Some(module), Some(shown)) = (here, &self.shown) {
            self.column =
                shown.digest.columns.iter().position(|c| c.modules.contains(&module)).unwrap_or_default();
        }
    }

    fn redigest(&mut self) {
        if let Some(shown) = &mut self.shown {
            shown.digest = Digest::new(&shown.trace, self.kind.as_deref(), self.by_module);
        }
    }
}

//! Choosing an expert of the routing: in the order of their shares, by name, or because it keeps a prompt from being
//! routed.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::paint::{heading, put, scroll};
use super::state::{Focus, RoutingScreen};
use crate::text::printable;
use crate::tui::text_width::{truncate, width};
use crate::tui::{AppEffect, Effect, Shared, TextField, Theme};

/// Said instead of a choice among experts where none are listed.
const NOBODY: &str = "No experts are listed here to choose from.";

impl RoutingScreen {
    /// The expert that keeps the prompt from being routed, where there is no routing to choose it in.
    pub(super) fn blamed(&self, shared: &Shared) -> Option<String> {
        let failure = self.exchange.error.as_ref().filter(|_| self.exchange.shown.is_none())?;
        let blamed = failure.blamed.as_ref()?;
        let mut experts = shared.library.iter().flat_map(|library| library.usable());
        experts.any(|expert| expert.name == *blamed).then(|| blamed.clone())
    }

    /// The number of the expert that was chosen or, in a routing, that leads under the cursor.
    pub(super) fn chosen(&self) -> Option<usize> {
        if self.exchange.shown.is_some() { self.expert() } else { self.map.expert }
    }

    /// The name of the expert that keys act on; where there is no routing and none was chosen, of the one that is to blame.
    pub(super) fn target(&self, shared: &Shared) -> Option<String> {
        let chosen = self.chosen().and_then(|expert| self.experts(shared).get(expert).cloned());
        chosen.or_else(|| self.blamed(shared))
    }

    /// The experts of the routing, those with the most weight first, or before there is one those of the library; while
    /// one searches, those that were found.
    pub(super) fn order(&self, shared: &Shared) -> Vec<usize> {
        let mut order = match &self.exchange.shown {
            Some(shown) => {
                let mut order = shown.digest.order();
                let (totals, votes) = (&shown.digest.totals, self.reasons.votes(shown));
                let of = |expert: usize| votes.get(expert).copied().unwrap_or(0.0);
                order.sort_by(|&a, &b| totals[b].total_cmp(&totals[a]).then(of(b).total_cmp(&of(a))));
                order
            }
            None => (0..self.experts(shared).len()).collect(),
        };
        if let Some(search) = &self.search {
            let words: Vec<String> =
                search.text().to_lowercase().split_whitespace().map(String::from).collect();
            let names = self.experts(shared);
            let name = |expert: usize| names.get(expert).map(|name| name.to_lowercase());
            order.retain(|&e| name(e).is_some_and(|name| words.iter().all(|word| name.contains(word))));
        }
        order
    }

    /// Goes to the next expert in the order of their shares.
    pub(super) fn move_expert(&mut self, by: isize, shared: &Shared) -> Vec<Effect> {
        let order = self.order(shared);
        if order.is_empty() {
            return vec![Effect::App(AppEffect::Notice(NOBODY.into()))];
        }
        let at = self.chosen().and_then(|now| order.iter().position(|&expert| expert == now));
        let next = match at {
            Some(now) => (now as isize + by).rem_euclid(order.len() as isize) as usize,
            None => 0,
        };
        let Some(&next) = order.get(next) else { return Vec::new() };
        self.map.expert = Some(next);
        if self.question.router.router.names_expert() {
            return self.route_single(shared);
        }
        self.mark_experts(shared);
        Vec::new()
    }

    /// Begins to look for an expert.
    pub(super) fn begin_search(&mut self, shared: &Shared) {
        if self.order(shared).is_empty() || !self.question.router.is_weighted() {
            self.refuse(NOBODY);
            return;
        }
        self.search = Some(TextField::default());
        self.set_focus(Focus::Search);
    }

    /// The text of the search is another: the first of those that were found is chosen.
    pub(super) fn follow_search(&mut self, shared: &Shared) {
        let found = self.order(shared);
        self.map.expert = found.first().copied();
        self.mark_experts(shared);
    }

    /// Ends the search; the expert that was found stays chosen.
    pub(super) fn end_search(&mut self, keep: bool) {
        self.search = None;
        self.set_focus(Focus::Map);
        if !keep {
            self.map.expert = None;
        }
    }

    /// Draws the experts that were found where there is no routing that lists them.
    pub(super) fn draw_found(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let (order, names) = (self.order(shared), self.experts(shared));
        let buf = frame.buffer_mut();
        let note = format!("{} of {} found", order.len(), names.len());
        let typed = self.search.as_ref().map_or(String::new(), TextField::text);
        let room = usize::from(area.width).saturating_sub(width(&note) + 2);
        heading(buf, area, 0, &truncate(&format!("/ {typed}"), room), &note, theme);
        if order.is_empty() {
            put(buf, area, 1, 1, "no expert has such a name", theme.dim());
        }
        let rows = usize::from(area.height.saturating_sub(1));
        let at = self.map.expert.and_then(|chosen| order.iter().position(|&expert| expert == chosen));
        let first = at.map_or(0, |at| scroll(at, order.len(), rows));
        for (y, (at_row, &expert)) in (1..).zip(order.iter().enumerate().skip(first).take(rows)) {
            let Some(name) = names.get(expert) else { continue };
            let chosen = at == Some(at_row);
            put(buf, area, 0, y, if chosen { "›" } else { " " }, theme.accent());
            let muted = if self.question.muted().contains(name) { " · muted" } else { "" };
            let text = format!("{}{muted}", printable(name));
            let style = if chosen { theme.accent() } else { theme.text() };
            put(buf, area, 1, y, &truncate(&text, usize::from(area.width).saturating_sub(1)), style);
        }
    }
}

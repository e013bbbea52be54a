//! What all panes below the boxes show: the routing, and how it is looked at.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::Clear;

use super::answers::{Against, Answers};
use super::cell::{CellDetail, Known};
use super::exchange::Shown;
use super::experiment::Kept;
use super::experts::{Listed, Shares};
use super::marks::{ExpertMarks, OTHERS};
use super::paint::put;
use super::reasons::{EXPLAINED, chooses};
use super::state::RoutingScreen;
use crate::tui::text_width::truncate;
use crate::tui::{Shared, TextField, Theme};

/// The narrowest and the widest useful list of shares.
pub const MIN_SHARES: u16 = 30;
pub const MAX_SHARES: u16 = 76;

/// Cells that a map needs beside a list of shares.
pub const MAP: u16 = 42;

/// In fewer rows panes have no headings.
pub const SMALL_BODY: u16 = 8;

/// The answers of the routers that are compared.
pub fn answers<'a>(screen: &'a RoutingScreen, shared: &Shared) -> Answers<'a> {
    Answers { experiment: &screen.experiment, now: &screen.exchange.asked, tick: shared.tick }
}

/// What all panes show: the routing, and how it is looked at.
pub struct Look<'a> {
    pub screen: &'a RoutingScreen,
    pub shown: &'a Shown,
    pub token: usize,
    pub column: usize,
    pub faded: bool,
    pub shared: &'a Shared,
    pub theme: &'a Theme,
}

impl Look<'_> {
    /// The experts to list, and how many there are of them.
    pub fn listed(&self, rows: u16, headed: bool) -> (Listed<'_>, usize) {
        let order = self.screen.order(self.shared);
        let found = order.len();
        // Without a list there is no better place for a letter's name than the sentence and the cell.
        let room = match rows {
            0 => usize::MAX,
            rows => usize::from(rows) - usize::from(headed),
        };
        let (experts, chosen) = (self.shown.trace.experts.len(), self.screen.map.expert);
        (Listed::new(order, experts, room, &self.screen.marks, chosen), found)
    }

    pub fn draw_shares(
        &self,
        frame: &mut Frame,
        area: Rect,
        (listed, found): (&Listed, usize),
        headed: bool,
    ) {
        let trace = self.shown.trace.as_ref();
        let search = self.screen.search.as_ref().map(TextField::text);
        let shares = Shares {
            trace,
            digest: &self.shown.digest,
            votes: self.screen.reasons.votes(self.shown),
            muted: self.screen.question.muted(),
            pinned: self.screen.question.pinned(),
            expert: self.screen.map.expert_in(self.shown),
            faded: self.faded,
            listed,
            found,
            search: search.as_deref(),
            headed,
        };
        shares.draw(frame.buffer_mut(), area, self.theme);
        if trace.experts.is_empty() || !self.shown.asked.router.is_weighted() {
            frame.render_widget(Clear, area);
            let text = truncate("no experts in this router", usize::from(area.width));
            put(frame.buffer_mut(), area, 0, 0, &text, self.theme.dim());
        }
    }

    pub fn detail<'a>(&'a self, listed: &'a Listed<'a>) -> CellDetail<'a> {
        let Self { shown, token, column, faded, .. } = *self;
        let known = match self.screen.reasons.of(shown, token) {
            _ if !chooses(shown) => Known::Nothing,
            None => Known::Pending,
            Some(Ok(why)) => Known::Found(why),
            Some(Err(error)) => Known::Failed(error),
        };
        CellDetail { trace: &shown.trace, digest: &shown.digest, token, column, faded, listed, known }
    }

    /// Rows of the cell under the cursor, with reasons where there are some and `room` for them.
    pub fn detail_rows(&self, room: usize) -> usize {
        let modules = self.shown.digest.columns.get(self.column).map_or(0, |column| column.modules.len());
        let reasons = CellDetail::rows(modules, EXPLAINED);
        match modules {
            0 => 0,
            // Of one module, as many experts as have room.
            1 if chooses(self.shown) && room >= 4 => reasons.min(room),
            _ if chooses(self.shown) && room >= reasons => reasons,
            modules => modules + 1,
        }
    }

    /// The run that the map is compared with.
    pub fn difference(&self) -> Option<&Kept> {
        let kept = self.screen.experiment.kept.as_ref().filter(|_| self.screen.map.difference)?;
        (kept.asked.is_same_prompt(&self.shown.asked) && kept.trace.experts == self.shown.trace.experts)
            .then_some(kept)
    }

    /// The run that is kept against this one.
    pub fn against(&self) -> Option<Against<'_>> {
        let experiment = &self.screen.experiment;
        let kept = experiment.kept.as_ref().filter(|kept| !kept.asked.is_same_run(&self.shown.asked))?;
        if experiment.hides() {
            return None;
        }
        let row = experiment.rows.iter().find(|row| row.asked.is_same_run(&self.shown.asked));
        Some(Against {
            kept,
            shown: self.shown,
            answer: self.screen.present_answer(),
            log_probability: row.and_then(|row| row.log_probability()),
            faded: self.faded,
        })
    }

    /// Whether it was asked what the answer owes to whom under this very run.
    pub fn is_explained(&self) -> bool {
        let now = &self.screen.exchange.asked;
        self.screen.experiment.why.as_ref().is_some_and(|why| why.asked.is_same_run(now))
    }
}

/// What the signs on the map mean that are no letters, as far as there are any.
pub fn legend(shown: &Shown, marks: &ExpertMarks, hidden: bool, map: bool) -> Vec<String> {
    let unlettered = |name: &String| marks.of(name).letter == OTHERS;
    let signs = [
        shown.digest.ties.then(|| "= all the same".to_string()),
        (hidden || shown.trace.experts.iter().any(unlettered))
            .then(|| format!("{OTHERS} an expert with less weight")),
        shown
            .trace
            .tokens
            .iter()
            .any(|token| token.text.is_empty())
            .then(|| "∅ a part of a character".into()),
        (map && shown.digest.generated > 0).then(|| "+ the answer".into()),
    ];
    signs.into_iter().flatten().collect()
}

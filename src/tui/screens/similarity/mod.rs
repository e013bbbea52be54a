//! The Similarity tab: all experts against each other, and two of them module by module.

mod arrange;
mod keys;
mod pair;
mod view;

use std::sync::{Arc, LazyLock};

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use self::arrange::{Arrangement, Order};
use self::pair::PairView;
use super::comparable::{Comparable, one_line};
use super::comparison_chrome;
use crate::analysis::{DEFAULT_SPARSITY, Metric, Similarity};
use crate::catalog::Catalog;
use crate::named::Named;
use crate::tui::heatmap::HeatmapState;
use crate::tui::{
    AppEffect, ComputeEffect, Effect, KeyHint, Message, Screen, Shared, Tab, Theme, Tickets, screen::TabSpec,
};

/// The metrics that `m` goes through.
static TITLES: LazyLock<String> = LazyLock::new(|| {
    let titles: Vec<&str> = Metric::all().iter().map(|metric| metric.title).collect();
    format!("Change the metric: {}", titles.join(" · "))
});

/// The Similarity tab.
pub const TAB: Tab = Tab("Similarity");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(SimilarityScreen::new()) };

/// State of the Similarity tab.
#[derive(Debug)]
pub struct SimilarityScreen {
    metric: Metric,
    /// In steps of 5 %, so that no rounding adds up.
    sparsity_steps: u32,
    order: Order,
    /// Colours span the off-diagonal values; else all of −1 to 1.
    autoscale: bool,
    tickets: Tickets,
    request: Option<Request>,
    /// Whether the tab was shown, so that results are wanted.
    wanted: bool,
    /// Whether the person agreed to what a large library costs.
    agreed: bool,
    comparable: Comparable,
    shown: Option<Shown>,
    error: Option<String>,
    map: HeatmapState,
    /// Whether the person moved the cursor; until then it stays in the corner.
    moved: bool,
    pair: Option<PairView>,
    versions: u64,
}

/// What is being computed.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    ticket: u64,
    metric: Metric,
    done: usize,
    total: usize,
}

/// What is on the screen.
#[derive(Debug)]
struct Shown {
    similarity: Arc<Similarity>,
    arrangement: Arrangement,
    version: u64,
}

impl Default for SimilarityScreen {
    fn default() -> Self {
        Self {
            metric: Metric::default(),
            sparsity_steps: comparison_chrome::sparsity_steps(DEFAULT_SPARSITY),
            order: Order::Cluster,
            autoscale: true,
            tickets: Tickets::of(TAB),
            request: None,
            wanted: false,
            agreed: false,
            comparable: Comparable::default(),
            shown: None,
            error: None,
            map: HeatmapState::default(),
            moved: false,
            pair: None,
            versions: 0,
        }
    }
}

impl SimilarityScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    fn sparsity(&self) -> f64 {
        comparison_chrome::sparsity_of(self.sparsity_steps)
    }

    /// Asks for the matrix with the present settings, if the library allows and the person agreed.
    fn compute(&mut self) -> Vec<Effect> {
        if !self.wanted || self.comparable.len < 2 || (self.comparable.question().is_some() && !self.agreed) {
            return Vec::new();
        }
        let ticket = self.tickets.issue();
        self.request = Some(Request { ticket, metric: self.metric, done: 0, total: 0 });
        self.error = None;
        vec![Effect::Compute(ComputeEffect::Similarity {
            ticket,
            metric: self.metric,
            sparsity: self.sparsity(),
        })]
    }

    fn take(&mut self, similarity: &Arc<Similarity>, shared: &Shared) {
        let chosen = self.cursor_names();
        self.versions += 1;
        self.shown = Some(Shown {
            arrangement: Arrangement::new(similarity, self.order, shared),
            similarity: similarity.clone(),
            version: self.versions,
        });
        self.follow(chosen);
    }

    /// Orders anew, the cursor staying on its pair.
    fn arrange(&mut self, shared: &Shared) {
        let chosen = self.cursor_names();
        if let Some(shown) = &mut self.shown {
            self.versions += 1;
            shown.version = self.versions;
            shown.arrangement = Arrangement::new(&shown.similarity, self.order, shared);
        }
        self.follow(chosen);
    }

    /// Names under the cursor.
    fn cursor_names(&self) -> Option<(String, String)> {
        let shown = self.shown.as_ref()?;
        let (row, column) = self.map.cursor();
        let name = |at: usize| shown.similarity.experts.get(*shown.arrangement.order.get(at)?).cloned();
        Some((name(row)?, name(column)?))
    }

    /// Puts the cursor on a pair of names, where they are still there.
    fn follow(&mut self, names: Option<(String, String)>) {
        let Some(shown) = &self.shown else { return };
        let len = shown.similarity.len();
        if !self.moved {
            // The first pair that is not an expert with itself.
            self.map.set_cursor(0, 1);
        } else if let Some((row, column)) = names {
            let find = |name: &str| {
                shown
                    .arrangement
                    .order
                    .iter()
                    .position(|&at| shown.similarity.experts.get(at).is_some_and(|expert| expert == name))
            };
            if let (Some(row), Some(column)) = (find(&row), find(&column)) {
                self.map.set_cursor(row, column);
            }
        }
        self.map.clamp(len, len);
    }

    fn library_changed(&mut self, library: &Arc<Catalog>) -> Vec<Effect> {
        let comparable = Comparable::of(Some(library));
        if comparable == self.comparable {
            return Vec::new();
        }
        if comparable.len > self.comparable.len.max(super::comparable::LARGE) {
            self.agreed = false;
        }
        self.comparable = comparable;
        self.pair = None;
        if self.comparable.len < 2 {
            (self.shown, self.request, self.error) = (None, None, None);
        }
        self.compute()
    }

    fn open_pair(&mut self) -> Vec<Effect> {
        let Some((a, b)) = self.cursor_names() else { return Vec::new() };
        if a == b {
            return vec![Effect::App(AppEffect::Notice(
                "That is one expert with itself: move to a pair, then Enter.".into(),
            ))];
        }
        let ticket = self.tickets.issue();
        self.pair = Some(PairView::new(ticket, a.clone(), b.clone()));
        vec![Effect::Compute(ComputeEffect::Pair { ticket, a, b })]
    }
}

impl Screen for SimilarityScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.wanted = true;
        self.comparable = Comparable::of(shared.library.as_ref());
        if self.shown.is_none() && self.request.is_none() && self.error.is_none() {
            self.compute()
        } else {
            Vec::new()
        }
    }

    fn is_animating(&self, _shared: &Shared) -> bool {
        self.request.is_some() || self.pair.as_ref().is_some_and(PairView::is_waiting)
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        match message {
            Message::Library(Ok(library)) => return self.library_changed(library),
            Message::Progress { ticket, done, total } => {
                if let Some(request) = self.request.as_mut().filter(|request| request.ticket == *ticket) {
                    (request.done, request.total) = (*done, *total);
                }
            }
            Message::Similarity { ticket, result }
                if self.request.as_ref().is_some_and(|request| request.ticket == *ticket) =>
            {
                self.request = None;
                match result {
                    Ok(similarity) => self.take(similarity, shared),
                    Err(error) => self.error = Some(one_line(error)),
                }
            }
            Message::Clustering { result: Ok(_), .. } => self.arrange(shared),
            Message::Pair { ticket, result } => {
                if let Some(pair) = self.pair.as_mut().filter(|pair| pair.ticket == *ticket) {
                    pair.take(result);
                }
            }
            _ => {}
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

#[cfg(test)]
mod tests;

//! What the Similarity tab knows: the matrix, its order, the cursor, and a pair that is looked at.

use std::sync::Arc;

use super::TAB;
use super::arrange::{Arrangement, Order};
use super::pair::PairView;
use crate::analysis::{Metric, Similarity};
use crate::tui::heatmap::HeatmapState;
use crate::tui::screens::comparison_chrome::{Comparing, Request};
use crate::tui::{AppEffect, ComputeEffect, Effect, Shared, Tickets};

/// State of the Similarity tab.
#[derive(Debug)]
pub struct SimilarityScreen {
    pub(super) comparing: Comparing,
    pub(super) metric: Metric,
    pub(super) order: Order,
    /// Colours span the off-diagonal values; else all of −1 to 1.
    pub(super) autoscale: bool,
    tickets: Tickets,
    pub(super) request: Option<Request>,
    pub(super) shown: Option<Shown>,
    pub(super) map: HeatmapState,
    /// Whether the person moved the cursor; until then it stays in the corner.
    pub(super) moved: bool,
    pub(super) pair: Option<PairView>,
    /// An expert that the cursor goes to once it is there.
    pub(super) sought: Option<String>,
    versions: u64,
}

/// What is on the screen.
#[derive(Debug)]
pub(super) struct Shown {
    pub similarity: Arc<Similarity>,
    pub arrangement: Arrangement,
    pub version: u64,
    /// Of how many experts it is a sample, where it is one.
    pub sample_of: Option<usize>,
}

impl Default for SimilarityScreen {
    fn default() -> Self {
        Self {
            comparing: Comparing::default(),
            metric: Metric::default(),
            order: Order::Cluster,
            autoscale: true,
            tickets: Tickets::of(TAB),
            request: None,
            shown: None,
            map: HeatmapState::default(),
            moved: false,
            pair: None,
            sought: None,
            versions: 0,
        }
    }
}

impl SimilarityScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the matrix with the present settings, if the library allows and the person agreed.
    pub(super) fn compute(&mut self) -> Vec<Effect> {
        if !self.comparing.may_compute() {
            return Vec::new();
        }
        let ticket = self.tickets.issue();
        self.request = Some(Request::new(ticket));
        self.comparing.error = None;
        let sparsity = self.comparing.sparsity();
        vec![Effect::Compute(ComputeEffect::Similarity { ticket, metric: self.metric, sparsity })]
    }

    /// Shows some of the experts while the matrix of all takes long.
    pub(super) fn take_sample(&mut self, similarity: &Arc<Similarity>, shared: &Shared) {
        if self.shown.as_ref().is_none_or(|shown| shown.sample_of.is_some()) {
            self.show(similarity, Some(self.comparing.comparable().len), shared);
        }
    }

    /// Shows a matrix.
    pub(super) fn take(&mut self, similarity: &Arc<Similarity>, shared: &Shared) {
        self.show(similarity, None, shared);
    }

    fn show(&mut self, similarity: &Arc<Similarity>, sample_of: Option<usize>, shared: &Shared) {
        let chosen = self.cursor_names();
        self.versions += 1;
        self.shown = Some(Shown {
            arrangement: Arrangement::new(similarity, self.order, shared),
            similarity: similarity.clone(),
            version: self.versions,
            sample_of,
        });
        self.follow(chosen);
    }

    /// Orders anew, the cursor staying on its pair.
    pub(super) fn arrange(&mut self, shared: &Shared) {
        let chosen = self.cursor_names();
        if let Some(shown) = &mut self.shown {
            self.versions += 1;
            shown.version = self.versions;
            shown.arrangement = Arrangement::new(&shown.similarity, self.order, shared);
        }
        self.follow(chosen);
    }

    /// Names under the cursor.
    pub(super) fn cursor_names(&self) -> Option<(String, String)> {
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
        self.seek();
    }

    /// Puts the cursor on the expert that is sought and the one that it resembles most.
    pub(super) fn seek(&mut self) {
        let Some((shown, name)) = self.shown.as_ref().zip(self.sought.as_ref()) else { return };
        let Shown { similarity, arrangement, .. } = shown;
        let Some(expert) = similarity.experts.iter().position(|other| other == name) else { return };
        let of = |at: usize| similarity.get(expert, at);
        let others = arrangement.order.iter().enumerate().filter(|(_, at)| **at != expert);
        let nearest = others.max_by(|(_, a), (_, b)| of(**a).total_cmp(&of(**b))).map(|(place, _)| place);
        if let (Some(row), Some(column)) = (arrangement.order.iter().position(|at| *at == expert), nearest) {
            self.map.set_cursor(row, column);
            (self.moved, self.sought) = (true, None);
        }
    }

    /// Other experts are to be compared.
    pub(super) fn start_over(&mut self) -> Vec<Effect> {
        self.pair = None;
        if self.comparing.comparable().problem().is_some() {
            (self.shown, self.request) = (None, None);
        }
        self.compute()
    }

    pub(super) fn open_pair(&mut self) -> Vec<Effect> {
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

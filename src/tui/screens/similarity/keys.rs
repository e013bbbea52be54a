//! Keys of the Similarity tab: those of the matrix and those of the pair view.

use std::sync::LazyLock;

use crossterm::event::KeyEvent;

use super::SimilarityScreen;
use crate::analysis::{Metric, PAIR_MEASURES};
use crate::named::Named;
use crate::tui::heatmap::{MapMove, map_corners, map_leaps, map_steps, map_zoom};
use crate::tui::keymap::{Binding, Chord, ENTER, ESC, KeyHint, KeySection, KeyTable};
use crate::tui::{AppEffect, Effect, Shared};

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Agrees to what a large library costs.
    Compute,
    Move(MapMove),
    OpenPair,
    NextMetric,
    LessSparse,
    MoreSparse,
    NextOrder,
    Scale,
    NextMeasure,
    ClosePair,
}

/// The metrics that `m` goes through.
fn metrics() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let titles: Vec<&str> = Metric::all().iter().map(|metric| metric.title).collect();
        format!("Change the metric: {}", titles.join(" · "))
    });
    &TEXT
}

/// What the key for the next measure goes through.
fn measures() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let titles: Vec<&str> = PAIR_MEASURES.iter().map(|measure| measure.title).collect();
        format!("Next measure: {}", titles.join(", "))
    });
    &TEXT
}

static MATRIX: KeyTable<SimilarityScreen, Action> = KeyTable {
    title: "Similarity",
    bindings: &[
        map_steps!(Action::Move, "Move the cursor").when(shows),
        map_leaps!(Action::Move).when(shows),
        map_corners!(Action::Move).when(shows),
        Binding::new(&[(ENTER, Action::OpenPair)], "pair", "Compare the two experts module by module")
            .when(shows),
        Binding::new(&[(ENTER, Action::Compute)], "compute", "Compute the matrix of this large library")
            .when(|s: &SimilarityScreen, _| s.shown.is_none() && s.comparing.asks()),
        Binding::new(&[(Chord::char('m'), Action::NextMetric)], "metric", "").made(metrics).when(compares),
        Binding::new(
            &[(Chord::char('['), Action::LessSparse), (Chord::char(']'), Action::MoreSparse)],
            "sparsity",
            "Share of entries that count as zero, in steps of 5 %",
        )
        .when(|s: &SimilarityScreen, shared| compares(s, shared) && s.metric.uses_sparsity)
        .explains(),
        Binding::new(&[(Chord::char('o'), Action::NextOrder)], "order", "By cluster, by family, by name")
            .when(shows),
        map_zoom!(Action::Move, "Closer, wider, the whole matrix").when(shows),
        Binding::new(
            &[(Chord::char('a'), Action::Scale)],
            "scale",
            "Colours for the values that occur, or for −1 to 1",
        )
        .when(shows),
    ],
};

static PAIR: KeyTable<SimilarityScreen, Action> = KeyTable {
    title: "Similarity, two experts",
    bindings: &[
        map_steps!(Action::Move, "Move over layers and modules"),
        map_leaps!(Action::Move),
        map_corners!(Action::Move),
        Binding::new(&[(Chord::char('m'), Action::NextMeasure)], "measure", "").made(measures),
        map_zoom!(Action::Move, "Closer, wider, everything"),
        Binding::new(&[(ESC, Action::ClosePair)], "back", "Back to the matrix"),
    ],
};

fn compares(screen: &SimilarityScreen, _: &Shared) -> bool {
    screen.comparing.comparable().problem().is_none()
}

fn shows(screen: &SimilarityScreen, shared: &Shared) -> bool {
    compares(screen, shared) && screen.shown.is_some()
}

/// All keys of the tab, for the reference.
pub fn reference() -> Vec<KeySection> {
    vec![MATRIX.section(), PAIR.section()]
}

impl SimilarityScreen {
    fn table(&self) -> &'static KeyTable<Self, Action> {
        if self.pair.is_some() { &PAIR } else { &MATRIX }
    }

    /// The keys that the footer and the help show now.
    pub(super) fn key_hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.table().hints(self, shared)
    }

    pub(super) fn take_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if self.pair.is_none() && !compares(self, shared) {
            return None;
        }
        let action = self.table().action(key, self, shared)?;
        Some(self.act(action, shared))
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::Compute => {
                self.comparing.agree();
                return self.compute();
            }
            Action::Move(step) => match (&mut self.pair, &self.shown) {
                (Some(pair), _) => pair.go(step),
                (None, Some(shown)) => {
                    self.map.go(step, shown.similarity.len(), shown.similarity.len());
                    self.moved = true;
                }
                (None, None) => {}
            },
            Action::OpenPair => return self.open_pair(),
            Action::NextMetric => {
                self.metric = self.metric.next();
                return self.compute();
            }
            Action::LessSparse => return self.step_sparsity(false),
            Action::MoreSparse => return self.step_sparsity(true),
            Action::NextOrder => {
                self.order = self.order.next();
                self.arrange(shared);
            }
            Action::Scale => self.autoscale = !self.autoscale,
            Action::NextMeasure => {
                if let Some(pair) = &mut self.pair {
                    pair.next_measure();
                }
            }
            Action::ClosePair => self.pair = None,
        }
        Vec::new()
    }

    fn step_sparsity(&mut self, more: bool) -> Vec<Effect> {
        if !self.metric.uses_sparsity {
            let title = self.metric.title;
            let text = format!("Sparsity does not matter to {title}: m changes the metric.");
            return vec![Effect::App(AppEffect::Notice(text))];
        }
        if self.comparing.step_sparsity(more) { self.compute() } else { Vec::new() }
    }
}

//! Keys of the Clusters tab.

use crossterm::event::KeyEvent;

use super::ClustersScreen;
use super::state::Chosen;
use crate::analysis::best_k;
use crate::jobs::kinds;
use crate::tui::keymap::{
    Binding, Chord, ENTER, KeyHint, KeySection, KeyTable, LEFT, Motion, RIGHT, more_moves, moves,
};
use crate::tui::screens::library;
use crate::tui::{AppEffect, Effect, Shared};

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Agrees to what a large library costs.
    Compute,
    Move(Motion),
    MoreClusters,
    FewerClusters,
    ShowExpert,
    BestK,
    Reseed,
    LessSparse,
    MoreSparse,
    Train,
    PreviousCluster,
    NextCluster,
}

static TABLE: KeyTable<ClustersScreen, Action> = KeyTable {
    title: "Clusters",
    bindings: &[
        Binding::new(&[(ENTER, Action::Compute)], "compute", "Cluster this large library")
            .when(|s: &ClustersScreen, _| s.shown.is_none() && s.comparing.asks()),
        Binding::new(moves!(Action::Move), "move", "Move over clusters and members")
            .also(more_moves!(Action::Move))
            .when(shows),
        Binding::new(
            &[(Chord::char('+'), Action::MoreClusters), (Chord::char('-'), Action::FewerClusters)],
            "k",
            "One cluster more, one less",
        )
        .also(&[(Chord::char('='), Action::MoreClusters), (Chord::char('_'), Action::FewerClusters)])
        .when(shows),
        Binding::new(&[(ENTER, Action::ShowExpert)], "expert", "Show this expert in the Library tab")
            .when(|s: &ClustersScreen, _| s.selected_name().is_some()),
        Binding::new(
            &[(Chord::char('b'), Action::BestK)],
            "best k",
            "The number of clusters with the best mean silhouette",
        )
        .when(shows),
        Binding::new(&[(Chord::char('r'), Action::Reseed)], "reseed", "Start k-means from another seed")
            .when(shows),
        Binding::new(
            &[(Chord::char('['), Action::LessSparse), (Chord::char(']'), Action::MoreSparse)],
            "sparsity",
            "Share of entries that MBC leaves out, in steps of 5 %",
        )
        .when(shows),
        Binding::new(
            &[(Chord::char('t'), Action::Train)],
            "train",
            "Train one new expert for each of these clusters, into a new library",
        )
        .when(shows),
        Binding::new(
            &[(LEFT, Action::PreviousCluster), (RIGHT, Action::NextCluster)],
            "cluster",
            "To the previous or next cluster",
        )
        .also(&[(Chord::char('h'), Action::PreviousCluster), (Chord::char('l'), Action::NextCluster)])
        .when(shows),
    ],
};

fn shows(screen: &ClustersScreen, _: &Shared) -> bool {
    screen.shown.is_some()
}

/// All keys of the tab, for the reference.
pub fn reference() -> Vec<KeySection> {
    vec![TABLE.section()]
}

impl ClustersScreen {
    /// The keys that the footer and the help show now.
    pub(super) fn key_hints(&self, shared: &Shared) -> Vec<KeyHint> {
        TABLE.hints(self, shared)
    }

    pub(super) fn take_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        let action = TABLE.action(key, self, shared)?;
        Some(self.act(action))
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Compute => {
                self.comparing.agree();
                return self.cluster();
            }
            Action::Move(motion) => {
                let rows = self.shown.as_ref().map_or(0, |shown| shown.groups.rows.len());
                self.list.go(motion, rows);
            }
            Action::MoreClusters => return self.choose(self.k + 1),
            Action::FewerClusters => return self.choose(self.k.saturating_sub(1)),
            Action::ShowExpert => {
                let Some(expert) = self.selected_name().map(str::to_owned) else { return Vec::new() };
                let show = AppEffect::Show(library::TAB);
                return vec![Effect::App(AppEffect::Select { expert }), Effect::App(show)];
            }
            Action::BestK => {
                let best = best_k(&self.curve());
                let effects = best.map(|k| self.choose(k)).unwrap_or_default();
                if best == Some(self.k) {
                    self.chosen = Chosen::Silhouette;
                }
                return effects;
            }
            Action::Reseed => {
                self.seed = self.seed.wrapping_add(1);
                return self.start_over();
            }
            Action::LessSparse | Action::MoreSparse => {
                if self.comparing.step_sparsity(action == Action::MoreSparse) {
                    return self.start_over();
                }
            }
            Action::Train => return vec![Effect::App(AppEffect::OpenForm(&kinds::TRAIN_CLUSTERS))],
            Action::PreviousCluster => self.jump(false),
            Action::NextCluster => self.jump(true),
        }
        Vec::new()
    }
}

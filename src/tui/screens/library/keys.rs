//! Keys of the Library tab.

use crossterm::event::{KeyCode, KeyEvent};

use super::LibraryScreen;
use crate::jobs::kinds;
use crate::tui::keymap::{
    Binding, Chord, DOWN, ENTER, ESC, KeyHint, KeySection, KeyTable, Motion, PAGE_DOWN, PAGE_UP, UP,
    more_moves, moves,
};
use crate::tui::screens::comparison_chrome::{can_compare, cluster_form};
use crate::tui::{AppEffect, Effect, Shared};

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Move(Motion),
    Read,
    Filter,
    ClearFilter,
    Sort,
    Reverse,
    Train,
    Cluster,
    Reload,
    Scroll(Motion),
    StopReading,
    MoveFiltered(Motion),
    KeepFilter,
}

type Table = KeyTable<LibraryScreen, Action>;

/// The table of experts.
static TABLE: Table = KeyTable {
    title: "Library",
    bindings: &[
        Binding::new(moves!(Action::Move), "move", "Select an expert")
            .also(more_moves!(Action::Move))
            .when(|s: &LibraryScreen, _| s.has_experts() && !s.reading),
        Binding::new(&[(ENTER, Action::Read)], "details", "Read the details of the selected expert")
            .when(|s: &LibraryScreen, _| s.has_experts() && !s.reading),
        Binding::new(
            &[(Chord::char('/'), Action::Filter)],
            "filter",
            "Filter by name, task and family, fuzzily",
        )
        .when(|s: &LibraryScreen, _| s.has_experts()),
        Binding::new(&[(ESC, Action::ClearFilter)], "", "Show all experts again")
            .when(|s: &LibraryScreen, _| s.rows.is_filtered()),
        Binding::new(&[(Chord::char('s'), Action::Sort)], "sort", "Sort by the next column, or by match")
            .when(|s: &LibraryScreen, _| s.has_experts()),
        Binding::new(&[(Chord::char('S'), Action::Reverse)], "", "Reverse the order")
            .when(|s: &LibraryScreen, _| s.has_experts()),
        Binding::new(
            &[(Chord::char('t'), Action::Train)],
            "train",
            "Train a new expert from a task file, as a job",
        ),
        Binding::new(&[(Chord::char('c'), Action::Cluster)], "cluster", "Cluster the experts, as a job")
            .when(|_, shared| can_compare(shared))
            .explains(),
        Binding::new(&[(Chord::char('r'), Action::Reload)], "reload", "Read the library from disk again"),
    ],
};

/// The details have the focus.
static READING: Table = KeyTable {
    title: "Library, in the details",
    bindings: &[
        Binding::new(moves!(Action::Scroll), "scroll", "Scroll the details")
            .also(more_moves!(Action::Scroll)),
        Binding::new(&[(ESC, Action::StopReading)], "back", "Back to the table")
            .also(&[(ENTER, Action::StopReading)]),
    ],
};

/// The filter is being typed: what is not bound is text.
static FILTERING: Table = KeyTable {
    title: "Library, in the filter",
    bindings: &[
        Binding::new(&[(ENTER, Action::KeepFilter)], "keep", "Keep the filter and go back to the table"),
        Binding::new(&[(ESC, Action::ClearFilter)], "clear", "Show all experts again"),
        Binding::new(
            &[(UP, Action::MoveFiltered(Motion::Up)), (DOWN, Action::MoveFiltered(Motion::Down))],
            "move",
            "Move in the matches",
        )
        .also(&[
            (PAGE_UP, Action::MoveFiltered(Motion::PageUp)),
            (PAGE_DOWN, Action::MoveFiltered(Motion::PageDown)),
        ]),
    ],
};

/// All keys of the tab, for the reference.
pub fn reference() -> Vec<KeySection> {
    vec![TABLE.section(), READING.section(), FILTERING.section()]
}

impl LibraryScreen {
    /// The keys that the footer and the help show now.
    pub(super) fn key_hints(&self, shared: &Shared) -> Vec<KeyHint> {
        let table = if self.filtering {
            &FILTERING
        } else if self.reading {
            &READING
        } else {
            &TABLE
        };
        table.hints(self, shared)
    }

    pub(super) fn take_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        let action = if self.filtering {
            FILTERING.action(key, self, shared)
        } else {
            let details = if self.reading { READING.action(key, self, shared) } else { None };
            details.or_else(|| TABLE.action(key, self, shared))
        };
        match action {
            Some(action) => Some(self.act(action, shared)),
            None if self.filtering && matches!(key.code, KeyCode::Tab | KeyCode::BackTab) => {
                self.filtering = false;
                None
            }
            None if self.filtering => {
                let changed = self.filter.on_key(key) == Some(true);
                Some(if changed { self.set_filter(shared) } else { Vec::new() })
            }
            None => None,
        }
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::Move(motion) | Action::MoveFiltered(motion) => {
                self.list.go(motion, self.rows.len());
                return self.announce(shared);
            }
            Action::Read => self.reading = self.selected().is_some(),
            Action::Filter => {
                self.reading = false;
                self.filtering = true;
            }
            Action::ClearFilter => {
                self.filtering = false;
                self.filter.set("");
                return self.set_filter(shared);
            }
            Action::KeepFilter => self.filtering = false,
            Action::Sort => {
                let next = self.columns.next_sort(self.rows.sort, self.rows.is_filtered());
                self.rows.set_sort(next, false);
                self.follow(shared);
            }
            Action::Reverse => {
                self.rows.set_sort(self.rows.sort, !self.rows.descending);
                self.follow(shared);
            }
            Action::Scroll(motion) => self.scroll = motion.scroll(self.scroll, self.scroll_end.get()),
            Action::StopReading => self.reading = false,
            Action::Train => return vec![Effect::App(AppEffect::OpenForm(&kinds::TRAIN))],
            Action::Cluster => return vec![cluster_form(shared)],
            Action::Reload => {
                self.rereading = true;
                return vec![Effect::ReloadLibrary];
            }
        }
        Vec::new()
    }
}

//! A list from which one thing is chosen: the kinds of jobs to start, or what to do next.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::jobs::kinds::KINDS;
use crate::tui::keymap::{Binding, ENTER, ESC, KeyHint, KeySection, KeyTable, Motion, more_moves, moves};
use crate::tui::widgets::popup;
use crate::tui::{AppEffect, Effect, List, Shared, Theme, text_width};

/// What a key does in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Move(Motion),
    Open,
    Close,
}

static TABLE: KeyTable<Chooser, Action> = KeyTable {
    title: "Jobs, choosing what to start or to do next",
    bindings: &[
        Binding::new(moves!(Action::Move), "select", "Select one").also(more_moves!(Action::Move)),
        Binding::new(&[(ENTER, Action::Open)], "choose", "Do it; a job shows its form before it starts"),
        Binding::new(&[(ESC, Action::Close)], "close", "Close without doing anything"),
    ],
};

/// All keys of the list, for the reference.
pub(super) fn reference() -> KeySection {
    TABLE.section()
}

/// The open list.
#[derive(Debug)]
pub(super) struct Chooser {
    title: &'static str,
    /// What each says and does.
    entries: Vec<(String, Effect)>,
    list: List,
}

/// What became of the list.
pub(super) enum Choice {
    Open(Chooser),
    Closed(Vec<Effect>),
}

impl Chooser {
    /// The kinds of jobs, whose forms it opens.
    pub(super) fn of_kinds() -> Self {
        let entry = |kind: &&'static crate::jobs::kinds::Kind| {
            (kind.heading.to_string(), Effect::App(AppEffect::OpenForm(kind)))
        };
        Self::new(" Start a job ", KINDS.iter().map(entry).collect())
    }

    /// A list with a title.
    pub(super) fn new(title: &'static str, entries: Vec<(String, Effect)>) -> Self {
        Self { title, entries, list: List::default() }
    }

    pub(super) fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        TABLE.hints(self, shared)
    }

    /// Takes a key press; one without a use here has none elsewhere while the list is open.
    pub(super) fn take_key(mut self, key: KeyEvent, shared: &Shared) -> Choice {
        match TABLE.action(key, &self, shared) {
            Some(Action::Move(motion)) => {
                self.list.go(motion, self.entries.len());
                Choice::Open(self)
            }
            Some(Action::Open) => {
                let at = self.list.cursor();
                Choice::Closed(
                    self.entries.into_iter().nth(at).map(|(_, effect)| effect).into_iter().collect(),
                )
            }
            Some(Action::Close) => Choice::Closed(Vec::new()),
            None => Choice::Open(self),
        }
    }

    /// Draws the list in the middle of `area`.
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let widest = self.entries.iter().map(|(text, _)| text_width::width(text)).max().unwrap_or(0);
        let cells = |width: u16| usize::from(width.saturating_sub(2)).max(1);
        // On a narrow screen, an entry takes several rows.
        let wrapped = |width: u16| -> Vec<Vec<String>> {
            self.entries.iter().map(|(text, _)| text_width::wrap(text, cells(width))).collect()
        };
        let rows =
            wrapped(area.width.saturating_sub(4).min(widest as u16 + 2)).iter().map(Vec::len).sum::<usize>();
        let size = (widest as u16 + 6, rows as u16 + 2);
        let Some(room) = popup(frame, area, size, self.title, theme) else { return };
        let wrapped = wrapped(room.width);
        let heights: Vec<usize> = wrapped.iter().map(Vec::len).collect();
        let window = self.list.window_of(&heights, usize::from(room.height));
        // The beginning of what follows fills the rows that are left.
        let lines = (window.start..heights.len()).flat_map(|at| {
            let here = at == self.list.cursor();
            let texts = wrapped.get(at).into_iter().flatten().enumerate();
            texts.map(move |(number, text)| (if here && number == 0 { "› " } else { "  " }, here, text))
        });
        for ((mark, here, text), y) in lines.zip(room.top()..room.bottom()) {
            let line = Line::from(vec![
                Span::styled(mark, theme.accent()),
                Span::styled(text.as_str(), if here { theme.header() } else { theme.text() }),
            ]);
            frame.buffer_mut().set_line(room.x, y, &line, room.width);
        }
    }
}

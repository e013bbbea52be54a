//! The list of kinds of jobs, from which one is started.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear};

use crate::jobs::kinds::KINDS;
use crate::tui::keymap::{Binding, ENTER, ESC, KeyHint, KeySection, KeyTable, Motion, more_moves, moves};
use crate::tui::widgets::centered;
use crate::tui::{AppEffect, Effect, List, Shared, Theme, text_width};

/// What a key does in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Move(Motion),
    Open,
    Close,
}

static TABLE: KeyTable<Chooser, Action> = KeyTable {
    title: "Jobs, choosing what to start",
    bindings: &[
        Binding::new(moves!(Action::Move), "kind", "Select a kind of job").also(more_moves!(Action::Move)),
        Binding::new(&[(ENTER, Action::Open)], "choose", "Open the form of the selected kind"),
        Binding::new(&[(ESC, Action::Close)], "close", "Close without starting"),
    ],
};

/// All keys of the list, for the reference.
pub(super) fn reference() -> KeySection {
    TABLE.section()
}

/// The open list.
#[derive(Debug, Default)]
pub(super) struct Chooser {
    list: List,
}

/// What became of the list.
pub(super) enum Choice {
    Open(Chooser),
    Closed(Vec<Effect>),
}

impl Chooser {
    pub(super) fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        TABLE.hints(self, shared)
    }

    /// Takes a key press; one without a use here has none elsewhere while the list is open.
    pub(super) fn take_key(mut self, key: KeyEvent, shared: &Shared) -> Choice {
        match TABLE.action(key, &self, shared) {
            Some(Action::Move(motion)) => {
                self.list.go(motion, KINDS.len());
                Choice::Open(self)
            }
            Some(Action::Open) => {
                let form = KINDS.get(self.list.cursor()).map(|kind| Effect::App(AppEffect::OpenForm(kind)));
                Choice::Closed(form.into_iter().collect())
            }
            Some(Action::Close) => Choice::Closed(Vec::new()),
            None => Choice::Open(self),
        }
    }

    /// Draws the list in the middle of `area`.
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let widest = KINDS.iter().map(|kind| text_width::width(kind.heading)).max().unwrap_or(0);
        let popup = centered(area, widest as u16 + 6, KINDS.len() as u16 + 2);
        if popup.is_empty() {
            return;
        }
        let cells = usize::from(popup.width.saturating_sub(4));
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(theme.border_focused())
            .title(Span::styled(text_width::truncate(" Start a job ", cells), theme.accent()));
        frame.render_widget(Clear, popup);
        let room = block.inner(popup).inner(Margin::new(1, 0));
        frame.render_widget(block, popup);
        for (at, y) in self.list.window(KINDS.len(), usize::from(room.height)).zip(room.top()..room.bottom())
        {
            let Some(kind) = KINDS.get(at) else { continue };
            let here = at == self.list.cursor();
            let line = Line::from(vec![
                Span::styled(if here { "› " } else { "  " }, theme.accent()),
                Span::styled(kind.heading, if here { theme.header() } else { theme.text() }),
            ]);
            frame.buffer_mut().set_line(room.x, y, &line, room.width);
        }
    }
}

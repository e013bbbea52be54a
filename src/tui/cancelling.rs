//! The questions whether to cancel or to remove a job, which several tabs ask: their keys and their box.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use super::keymap::{Binding, Chord, ESC, KeyHint, KeySection, KeyTable};
use super::{Shared, Theme, text_width};

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A job that has not ended is cancelled.
    Cancel,
    /// One that has ended is removed.
    Remove,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
}

const YES: &[(Chord, Answer)] = &[(Chord::char('y'), Answer::Yes)];
const ALSO_YES: &[(Chord, Answer)] = &[(Chord::char('Y'), Answer::Yes)];
const NO: &[(Chord, Answer)] = &[(Chord::char('n'), Answer::No)];
/// Any other key does its work and asks no more. Whoever means the question by `q` does not want to leave.
const ALSO_NO: &[(Chord, Answer)] =
    &[(ESC, Answer::No), (Chord::char('N'), Answer::No), (Chord::char('q'), Answer::No)];

static CANCEL: KeyTable<(), Answer> = KeyTable {
    title: "Asked whether to cancel",
    bindings: &[
        Binding::new(YES, "cancel", "Cancel the job").also(ALSO_YES),
        Binding::new(NO, "keep", "Let it run, as any other key that does its work").also(ALSO_NO),
    ],
};

static REMOVE: KeyTable<(), Answer> = KeyTable {
    title: "Asked whether to remove",
    bindings: &[
        Binding::new(YES, "remove", "Remove the job from the list; what it wrote elsewhere stays")
            .also(ALSO_YES),
        Binding::new(NO, "keep", "Keep it, as any other key that does its work").also(ALSO_NO),
    ],
};

impl Wish {
    fn table(self) -> &'static KeyTable<(), Answer> {
        match self {
            Self::Cancel => &CANCEL,
            Self::Remove => &REMOVE,
        }
    }

    /// The answer that a key gives; `None` for one that has its own work.
    pub fn answer(self, key: KeyEvent, shared: &Shared) -> Option<Answer> {
        self.table().action(key, &(), shared)
    }

    /// The keys that the footer and the help show while it is asked.
    pub fn hints(self, shared: &Shared) -> Vec<KeyHint> {
        self.table().hints(&(), shared)
    }

    /// Its keys, for the reference.
    pub fn reference(self) -> KeySection {
        self.table().section()
    }
}

/// Draws the question in a box. `place` puts a box of this width and height somewhere in `area`.
pub fn draw(
    frame: &mut Frame,
    area: Rect,
    (wish, question): (Wish, &str),
    theme: &Theme,
    place: impl Fn(u16, u16) -> Rect,
) {
    let cells = usize::from(area.width.saturating_sub(4)).min(56);
    let text = text_width::wrap(question, cells).into_iter();
    let mut lines: Vec<Line> = text.map(|line| Line::styled(line, theme.text())).collect();
    let hints = wish.reference().hints;
    lines.push(Line::from_iter(hints.into_iter().enumerate().flat_map(|(at, hint)| {
        let before = if at == 0 { "" } else { "  " };
        [
            Span::raw(before),
            Span::styled(hint.keys, theme.key()),
            Span::styled(format!(" {}", hint.short), theme.dim()),
        ]
    })));
    let popup = place(cells as u16 + 4, lines.len() as u16 + 2);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.warning())
        .padding(Padding::horizontal(1));
    frame.render_widget(Clear, popup);
    frame.render_widget(Paragraph::new(lines).block(block), popup);
}

//! The question whether to cancel a job, which several tabs ask: its keys and its box.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use super::keymap::{Binding, Chord, ESC, KeyHint, KeySection, KeyTable};
use super::{Shared, Theme, text_width};

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Cancel,
    Keep,
}

/// Any other key does its work and asks no more. Whoever means the question by `q` does not want to leave.
static TABLE: KeyTable<(), Answer> = KeyTable {
    title: "Asked whether to cancel",
    bindings: &[
        Binding::new(&[(Chord::char('y'), Answer::Cancel)], "cancel it", "Cancel the job")
            .also(&[(Chord::char('Y'), Answer::Cancel)]),
        Binding::new(
            &[(Chord::char('n'), Answer::Keep)],
            "let it run",
            "Let it run, as any other key that does its work",
        )
        .also(&[
            (ESC, Answer::Keep),
            (Chord::char('N'), Answer::Keep),
            (Chord::char('q'), Answer::Keep),
        ]),
    ],
};

/// The answer that a key gives; `None` for one that has its own work.
pub fn answer(key: KeyEvent, shared: &Shared) -> Option<Answer> {
    TABLE.action(key, &(), shared)
}

/// The keys that the footer and the help show while it is asked.
pub fn hints(shared: &Shared) -> Vec<KeyHint> {
    TABLE.hints(&(), shared)
}

/// Its keys, for the reference.
pub fn reference() -> KeySection {
    TABLE.section()
}

/// Draws the question in a box. `place` puts a box of this width and height somewhere in `area`.
pub fn draw(frame: &mut Frame, area: Rect, question: &str, theme: &Theme, place: impl Fn(u16, u16) -> Rect) {
    let cells = usize::from(area.width.saturating_sub(4)).min(56);
    let text = text_width::wrap(question, cells).into_iter();
    let mut lines: Vec<Line> = text.map(|line| Line::styled(line, theme.text())).collect();
    let hints = TABLE.section().hints;
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

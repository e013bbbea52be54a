//! The question under which name the table is saved.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::eval::EvalReport;
use crate::export::Export;
use crate::text::printable;
use crate::tui::keymap::{Binding, ENTER, ESC, KeyHint, KeySection, KeyTable};
use crate::tui::widgets::popup;
use crate::tui::{Evaluated, Shared, TextField, Theme, Unsaved, text_width};

/// What a key does in the question; others edit the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Save,
    Close,
}

static TABLE: KeyTable<Saving, Action> = KeyTable {
    title: "Eval, saving the table",
    bindings: &[
        Binding::new(
            &[(ENTER, Action::Save)],
            "save",
            "Save the table as the name's ending says; a file that is there is only replaced when asked again",
        ),
        Binding::new(&[(ESC, Action::Close)], "close", "Close without saving"),
    ],
};

/// All keys of the question, for the reference.
pub(super) fn reference() -> KeySection {
    TABLE.section()
}

/// The open question.
#[derive(Debug)]
pub(super) struct Saving {
    name: TextField,
    /// What is saved, whatever is shown by then.
    pub evaluated: Arc<Evaluated>,
    /// The request that is to be answered.
    pub ticket: Option<u64>,
    /// Why it was not saved; the name that is taken.
    problem: Option<String>,
    taken: Option<String>,
}

/// What became of the question.
pub(super) enum Saved {
    Open(Saving),
    Closed,
    /// To be saved under a name, over a file that is there where that was agreed to.
    Asked {
        saving: Saving,
        path: String,
        over: bool,
    },
}

impl Saving {
    /// With a name that is offered.
    pub fn of(name: &str, evaluated: Arc<Evaluated>) -> Self {
        Self { name: TextField::suggestion(name), evaluated, ticket: None, problem: None, taken: None }
    }

    pub(super) fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        TABLE.hints(self, shared)
    }

    /// Takes why it was not saved.
    pub(super) fn refuse(&mut self, why: &Unsaved) {
        self.ticket = None;
        match why {
            Unsaved::Exists => {
                let name = self.name.text().trim().to_string();
                self.problem = Some(format!("{name} is there already: Enter again replaces it"));
                self.taken = Some(name);
            }
            Unsaved::Failed(error) => self.problem = Some(error.clone()),
        }
    }

    /// Takes pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        self.name.insert(text.trim());
        self.forget();
    }

    fn forget(&mut self) {
        (self.problem, self.taken) = (None, None);
    }

    /// Takes a key press.
    pub(super) fn take_key(mut self, key: KeyEvent, shared: &Shared) -> Saved {
        match TABLE.action(key, &self, shared) {
            Some(Action::Close) => Saved::Closed,
            Some(Action::Save) if self.ticket.is_some() => Saved::Open(self),
            Some(Action::Save) => {
                let path = self.name.text().trim().to_string();
                let over = self.taken.as_ref() == Some(&path);
                Saved::Asked { saving: self, path, over }
            }
            None => {
                if self.ticket.is_none() && self.name.on_key(key) == Some(true) {
                    self.forget();
                }
                Saved::Open(self)
            }
        }
    }

    /// Draws the question in the middle of `area`.
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let size = (84, EvalReport::FORMATS.len() as u16 + 4);
        let Some(room) = popup(frame, area, size, " Save the table as ", theme) else { return };
        let cells = usize::from(room.width);
        let mut lines = vec![self.name.line(cells, self.ticket.is_none(), theme)];
        let problem = self.problem.as_ref().map(|problem| printable(problem).into_owned());
        lines.push(Line::styled(text_width::truncate(&problem.unwrap_or_default(), cells), theme.warning()));
        lines.extend(EvalReport::FORMATS.iter().map(|format| {
            Line::from(vec![
                Span::styled(format!(".{:<9}", format.ending), theme.key()),
                Span::styled(format.help, theme.dim()),
            ])
        }));
        for (line, y) in lines.iter().zip(room.top()..room.bottom()) {
            frame.buffer_mut().set_line(room.x, y, line, room.width);
        }
    }
}

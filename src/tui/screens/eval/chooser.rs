//! The list of evaluations, from which one is shown.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::jobs::JobSummary;
use crate::jobs::kinds::EVAL;
use crate::text::{age, counted, printable};
use crate::tui::keymap::{Binding, ENTER, ESC, KeyHint, KeySection, KeyTable, Motion, more_moves, moves};
use crate::tui::screens::jobs::state_glyph;
use crate::tui::widgets::popup;
use crate::tui::{List, Shared, Theme, text_width};

/// The evaluations among the jobs, newest first.
pub(super) fn evaluations(shared: &Shared) -> impl Iterator<Item = &JobSummary> {
    shared.jobs.iter().filter(|job| job.kind == Some(&EVAL))
}

/// What was asked for beside the tasks, which its name says: evaluations of the same differ by that.
fn asked(job: &JobSummary) -> String {
    let facts = job.figures.facts.iter().filter(|fact| !fact.starts_with("tasks "));
    let facts: Vec<&str> = facts.map(|fact| fact.strip_prefix("methods ").unwrap_or(fact)).collect();
    printable(&facts.join(" · ")).into_owned()
}

/// What a key does in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Move(Motion),
    Choose,
    Close,
}

static TABLE: KeyTable<Chooser, Action> = KeyTable {
    title: "Eval, choosing an evaluation",
    bindings: &[
        Binding::new(moves!(Action::Move), "evaluation", "Select an evaluation, newest first")
            .also(more_moves!(Action::Move)),
        Binding::new(&[(ENTER, Action::Choose)], "show", "Show the selected evaluation"),
        Binding::new(&[(ESC, Action::Close)], "close", "Back to the one that is shown"),
    ],
};

/// All keys of the list, for the reference.
pub(super) fn reference() -> KeySection {
    TABLE.section()
}

/// Cells of the popup.
const WIDTH: u16 = 90;

/// The open list.
#[derive(Debug, Default)]
pub(super) struct Chooser {
    list: List,
}

/// What became of the list.
pub(super) enum Choice {
    Open(Chooser),
    /// With the job of the evaluation that was chosen, if one was.
    Closed(Option<String>),
}

impl Chooser {
    /// The list with the cursor on a job.
    pub(super) fn at(id: Option<&str>, shared: &Shared) -> Self {
        let mut list = List::default();
        let place = evaluations(shared).position(|job| Some(job.id.as_str()) == id);
        list.select(place.unwrap_or(0), evaluations(shared).count());
        Self { list }
    }

    pub(super) fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        TABLE.hints(self, shared)
    }

    /// Takes a key press; one without a use here has none elsewhere while the list is open.
    pub(super) fn take_key(mut self, key: KeyEvent, shared: &Shared) -> Choice {
        match TABLE.action(key, &self, shared) {
            Some(Action::Move(motion)) => {
                self.list.go(motion, evaluations(shared).count());
                Choice::Open(self)
            }
            Some(Action::Choose) => {
                Choice::Closed(evaluations(shared).nth(self.list.cursor()).map(|job| job.id.clone()))
            }
            Some(Action::Close) => Choice::Closed(None),
            None => Choice::Open(self),
        }
    }

    /// Draws the list in the middle of `area`.
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let count = evaluations(shared).count();
        let title = format!(" {} ", counted(count, "evaluation"));
        let size = (WIDTH, u16::try_from(count.max(1) + 2).unwrap_or(u16::MAX));
        let Some(room) = popup(frame, area, size, &title, theme) else { return };
        let cells = usize::from(room.width);
        let jobs: Vec<_> = evaluations(shared).collect();
        for (at, y) in self.list.window(count, usize::from(room.height)).zip(room.top()..room.bottom()) {
            let Some(job) = jobs.get(at) else { continue };
            let here = at == self.list.cursor();
            let (glyph, style) = state_glyph(job.state, shared.tick, theme);
            let since = job.started.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            let since = since.map_or("–".into(), |since| age(shared.now - since.as_secs_f64()));
            let far = match job.steps {
                0 => String::new(),
                steps if job.state.is_over() => counted(steps, "answer"),
                steps => format!("{} of {steps}", job.step),
            };
            let cells = cells.saturating_sub(text_width::width(&far) + 11);
            let name = text_width::truncate(&printable(&job.name), cells);
            let cells = cells.saturating_sub(text_width::width(&name));
            let asked = text_width::truncate(&asked(job), cells.saturating_sub(2));
            let line = Line::from(vec![
                Span::styled(if here { "› " } else { "  " }, theme.accent()),
                Span::styled(format!("{glyph} "), style),
                Span::styled(text_width::right(&since, 4), theme.dim()),
                Span::styled(format!("  {name}"), if here { theme.header() } else { theme.text() }),
                Span::styled(text_width::left(&format!("  {asked}"), cells + 1), theme.dim()),
                Span::styled(far, theme.dim()),
            ]);
            frame.buffer_mut().set_line(room.x, y, &line, room.width);
        }
    }
}

//! Keys of the Eval tab.

use crossterm::event::KeyEvent;

use super::EvalScreen;
use super::chooser::{self, Choice, Chooser, evaluations};
use super::saving::{self, Saved};
use crate::tui::cancelling::{Answer, Wish};
use crate::tui::heatmap::{MapMove, map_corners, map_leaps, map_steps, map_zoom};
use crate::tui::keymap::{
    Binding, Chord, DOWN, END, ENTER, ESC, HOME, KeyHint, KeySection, KeyTable, LEFT, Motion, PAGE_DOWN,
    PAGE_UP, RIGHT, UP, more_moves, moves,
};
use crate::tui::{AppEffect, Effect, JobsEffect, Shared};

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Over the lines.
    Line(Motion),
    /// Over the columns, `Up` to the left.
    Column(Motion),
    Fold,
    FoldAll,
    Open,
    Item(Motion),
    Method(Motion),
    Filter,
    Read,
    Route,
    Back,
    Differences,
    Compared(Motion),
    /// Over the lines of the table, while differences are shown.
    Over(Motion),
    Against,
    CloseDifferences,
    Transfer,
    Matrix(MapMove),
    MatrixItems,
    CloseTransfer,
    Save,
    Choose,
    New,
    Cancel,
}

/// Keys of the table that are shown before those that work anywhere.
const FIRST: usize = 3;

type Table = KeyTable<EvalScreen, Action>;

const MOVE: &[(Chord, Action)] = &[
    (LEFT, Action::Column(Motion::Up)),
    (DOWN, Action::Line(Motion::Down)),
    (UP, Action::Line(Motion::Up)),
    (RIGHT, Action::Column(Motion::Down)),
];
const MOVE_LETTERS: &[(Chord, Action)] = &[
    (Chord::char('h'), Action::Column(Motion::Up)),
    (Chord::char('j'), Action::Line(Motion::Down)),
    (Chord::char('k'), Action::Line(Motion::Up)),
    (Chord::char('l'), Action::Column(Motion::Down)),
];
const FAR: &[(Chord, Action)] = &[
    (Chord::char('H'), Action::Column(Motion::PageUp)),
    (Chord::char('J'), Action::Line(Motion::PageDown)),
    (Chord::char('K'), Action::Line(Motion::PageUp)),
    (Chord::char('L'), Action::Column(Motion::PageDown)),
];
const FAR_TOO: &[(Chord, Action)] = &[
    (PAGE_UP, Action::Line(Motion::PageUp)),
    (PAGE_DOWN, Action::Line(Motion::PageDown)),
    (Chord::ctrl('u'), Action::Line(Motion::HalfUp)),
    (Chord::ctrl('d'), Action::Line(Motion::HalfDown)),
];
const ENDS: &[(Chord, Action)] =
    &[(Chord::char('g'), Action::Line(Motion::First)), (Chord::char('G'), Action::Line(Motion::Last))];
const ENDS_TOO: &[(Chord, Action)] =
    &[(HOME, Action::Line(Motion::First)), (END, Action::Line(Motion::Last))];

fn shows(screen: &EvalScreen, _: &Shared) -> bool {
    screen.table_line().is_some()
}

/// The table of scores.
static TABLE: Table = KeyTable {
    title: "Eval",
    bindings: &[
        Binding::new(MOVE, "move", "Move over tasks and methods").also(MOVE_LETTERS).when(shows),
        Binding::new(FAR, "", "Move far").also(FAR_TOO).when(shows),
        Binding::new(ENDS, "", "To the first line, to the last").also(ENDS_TOO).when(shows),
        Binding::new(
            &[(ENTER, Action::Open)],
            "items",
            "Show the items of the task: what every method answered; of several tasks, fold them",
        )
        .when(shows),
        Binding::new(
            &[(Chord::char('d'), Action::Differences)],
            "differences",
            "Differences of all methods to one, over the tasks of the line, with intervals",
        )
        .when(|s: &EvalScreen, _| s.is_finished())
        .explains(),
        Binding::new(
            &[(Chord::char('x'), Action::Transfer)],
            "experts",
            "Experts × tasks: each expert alone on every task",
        )
        .when(shows),
        Binding::new(
            &[(Chord::char(' '), Action::Fold)],
            "fold",
            "Fold or unfold the tasks of a family, or those that were seen or held out",
        )
        .when(|s: &EvalScreen, _| s.table_line().is_some_and(|line| line.fold.is_some() || line.depth > 0)),
        Binding::new(&[(Chord::char('z'), Action::FoldAll)], "", "Fold all families, or unfold everything")
            .when(|s: &EvalScreen, _| s.shown.as_ref().is_some_and(|shown| shown.lines.has_folds())),
    ],
};

/// The items of a task.
static ITEMS: Table = KeyTable {
    title: "Eval, items of a task",
    bindings: &[
        Binding::new(moves!(Action::Item), "item", "Select an item, or scroll the one that is read")
            .also(more_moves!(Action::Item)),
        Binding::new(
            &[(LEFT, Action::Method(Motion::Up)), (RIGHT, Action::Method(Motion::Down))],
            "method",
            "Another method",
        )
        .also(&[
            (Chord::char('h'), Action::Method(Motion::Up)),
            (Chord::char('l'), Action::Method(Motion::Down)),
        ]),
        Binding::new(
            &[(Chord::char('f'), Action::Filter)],
            "filter",
            "All items, those the method has wrong, has right, or on which methods differ",
        ),
        Binding::new(
            &[(Chord::char('o'), Action::Route)],
            "route",
            "Open the item in the Routing tab, with the method's router and the right answer",
        )
        .when(|s: &EvalScreen, _| s.items.as_ref().is_some_and(|items| items.item().is_some())),
        Binding::new(&[(ENTER, Action::Read)], "read", "Read the item; again, back to the list"),
        Binding::new(&[(ESC, Action::Back)], "back", "Back to the list, to the table"),
    ],
};

/// Differences to one method.
static DIFFERENCES: Table = KeyTable {
    title: "Eval, differences",
    bindings: &[
        Binding::new(moves!(Action::Compared), "method", "Select a method")
            .also(more_moves!(Action::Compared)),
        Binding::new(
            &[(LEFT, Action::Over(Motion::Up)), (RIGHT, Action::Over(Motion::Down))],
            "tasks",
            "Over the tasks of the line before, of the next line of the table",
        )
        .also(&[
            (Chord::char('h'), Action::Over(Motion::Up)),
            (Chord::char('l'), Action::Over(Motion::Down)),
        ]),
        Binding::new(
            &[(ENTER, Action::Against)],
            "compare with it",
            "Compare all methods with the selected one instead",
        ),
        Binding::new(&[(ESC, Action::CloseDifferences)], "back", "Back to the table")
            .also(&[(Chord::char('d'), Action::CloseDifferences)]),
    ],
};

/// Experts × tasks.
static TRANSFER: Table = KeyTable {
    title: "Eval, experts × tasks",
    bindings: &[
        map_steps!(Action::Matrix, "Move over tasks and experts"),
        map_leaps!(Action::Matrix),
        map_corners!(Action::Matrix),
        map_zoom!(Action::Matrix, "Closer, wider, the whole matrix"),
        Binding::new(&[(ENTER, Action::MatrixItems)], "items", "Show the items of the task"),
        Binding::new(&[(ESC, Action::CloseTransfer)], "back", "Back to the table")
            .also(&[(Chord::char('x'), Action::CloseTransfer)]),
    ],
};

/// What works wherever an evaluation is shown.
static ANYWHERE: Table = KeyTable {
    title: "Eval, everywhere",
    bindings: &[
        Binding::new(
            &[(Chord::char('n'), Action::New)],
            "new",
            "Evaluate methods on tasks, as a job whose table fills here",
        ),
        Binding::new(&[(Chord::char('e'), Action::Choose)], "list", "Choose among the evaluations so far")
            .when(|_, shared| evaluations(shared).next().is_some()),
        Binding::new(
            &[(Chord::char('c'), Action::Cancel)],
            "cancel",
            "Cancel the evaluation, after a question",
        )
        .when(|s: &EvalScreen, shared| s.can_cancel(shared))
        .explains(),
        Binding::new(
            &[(Chord::char('w'), Action::Save)],
            "save",
            "Save the table as Markdown, CSV, LaTeX or a picture, under a name that is asked for",
        )
        .when(|s: &EvalScreen, _| s.is_finished()),
    ],
};

/// All keys of the tab, for the reference.
pub fn reference() -> Vec<KeySection> {
    let own = [&TABLE, &ITEMS, &DIFFERENCES, &TRANSFER, &ANYWHERE].map(Table::section);
    own.into_iter().chain([Wish::Cancel.reference(), chooser::reference(), saving::reference()]).collect()
}

impl EvalScreen {
    fn table(&self) -> &'static Table {
        match (&self.items, &self.differences, &self.transfer) {
            (Some(_), _, _) => &ITEMS,
            (None, Some(_), _) => &DIFFERENCES,
            (None, None, Some(_)) => &TRANSFER,
            (None, None, None) => &TABLE,
        }
    }

    /// The keys that the footer and the help show now.
    pub(super) fn key_hints(&self, shared: &Shared) -> Vec<KeyHint> {
        if let Some(chooser) = &self.choosing {
            return chooser.hints(shared);
        }
        if let Some(saving) = &self.saving {
            return saving.hints(shared);
        }
        if self.confirming.is_some() {
            return Wish::Cancel.hints(shared);
        }
        let mut rest = self.table().hints(self, shared);
        // Where there is no room for all, the table gives up its last ones; the way back out of the others is not one.
        let of_table = std::ptr::eq(self.table(), &TABLE);
        let shown = |(_, hint): &(usize, &KeyHint)| !hint.short.is_empty();
        let at = rest.iter().enumerate().filter(shown).nth(FIRST).map(|(at, _)| at);
        let behind = rest.split_off(at.filter(|_| of_table).unwrap_or(rest.len()));
        rest.into_iter().chain(ANYWHERE.hints(self, shared)).chain(behind).collect()
    }

    pub(super) fn take_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if let Some(chooser) = self.choosing.take() {
            return Some(match chooser.take_key(key, shared) {
                Choice::Open(chooser) => {
                    self.choosing = Some(chooser);
                    Vec::new()
                }
                Choice::Closed(Some(id)) => self.choose(&id, shared),
                Choice::Closed(None) => Vec::new(),
            });
        }
        if let Some(saving) = self.saving.take() {
            return Some(match saving.take_key(key, shared) {
                Saved::Open(saving) => {
                    self.saving = Some(saving);
                    Vec::new()
                }
                Saved::Closed => Vec::new(),
                Saved::Asked { saving, path, over } => self.save(saving, path, over),
            });
        }
        let asked = self.confirming.take();
        if let Some(id) = asked
            && let Some(answer) = Wish::Cancel.answer(key, shared)
        {
            return Some(match answer {
                Answer::Yes => vec![Effect::Jobs(JobsEffect::Cancel { id })],
                Answer::No => Vec::new(),
            });
        }
        let action = self.table().action(key, self, shared).or_else(|| ANYWHERE.action(key, self, shared))?;
        Some(self.act(action, shared))
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::Line(motion) => {
                let len = self.shown.as_ref().map_or(0, |shown| shown.lines.len());
                self.line.go(motion, len);
            }
            Action::Column(motion) => {
                let len = self.evaluated().map_or(0, |evaluated| evaluated.report.methods.len());
                self.column.go(motion, len);
            }
            Action::Fold => {
                if let Some(shown) = &mut self.shown {
                    let to = shown.lines.toggle(self.line.cursor());
                    self.line.select(to, shown.lines.len());
                }
            }
            Action::FoldAll => {
                if let Some(shown) = &mut self.shown {
                    let task = shown.lines.get(self.line.cursor()).and_then(|line| line.task());
                    shown.lines.toggle_all();
                    let to = task.and_then(|task| shown.lines.place(task)).unwrap_or(0);
                    self.line.select(to, shown.lines.len());
                }
            }
            Action::Open => return self.open(),
            Action::Item(motion) => {
                if let Some(items) = &mut self.items {
                    items.go(motion);
                }
            }
            Action::Method(motion) => {
                let len = self.evaluated().map_or(0, |evaluated| evaluated.report.methods.len());
                if let Some(items) = &mut self.items {
                    items.go_method(motion, len);
                    self.column.select(items.method, len);
                }
            }
            Action::Filter => {
                if let (Some(items), Some(shown)) = (&mut self.items, &self.shown) {
                    items.next_filter(&shown.evaluated);
                }
            }
            Action::Read => {
                if let Some(items) = &mut self.items {
                    items.reading = !items.reading;
                }
            }
            Action::Back => match &mut self.items {
                Some(items) if items.reading => items.reading = false,
                Some(_) | None => self.items = None,
            },
            Action::Differences => return self.compare(None),
            Action::Compared(motion) => {
                let len = self.evaluated().map_or(0, |evaluated| evaluated.report.methods.len());
                if let Some(differences) = &mut self.differences {
                    differences.go(motion, len);
                    let to = differences.method();
                    self.column.select(to, len);
                }
            }
            Action::Over(motion) => {
                let len = self.shown.as_ref().map_or(0, |shown| shown.lines.len());
                self.line.go(motion, len);
                return self.compare(None);
            }
            Action::Against => {
                let method = self.differences.as_ref().map(|differences| differences.method());
                return self.compare(method);
            }
            Action::CloseDifferences => self.differences = None,
            Action::Transfer => return self.open_transfer(),
            Action::Matrix(step) => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.go(step);
                }
            }
            Action::MatrixItems => return self.open_transfer_items(),
            Action::CloseTransfer => self.transfer = None,
            Action::Save => return self.ask_name(),
            Action::Route => return self.route_item(shared),
            Action::Choose => {
                let now = self.job(shared).map(|job| job.id.clone());
                self.choosing = Some(Chooser::at(now.as_deref(), shared));
            }
            Action::New => return vec![Effect::App(self.form())],
            Action::Cancel if self.can_cancel(shared) => {
                self.confirming = self.job(shared).map(|job| job.id.clone());
            }
            Action::Cancel => {
                let why = match self.is_live(shared) {
                    true => "the evaluation is already being cancelled",
                    false => "no evaluation is under way here: n starts one",
                };
                return vec![Effect::App(AppEffect::Notice(why.into()))];
            }
        }
        Vec::new()
    }
}

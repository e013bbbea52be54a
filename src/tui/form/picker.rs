//! The list of task folders that are known, from which one is put into a form.

use std::collections::BTreeMap;
use std::path::Path;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::text::{counted, printable};
use crate::train::TASKS_DEPTH;
use crate::tui::format::spinner;
use crate::tui::keymap::{Binding, ENTER, ESC, KeyHint, KeySection, KeyTable, Motion, more_moves, moves};
use crate::tui::widgets::popup;
use crate::tui::{KnownTask, List, Shared, Theme, text_width};

/// What a key does in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Move(Motion),
    Choose,
    Close,
}

static TABLE: KeyTable<Picker, Action> = KeyTable {
    title: "Forms, choosing a task",
    bindings: &[
        Binding::new(moves!(Action::Move), "task", "Select a task").also(more_moves!(Action::Move)),
        Binding::new(&[(ENTER, Action::Choose)], "choose", "Put the selected task into the form"),
        Binding::new(&[(ESC, Action::Close)], "close", "Back to the form"),
    ],
};

/// All keys of the list, for the reference.
pub(super) fn reference() -> KeySection {
    TABLE.section()
}

/// Lines for the examples of the selected task, with the line above them.
const EXAMPLES: usize = 8;
/// Rows of the list that are shown before any example.
const LEAST_ROWS: usize = 2;
/// Cells of the popup.
const WIDTH: u16 = 100;

/// The open list.
#[derive(Debug, Default)]
pub(super) struct Picker {
    /// `None` while they are looked for. Folders of several tasks stand before them.
    tasks: Option<Vec<KnownTask>>,
    /// How many folders.
    before: usize,
    /// Whether folders of several tasks are listed, too.
    folders: bool,
    list: List,
}

/// What became of the list.
pub(super) enum Picked {
    Open(Picker),
    /// With the path of the task that was chosen, if one was.
    Closed(Option<String>),
}

impl Picker {
    pub(super) fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        TABLE.hints(self, shared)
    }

    /// A list of tasks, with the folders of several of them or without.
    pub(super) fn of(folders: bool) -> Self {
        Self { folders, ..Self::default() }
    }

    /// Takes what was found.
    pub(super) fn take(&mut self, tasks: &[KnownTask]) {
        let folders = if self.folders { folders(tasks) } else { Vec::new() };
        self.before = folders.len();
        self.tasks = Some(folders.into_iter().chain(tasks.iter().cloned()).collect());
    }

    fn tasks(&self) -> &[KnownTask] {
        self.tasks.as_deref().unwrap_or_default()
    }

    /// Takes a key press; one without a use here has none elsewhere while the list is open.
    pub(super) fn take_key(mut self, key: KeyEvent, shared: &Shared) -> Picked {
        match TABLE.action(key, &self, shared) {
            Some(Action::Move(motion)) => {
                self.list.go(motion, self.tasks().len());
                Picked::Open(self)
            }
            Some(Action::Choose) => match self.tasks().get(self.list.cursor()) {
                Some(task) => Picked::Closed(Some(task.path.clone())),
                None => Picked::Open(self),
            },
            Some(Action::Close) => Picked::Closed(None),
            None => Picked::Open(self),
        }
    }

    /// Draws the list in the middle of `area`.
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let rows = self.tasks().len().max(1) + EXAMPLES + 2;
        let title = match &self.tasks {
            Some(tasks) => match (counted(tasks.len() - self.before, "task"), self.before) {
                (tasks, 0) => format!(" {tasks} "),
                (tasks, folders) => format!(" {tasks}, {} ", counted(folders, "folder")),
            },
            None => " Tasks ".into(),
        };
        let size = (WIDTH, u16::try_from(rows).unwrap_or(u16::MAX));
        let Some(room) = popup(frame, area, size, &title, theme) else { return };
        let cells = usize::from(room.width);
        let height = usize::from(room.height);
        // Where there is little room, some rows of the list go before the examples.
        let below = EXAMPLES.min(height.saturating_sub(LEAST_ROWS));
        let mut lines = self.rows(cells, height - below, shared, theme);
        if below > 0 {
            lines.resize(height - below, Line::default());
            lines.extend(self.look(cells, below, theme));
        }
        for (line, y) in lines.iter().zip(room.top()..room.bottom()) {
            frame.buffer_mut().set_line(room.x, y, line, room.width);
        }
    }

    fn rows(&self, cells: usize, height: usize, shared: &Shared, theme: &Theme) -> Vec<Line<'static>> {
        if self.tasks.is_none() {
            return vec![Line::styled(
                format!("{} looking for task folders", spinner(shared.tick)),
                theme.dim(),
            )];
        }
        if self.tasks().is_empty() {
            let none =
                "No task folder is near. `lora-tui import SOURCE --out tasks` makes some of a dataset.";
            return text_width::wrap(none, cells)
                .into_iter()
                .map(|line| Line::styled(line, theme.dim()))
                .collect();
        }
        let line = |at: usize| {
            let task = self.tasks().get(at)?;
            let here = at == self.list.cursor();
            let facts = facts(task);
            let width = text_width::width(&facts);
            let path = printable(&task.path).into_owned();
            // Where there is no room for both, the path counts.
            let both = cells > width + 24;
            let room = if both { cells - width - 4 } else { cells.saturating_sub(2) };
            let path = text_width::left(&text_width::truncate_start(&path, room), room);
            let mut spans = vec![
                Span::styled(if here { "› " } else { "  " }, theme.accent()),
                Span::styled(path, if here { theme.header() } else { theme.text() }),
            ];
            if both {
                spans.push(Span::styled(format!("  {facts}"), theme.dim()));
            }
            Some(Line::from(spans))
        };
        self.list.window(self.tasks().len(), height).filter_map(line).collect()
    }

    /// The first examples of the selected task, or what is wrong with it.
    fn look(&self, cells: usize, height: usize, theme: &Theme) -> Vec<Line<'static>> {
        let mut lines = vec![Line::styled("─".repeat(cells), theme.dim())];
        let Some(task) = self.tasks().get(self.list.cursor()) else { return lines };
        if let Some(problem) = &task.problem {
            let wrapped = text_width::wrap(&format!("✗ {}", printable(problem)), cells);
            lines.extend(wrapped.into_iter().map(|line| Line::styled(line, theme.error())));
        } else if task.examples.is_empty() {
            lines.push(Line::styled("no example can be read at its beginning", theme.dim()));
        }
        for example in &task.examples {
            lines.push(Line::styled(text_width::truncate(&printable(&example.asked), cells), theme.text()));
            let answered = format!("  → {}", printable(&example.answered));
            lines.push(Line::styled(text_width::truncate(&answered, cells), theme.dim()));
        }
        lines.truncate(height);
        lines
    }
}

/// The folders of several tasks, the largest first: of those with the same ones, the deepest.
fn folders(tasks: &[KnownTask]) -> Vec<KnownTask> {
    let mut held: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
    for (at, task) in tasks.iter().enumerate() {
        let above = Path::new(&task.path).ancestors().skip(1);
        for folder in above.filter(|folder| !folder.as_os_str().is_empty() && *folder != Path::new("/")) {
            held.entry(folder).or_default().push(at);
        }
    }
    let deeper = |folder: &Path, inside: &Vec<usize>| {
        held.iter().any(|(other, same)| *other != folder && other.starts_with(folder) && same == inside)
    };
    // Where it is named, deeper ones are not found.
    let within = |folder: &Path, at: &usize| {
        let below =
            Path::new(&tasks[*at].path).strip_prefix(folder).map_or(0, |rest| rest.components().count());
        below <= TASKS_DEPTH
    };
    let several = held.iter().filter(|(folder, inside)| {
        inside.len() > 1 && inside.iter().all(|at| within(folder, at)) && !deeper(folder, inside)
    });
    let mut found: Vec<(usize, KnownTask)> = several
        .map(|(folder, inside)| {
            let count =
                |split: usize| inside.iter().map(|at| tasks[*at].counts[split]).sum::<Option<usize>>();
            let folder = KnownTask {
                path: folder.to_string_lossy().into_owned(),
                held_out: inside.iter().all(|at| tasks[*at].held_out),
                metric: counted(inside.len(), "task"),
                counts: [0, 1, 2].map(count),
                examples: inside
                    .iter()
                    .filter_map(|at| tasks[*at].examples.first().cloned())
                    .take(3)
                    .collect(),
                problem: None,
            };
            (inside.len(), folder)
        })
        .collect();
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// How many examples a task has in its splits, how they are scored, and whether it is held out.
fn facts(task: &KnownTask) -> String {
    let count = |count: Option<usize>| count.map_or("many".into(), |count| count.to_string());
    let [train, validation, test] = task.counts.map(count);
    let held_out = if task.held_out { "held out · " } else { "" };
    format!("{held_out}{} · {train} / {validation} / {test}", task.metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_hold_several_tasks_stand_first_the_deepest_of_equals() {
        let task = |path: &str, held_out| KnownTask {
            path: path.into(),
            held_out,
            counts: [Some(2), Some(1), None],
            ..KnownTask::default()
        };
        let tasks =
            [task("x/tasks/a/one", true), task("x/tasks/a/two", true), task("x/tasks/b/three", false)];
        let mut picker = Picker::of(true);
        picker.take(&tasks);
        let paths: Vec<&str> = picker.tasks().iter().map(|task| task.path.as_str()).collect();
        assert_eq!(paths[..2], ["x/tasks", "x/tasks/a"]);
        assert_eq!(paths[2..], ["x/tasks/a/one", "x/tasks/a/two", "x/tasks/b/three"]);
        // A folder whose tasks lie too deep below it would give some of them alone.
        let mut deep = Picker::of(true);
        deep.take(&[
            task("pk/assets/tasks/fig/money", false),
            task("pk/assets/tasks/fig/two", false),
            task("pk/own", false),
        ]);
        assert!(deep.tasks().iter().all(|task| task.path != "pk"));
        let all = &picker.tasks()[0];
        assert_eq!((all.metric.as_str(), all.counts), ("3 tasks", [Some(6), Some(3), None]));
        assert!(!all.held_out && picker.tasks()[1].held_out);
        let mut alone = Picker::default();
        alone.take(&tasks);
        assert_eq!(alone.tasks().len(), 3);
    }
}

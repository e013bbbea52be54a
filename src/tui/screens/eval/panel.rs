//! What stands beside the table where there is room: the score under the cursor, what it is compared with, and what is
//! to be known of the evaluation.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::finding::{interval_text, signed, verdict};
use super::lines::{Of, TableLine};
use crate::eval::{Difference, EvalReport, Group, mean_text};
use crate::text::{counted, printable};
use crate::tui::{Evaluated, Theme, text_width};

/// Differences that are listed at most.
const DIFFERENCES: usize = 12;
/// Notes of one kind that are listed at most.
const NOTES: usize = 4;

/// What the panel shows.
pub(super) struct Panel<'a> {
    pub evaluated: &'a Evaluated,
    pub line: &'a TableLine,
    /// Number of the method under the cursor.
    pub method: usize,
    pub theme: &'a Theme,
}

/// Items or tasks that a line is about.
pub(super) fn size(evaluated: &Evaluated, line: &TableLine) -> String {
    match line.of {
        Of::Group => counted(line.tasks.len(), "task"),
        Of::Task(task) => counted(evaluated.report.tasks.get(task).map_or(0, |task| task.items), "item"),
    }
}

/// The name of the task that a line is about, if it is about one; `None` where others are called the same, of which a
/// report does not say which is which.
pub(super) fn named_alone<'a>(evaluated: &'a Evaluated, line: &TableLine) -> Option<Option<&'a str>> {
    let tasks = &evaluated.report.tasks;
    let Some(task) = line.task().and_then(|task| tasks.get(task)) else { return Some(None) };
    let alone = tasks.iter().filter(|other| other.task == task.task).count() == 1;
    alone.then_some(Some(task.task.as_str()))
}

/// How a method differs, over what a line is about, from the one that the evaluation compared with.
pub(super) fn difference<'a>(
    evaluated: &'a Evaluated,
    line: &TableLine,
    method: &str,
) -> Option<(&'a str, Difference)> {
    let task = named_alone(evaluated, line)?;
    let found = evaluated.report.differences.iter().find(|found| {
        let same = match task {
            Some(task) => found.task.as_deref() == Some(task),
            None => found.group.is_some() && found.group == line.group,
        };
        same && found.method == method && found.is_loss == line.is_loss
    })?;
    Some((&found.against, found.difference))
}

/// The score under the cursor in a line, with what it is compared with.
pub(super) fn readout(evaluated: &Evaluated, line: &TableLine, method: usize) -> String {
    let Some(name) = evaluated.report.methods.get(method) else { return String::new() };
    let mean = line.scores.get(method).copied().flatten();
    let score = mean_text(mean.as_ref(), line.is_loss, " ± ");
    let against = difference(evaluated, line, name).map(|(against, found)| {
        let by = signed(found.difference, line.is_loss);
        let interval = found.interval.map(|ends| format!(" ({})", interval_text(Some(ends), line.is_loss)));
        format!(" · {by} to {against}{}", interval.unwrap_or_default())
    });
    let text = format!("{name} on {}: {score} · {}", line.name, size(evaluated, line));
    printable(&format!("{text}{}", against.unwrap_or_default())).into_owned()
}

impl Panel<'_> {
    /// Draws as much as there is room for.
    pub fn draw(&self, frame: &mut Frame, area: Rect) {
        let cells = usize::from(area.width);
        let mut lines = self.score(cells);
        lines.extend(self.differences(cells));
        lines.extend(self.notes(cells));
        for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
            frame.buffer_mut().set_line(area.x, y, line, area.width);
        }
    }

    fn heading(&self, text: &str, cells: usize) -> Line<'static> {
        let text = text_width::truncate(text, cells);
        let rest = cells.saturating_sub(text_width::width(&text) + 1);
        Line::from(vec![
            Span::styled(text, self.theme.header()),
            Span::styled(format!(" {}", "─".repeat(rest)), self.theme.border()),
        ])
    }

    /// The score under the cursor, that of the task's own expert, and the best.
    fn score(&self, cells: usize) -> Vec<Line<'static>> {
        let (report, line, theme) = (&self.evaluated.report, self.line, self.theme);
        let Some(name) = report.methods.get(self.method) else { return Vec::new() };
        let mut lines = vec![self.heading(&line.name, cells)];
        let text = text_width::wrap(name, cells);
        lines.extend(text.into_iter().map(|text| Line::styled(text, theme.accent())));
        let task = line.task().and_then(|task| report.tasks.get(task));
        let facts = [
            Some(size(self.evaluated, line)),
            task.filter(|task| !task.family.is_empty()).map(|task| task.family.clone()),
            task.map(|task| task.metric.name.to_string()),
            task.filter(|task| task.shots > 0).map(|task| format!("{}-shot", task.shots)),
            task.map(|task| Group::of_task(task.held_out).to_string()),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        lines.extend(text_width::flow(&facts, cells).into_iter().map(|text| Line::styled(text, theme.dim())));
        let best = line.best();
        let rows = report.methods.iter().enumerate().filter(|(at, label)| {
            let score = line.scores.get(*at).copied().flatten().map(|mean| mean.score);
            *at == self.method || *label == "expert" || score.is_some() && score == best
        });
        for (at, label) in rows {
            let mean = line.scores.get(at).copied().flatten();
            let is_best = best.is_some() && mean.map(|mean| mean.score) == best;
            let score = format!(
                "{}{}",
                mean_text(mean.as_ref(), line.is_loss, " ± "),
                if is_best { "*" } else { " " }
            );
            let style = if at == self.method { theme.text() } else { theme.dim() };
            let room = cells.saturating_sub(text_width::width(&score) + 1);
            let text =
                format!("{} {score}", text_width::left(&text_width::truncate_middle(label, room), room));
            lines.push(Line::styled(text, style));
        }
        lines
    }

    /// How all methods differ from the one that they are compared with, over what the line is about.
    fn differences(&self, cells: usize) -> Vec<Line<'static>> {
        let (report, line) = (&self.evaluated.report, self.line);
        let mut rows = Vec::new();
        let mut to = "";
        for label in &report.methods {
            let Some((against, found)) = difference(self.evaluated, line, label) else { continue };
            to = against;
            rows.push((label, found));
        }
        if rows.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![Line::default(), self.heading(&format!("to {to}, with 95 %"), cells)];
        for (label, found) in rows.iter().take(DIFFERENCES) {
            let by = text_width::right(&signed(found.difference, line.is_loss), 7);
            let interval = text_width::right(&interval_text(found.interval, line.is_loss), 17);
            let room = cells.saturating_sub(26);
            let name = text_width::left(&text_width::truncate_middle(label, room), room);
            let style = verdict(found, line.is_loss, self.theme);
            lines.push(Line::styled(format!("{name} {by} {interval}"), style));
        }
        if rows.len() > DIFFERENCES {
            lines.push(Line::styled(
                format!("{} more: d shows them", rows.len() - DIFFERENCES),
                self.theme.dim(),
            ));
        }
        lines
    }

    /// What is to be known of the evaluation.
    fn notes(&self, cells: usize) -> Vec<Line<'static>> {
        let notes = notes(&self.evaluated.report);
        if notes.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![Line::default(), self.heading("to be known", cells)];
        for note in notes {
            let wrapped = text_width::wrap(&format!("! {note}"), cells);
            lines.extend(wrapped.into_iter().map(|text| Line::styled(text, self.theme.warning())));
        }
        lines
    }
}

/// What whoever reads the scores has to know: of each kind the first few.
pub(super) fn notes(report: &EvalReport) -> Vec<String> {
    let leaks =
        report.leaks.iter().map(|leak| format!("leak of {}: {}: {}", leak.task, leak.expert, leak.reason));
    let failed =
        report.failed.iter().map(|failed| format!("no scores of {}: {}", failed.method, failed.reason));
    let skipped = report.skipped.iter().map(|one| format!("left out: {}: {}", one.name, one.reason));
    let partial = report.partial.iter().map(|one| format!("in part only: {}: {}", one.name, one.reason));
    let cut = (report.cut > 0).then(|| {
        let requests = counted(report.cut, "request");
        format!("{requests} asked without the beginning: longer than the base model's context")
    });
    let kinds = [
        leaks.collect::<Vec<_>>(),
        failed.collect(),
        cut.into_iter().collect(),
        skipped.collect(),
        partial.collect(),
    ];
    let mut notes: Vec<String> = Vec::new();
    for kind in kinds {
        let more = kind.len().saturating_sub(NOTES);
        notes.extend(kind.into_iter().take(NOTES));
        notes.extend((more > 0).then(|| format!("and {more} more like that")));
    }
    notes
}

//! Drawing of the forms.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Form;
use super::fields::{Field, Id, Value};
use crate::settings::Role;
use crate::text::counted;
use crate::tui::format::spinner;
use crate::tui::text_width;
use crate::tui::widgets::popup;
use crate::tui::{Shared, Theme};

/// Cells of the labels.
const LABEL: usize = 14;
/// Cells of a short value.
const SHORT: usize = 13;

impl Form {
    /// Draws the form in the middle of `area`.
    pub fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let width = 76.min(area.width);
        let inner = usize::from(width.saturating_sub(4));
        let (mut lines, mut focused) = self.lines(inner, shared, theme);
        // The last lines say what will be done: they stay where they are.
        let mut last = self.last_lines(inner, shared, theme);
        let mut says_why = self.refused.is_some();
        if let Some(why) = self.closed(shared) {
            let mut why: Vec<Line> = text_width::wrap(&format!("✗ {why}"), inner)
                .into_iter()
                .map(|line| Line::styled(line, theme.error()))
                .collect();
            if lines.len() + why.len() + last.len() + 4 > usize::from(area.height) {
                // What comes first would be scrolled away.
                (last, says_why) = (why, true);
            } else {
                why.push(Line::default());
                focused = focused.start + why.len()..focused.end + why.len();
                lines.splice(0..0, why);
            }
        }
        let rows = u16::try_from(lines.len() + last.len() + 3).unwrap_or(u16::MAX);
        let title = format!(" {} ", self.fresh.job.kind().heading);
        let Some(room) = popup(frame, area, (width, rows), &title, theme) else { return };
        let height = usize::from(room.height);
        // In a low window the focused field goes before the last lines, unless they say what is wrong.
        let (needed, most) = match says_why {
            true => (0, height),
            false => (focused.len().min(height), (height / 3).max(2)),
        };
        let below = (last.len() + 1).min(most).min(height - needed);
        let body = height - below;
        let first = focused.end.saturating_sub(body.max(1)).min(focused.start).min(lines.len());
        let shown = lines[first..].iter().take(body);
        let count = last.len() + 1;
        let last = std::iter::once(Line::default()).chain(last);
        let last = last.skip(usize::from(below < count)).take(below);
        let all: Vec<Line> = shown.cloned().chain(last).collect();
        for (line, y) in all.iter().zip(room.top()..room.bottom()) {
            frame.buffer_mut().set_line(room.x, y, line, room.width);
        }
        if let Some(picker) = &self.picker {
            picker.draw(frame, area, shared, theme);
        }
    }

    /// The lines of the fields and which of them must be visible, the first of them above all.
    fn lines(&self, cells: usize, shared: &Shared, theme: &Theme) -> (Vec<Line<'static>>, Range<usize>) {
        let mut lines = Vec::new();
        let mut focused = 0..0;
        for (i, field) in self.fields.iter().enumerate().filter(|(i, _)| self.is_visible(*i)) {
            let here = i == self.focus;
            let start = lines.len();
            lines.extend(self.field_lines(field, here, cells, shared, theme));
            if here {
                focused = start..lines.len();
            }
        }
        (lines, focused)
    }

    fn field_lines(
        &self,
        field: &Field,
        here: bool,
        cells: usize,
        shared: &Shared,
        theme: &Theme,
    ) -> Vec<Line<'static>> {
        let room = cells.saturating_sub(LABEL + 2);
        let value = if field.is_long() { room } else { SHORT.min(room) };
        let focused = here && !self.waiting;
        let mut line = match &field.value {
            Value::Text(input) => input.line(value, focused, theme),
            Value::Choice { .. } => {
                let style = match (focused, field.is_changed()) {
                    (true, _) => theme.selection(),
                    (false, true) => theme.text(),
                    (false, false) => theme.dim(),
                };
                Line::styled(text_width::truncate(&field.text(), value), style)
            }
            Value::Fold { .. } | Value::Shown => Line::default(),
        };
        // The style belongs to the value, not to what goes around it.
        let style = std::mem::take(&mut line.style);
        line.spans.iter_mut().for_each(|span| span.style = style.patch(span.style));
        let used = line.width();
        let mark = match field.value {
            Value::Fold { open: true } => "▾ ",
            Value::Fold { open: false } => "▸ ",
            Value::Text(_) | Value::Choice { .. } | Value::Shown if here => "› ",
            Value::Text(_) | Value::Choice { .. } | Value::Shown => "  ",
        };
        line.spans.insert(0, Span::styled(mark, theme.accent()));
        let label = if here { theme.header() } else { theme.dim() };
        line.spans.insert(1, Span::styled(text_width::left(&field.label, LABEL), label));
        let blank = used == 0 || (here && field.text().is_empty());
        // What an empty field lacks can wait for a start, but not that there is no data.
        let error = field.error.as_ref().filter(|_| !blank || self.tried || field.role() == Role::Tasks);
        let (note, style) = match error {
            Some(error) => (format!("✗ {error}"), theme.error()),
            None if field.is_long() && !blank => (String::new(), theme.dim()),
            None if matches!(field.value, Value::Fold { open: false }) => {
                (self.changed_behind(field), theme.dim())
            }
            None if matches!(field.value, Value::Fold { open: true }) => (String::new(), theme.dim()),
            None => (field.hint.clone(), theme.dim()),
        };
        let has_no_value = matches!(field.value, Value::Fold { .. } | Value::Shown);
        let gap = match () {
            () if has_no_value || (used == 0 && field.is_long()) => 0,
            () if field.is_long() => 1,
            () => value.saturating_sub(used) + 1,
        };
        let left = cells.saturating_sub(LABEL + 2 + used + gap);
        let mut lines = Vec::new();
        if text_width::width(&note) <= left {
            line.spans.extend([Span::raw(" ".repeat(gap)), Span::styled(note, style)]);
            lines.push(line);
        } else if !here && matches!(field.id, Id::Expert(_) | Id::More) {
            // Whole once it has the focus.
            line.spans
                .extend([Span::raw(" ".repeat(gap)), Span::styled(text_width::truncate(&note, left), style)]);
            lines.push(line);
        } else {
            lines.push(line);
            // A hint can wait until its field has the focus, an error cannot.
            if here || error.is_some() {
                lines.extend(indented(&note, LABEL + 2, cells, style));
            }
        }
        if here && !self.candidates.is_empty() {
            lines.extend(self.candidate_lines(cells, theme));
        } else if field.role() == Role::Data {
            lines.extend(data_lines(field, cells, shared, theme));
        }
        lines
    }

    /// What was changed of what cannot be seen; what is there, if nothing was.
    fn changed_behind(&self, fold: &Field) -> String {
        let changed: Vec<String> = self
            .fields
            .iter()
            .filter(|field| field.more && field.is_changed())
            .map(|field| format!("{} {}", field.label.to_lowercase(), field.text()))
            .collect();
        if changed.is_empty() { fold.hint.clone() } else { changed.join(" · ") }
    }

    /// What will be done, or why it cannot be.
    fn last_lines(&self, cells: usize, shared: &Shared, theme: &Theme) -> Vec<Line<'static>> {
        let wrapped = |text: &str, style: Style| {
            text_width::wrap(text, cells)
                .into_iter()
                .map(|line| Line::styled(line, style))
                .collect::<Vec<_>>()
        };
        if let Some(error) = &self.refused {
            return wrapped(&format!("✗ {error}"), theme.error());
        }
        if self.waiting {
            return vec![Line::styled(format!("{} starting …", spinner(shared.tick)), theme.dim())];
        }
        let mut facts = Vec::new();
        if self.planning.is_some() {
            facts.push(format!("{} looking for the clusters' data", spinner(shared.tick)));
        }
        facts.extend(self.plan.as_ref().map(|plan| counted(plan.rows.len(), "expert")));
        facts.extend(self.steps().map(|n| counted(n, "step")));
        facts.push("keeps running after you quit".to_string());
        let mut lines = wrapped(&facts.join(" · "), theme.dim());
        if let Some(plan) = self.plan.as_ref().filter(|plan| !plan.warnings.is_empty()) {
            let first = plan.warnings.first().cloned().unwrap_or_default();
            let more = match plan.warnings.len() {
                1 => String::new(),
                many => format!(" and {} more", many - 1),
            };
            lines.extend(wrapped(&format!("! {first}{more}"), theme.warning()));
        }
        lines
    }

    fn candidate_lines(&self, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
        const SHOWN: usize = 4;
        let indent = LABEL + 2;
        let more = self.candidates.len().saturating_sub(SHOWN);
        let mut names: Vec<String> = self.candidates.iter().take(SHOWN).cloned().collect();
        if more > 0 {
            names.push(format!("… and {more} more"));
        }
        let room = cells.saturating_sub(indent);
        let line = |name: String| text_width::truncate_start(&name, room);
        names.into_iter().flat_map(|name| indented(&line(name), indent, cells, theme.dim())).collect()
    }
}

/// What is known of a task.
fn data_lines(field: &Field, cells: usize, shared: &Shared, theme: &Theme) -> Vec<Line<'static>> {
    match &field.data {
        Some(Ok(data)) => {
            let task = if data.task.is_empty() { String::new() } else { format!(" · task {}", data.task) };
            let text = format!("✓ {} to train on, {} to validate{task}", data.train, data.validation);
            indented(&text, LABEL + 2, cells, theme.ok())
        }
        None if !field.text().is_empty() => {
            let text = format!("{} looking", spinner(shared.tick));
            indented(&text, LABEL + 2, cells, theme.dim())
        }
        _ => Vec::new(),
    }
}

/// `text` in lines of at most `cells` cells, each behind `indent` blanks.
fn indented(text: &str, indent: usize, cells: usize, style: Style) -> Vec<Line<'static>> {
    let line = |part| Line::from(vec![Span::raw(" ".repeat(indent)), Span::styled(part, style)]);
    text_width::wrap(text, cells.saturating_sub(indent)).into_iter().map(line).collect()
}

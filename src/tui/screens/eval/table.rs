//! Drawing of the table: lines of tasks and means, a column per method.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::lines::{Lines, Of, TableLine};
use crate::eval::{Mean, mean_text};
use crate::text::printable;
use crate::tui::widgets::{below, list_edge, row};
use crate::tui::{Evaluated, List, Theme, text_width};

/// Cells of the names, at least and at most.
const NAMES: (usize, usize) = (10, 34);
/// Cells to which names are cut where that makes room for one column more.
const LEAST: usize = 19;
/// Cells of the names below which lines are indented less.
const TIGHT: usize = 18;
/// Columns that have to fit with their errors; where fewer do, all go without.
const WITH_ERRORS: usize = 3;
/// Rows from which on headings have two lines.
const TALL: u16 = 12;

/// What is drawn.
pub(super) struct Table<'a> {
    pub evaluated: &'a Evaluated,
    pub lines: &'a Lines,
    pub line: &'a List,
    pub column: &'a List,
    pub theme: &'a Theme,
}

/// Where the columns are.
#[derive(Clone, Copy, Debug)]
struct Columns {
    /// Cells of the names.
    names: usize,
    /// Cells of a column, the gap before it included.
    cells: usize,
    /// Whether errors are shown.
    errors: bool,
    /// Number of columns that are seen.
    count: usize,
}

impl Table<'_> {
    fn columns(&self, width: usize) -> Columns {
        let methods = self.evaluated.report.methods.len();
        let (name, with, without) = self.lines.widest;
        let around = self.around();
        let names = name.clamp(NAMES.0, NAMES.1).min((width / 3).max(NAMES.0)).min(width);
        let room = width - names;
        let errors = (with + around) * WITH_ERRORS.min(methods) <= room;
        let cells = around + if errors { with } else { without };
        let count = (room / cells).min(methods);
        // One column more is worth some cells of the names.
        let lacks = cells - room % cells;
        if count < methods && names.saturating_sub(lacks) >= LEAST {
            return Columns { names: names - lacks, cells, errors, count: count + 1 };
        }
        Columns { names, cells, errors, count }
    }

    /// A blank before the score, and one or a mark behind; a glyph where colours cannot say it.
    fn around(&self) -> usize {
        if self.theme.has_gradient() { 2 } else { 4 }
    }

    /// Cells in which so many columns fit, or all there are, with their errors.
    pub fn width(&self, columns: usize) -> usize {
        let (name, with, _) = self.lines.widest;
        name.clamp(NAMES.0, NAMES.1)
            + (with + self.around()) * columns.min(self.evaluated.report.methods.len())
            + 1
    }

    /// Draws the headings and the lines.
    pub fn draw(&self, frame: &mut Frame, area: Rect) {
        if area.is_empty() {
            return;
        }
        let columns = self.columns(usize::from(area.width));
        let is_long = |label: &String| text_width::width(&printable(label)) >= columns.cells;
        let two = area.height >= TALL && self.evaluated.report.methods.iter().any(is_long);
        let heads = 1 + u16::from(two);
        let body = below(area, heads);
        let window = self.line.window(self.lines.len(), usize::from(body.height));
        let body = list_edge(frame, body, window.clone(), self.lines.len(), self.theme);
        let columns = self.columns(usize::from(body.width));
        let seen = self.column.window(self.evaluated.report.methods.len(), columns.count);
        for head in 0..heads {
            let line = self.heading(head, heads, columns, seen.clone());
            frame.render_widget(line, row(area, head));
        }
        for (at, y) in window.zip(0..) {
            let Some(line) = self.lines.get(at) else { continue };
            let here = at == self.line.cursor();
            let text = self.line(line, here, columns, seen.clone());
            frame.render_widget(text, row(body, y));
        }
    }

    /// A line of the headings; the last one stands right above the table.
    fn heading(&self, at: u16, heads: u16, columns: Columns, seen: std::ops::Range<usize>) -> Line<'static> {
        let methods = &self.evaluated.report.methods;
        let more = |there: bool, sign: &'static str| if there { sign } else { " " };
        let label = match at + 1 == heads {
            true => text_width::left(if columns.names >= 14 { "task" } else { "" }, columns.names - 1),
            false => " ".repeat(columns.names - 1),
        };
        let left = more(seen.start > 0 && at + 1 == heads, "‹");
        let mut spans =
            vec![Span::styled(label, self.theme.header()), Span::styled(left, self.theme.accent())];
        let last = seen.end;
        for method in seen {
            let Some(label) = methods.get(method) else { continue };
            let parts = split(label, columns.cells - 1, usize::from(heads));
            let empty = usize::from(heads) - parts.len();
            let part = usize::from(at).checked_sub(empty).and_then(|at| parts.get(at));
            let style = match method == self.column.cursor() {
                true => self.theme.accent().add_modifier(Modifier::UNDERLINED),
                false => self.theme.header(),
            };
            let part = part.map_or("", String::as_str);
            let pad = columns.cells - text_width::width(part);
            spans.push(Span::raw(" ".repeat(pad)));
            spans.push(Span::styled(part.to_string(), style));
        }
        if last < methods.len() && at + 1 == heads {
            spans.push(Span::styled("›", self.theme.accent()));
        }
        Line::from(spans)
    }

    fn line(
        &self,
        line: &TableLine,
        here: bool,
        columns: Columns,
        seen: std::ops::Range<usize>,
    ) -> Line<'static> {
        let theme = self.theme;
        let mark = match (&line.fold, self.lines.is_open(line)) {
            (None, _) => " ",
            (Some(_), true) => "▾",
            (Some(_), false) => "▸",
        };
        let step = if columns.names < TIGHT { 1 } else { 2 };
        let indent = (step * line.depth).min(columns.names / 3);
        let room = columns.names.saturating_sub(indent + 3);
        let name = match line.of {
            Of::Group => text_width::truncate(&line.name, room),
            Of::Task(_) => text_width::truncate_middle(&line.name, room),
        };
        let style = match line.of {
            Of::Group => theme.header(),
            Of::Task(_) => theme.text(),
        };
        let used = text_width::width(&name);
        let rest = room - used;
        let note = match line.of {
            Of::Group if line.fold.is_some() => line.tasks.len().to_string(),
            Of::Group => String::new(),
            Of::Task(_) => line.family.clone(),
        };
        let note = if text_width::width(&note) < rest { note } else { String::new() };
        let mut spans = vec![
            Span::raw(" ".repeat(indent)),
            Span::styled(format!("{mark} "), theme.dim()),
            Span::styled(name, style),
            Span::styled(text_width::right(&note, rest + 1), theme.dim()),
        ];
        if here {
            spans.iter_mut().for_each(|span| span.style = theme.selection_unfocused());
        }
        let best = line.best();
        for method in seen {
            let is_cursor = here && method == self.column.cursor();
            spans.extend(self.cell(line, method, best, is_cursor, columns));
        }
        Line::from(spans)
    }

    /// A gap, the score with its mark, in the colour of its height.
    fn cell(
        &self,
        line: &TableLine,
        method: usize,
        best: Option<f64>,
        is_cursor: bool,
        columns: Columns,
    ) -> [Span<'static>; 2] {
        let theme = self.theme;
        let room = columns.cells - 1;
        let gap = Span::raw(" ");
        let far = line.tasks.iter().map(|task| self.evaluated.far(*task, method));
        let (known, all) = far.fold((0, 0), |sum, far| (sum.0 + far.0, sum.1 + far.1));
        let waits = self.evaluated.known.is_some() && known < all;
        let mean = line.scores.get(method).copied().flatten();
        let Some(mean) = mean else {
            // What is worked on and what never comes look different.
            let text = if waits { format!("{known}/{all} ") } else { "– ".into() };
            let style = if is_cursor { theme.cursor() } else { theme.dim() };
            return [gap, Span::styled(text_width::right(&text, room), style)];
        };
        let is_best = best == Some(mean.score);
        let shown = if columns.errors && !waits { mean } else { Mean { stderr: None, ..mean } };
        let mark = match (waits, is_best) {
            (true, _) => "…",
            (false, true) => "*",
            (false, false) => " ",
        };
        let heat = line.heat(mean.score);
        let number = mean_text(Some(&shown), line.is_loss, " ± ");
        let text = match theme.has_gradient() {
            true => text_width::right(&format!("{number}{mark}"), room),
            false => {
                let number = text_width::right(&format!("{number}{mark}"), room - 2);
                format!("{} {number}", theme.glyph(heat))
            }
        };
        let mut style = match is_cursor {
            true => theme.cursor(),
            false if waits => theme.dim(),
            false => theme.on_sequential(heat),
        };
        if is_best && !waits {
            style = style.add_modifier(Modifier::BOLD);
        }
        if line.of == Of::Group && !is_cursor && !theme.has_gradient() {
            style = style.patch(Style::new().add_modifier(Modifier::UNDERLINED));
        }
        [gap, Span::styled(text, style)]
    }
}

/// A label in at most `lines` lines of `cells` cells, broken where its parts end.
fn split(label: &str, cells: usize, lines: usize) -> Vec<String> {
    let label = printable(label).into_owned();
    if text_width::width(&label) <= cells || lines < 2 {
        return vec![text_width::truncate_middle(&label, cells)];
    }
    let mut ends = label
        .char_indices()
        .filter(|(_, c)| matches!(c, ':' | '/' | '+' | '_' | '-'))
        .map(|(at, c)| at + c.len_utf8());
    let end = ends.rfind(|end| text_width::width(&label[..*end]) <= cells);
    match end.map(|end| label.split_at(end)) {
        Some((first, rest)) => vec![first.to_string(), text_width::truncate_middle(rest, cells)],
        None => vec![text_width::truncate_middle(&label, cells)],
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn labels_break_where_their_parts_end() {
        assert_eq!(split("arrow", 9, 2), ["arrow"]);
        assert_eq!(split("arrow:k=3", 7, 2), ["arrow:", "k=3"]);
        assert_eq!(split("arrow:k=3", 7, 1), ["arr…k=3"]);
        assert_eq!(split("mbc/arrow:k=3", 11, 2), ["mbc/arrow:", "k=3"]);
        assert_eq!(split("subspaces", 5, 2), ["su…es"]);
        assert_eq!(split("日本:語", 5, 2), ["日本:", "語"]);
    }
}

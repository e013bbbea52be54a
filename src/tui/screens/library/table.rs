//! The table of experts: which columns fit, and the visible rows.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::rows::{Row, Rows, SortKey};
use crate::library::Status;
use crate::text::{age, brief, loss_text};
use crate::tui::List;
use crate::tui::Theme;
use crate::tui::cluster_mark;
use crate::tui::format;
use crate::tui::text_width::{self, width};
use crate::tui::widgets::{below, list_edge};

/// Cells between two columns.
const GAP: usize = 2;
/// Cells of the status glyph and the blank after it.
const GLYPH: usize = 2;

/// A column that has something to show.
#[derive(Clone, Copy, Debug)]
struct Column {
    key: SortKey,
    title: &'static str,
    right: bool,
    least: usize,
    wanted: usize,
    /// The highest goes first when there is no room.
    expendable: u8,
}

/// Columns with content, in order, with what they would like. Made once per reading of the library.
#[derive(Debug, Default)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// Measures the rows.
    pub fn measure(rows: &Rows) -> Self {
        let all = rows.all();
        let longest = |get: fn(&Row) -> &str| all.iter().map(|row| width(get(row))).max().unwrap_or(0);
        let any = |has: fn(&Row) -> bool| all.iter().any(has);
        let mut columns = Vec::new();
        let mut text = |key, title: &'static str, longest: usize, least: usize, most: usize, expendable| {
            if longest > 0 {
                let wanted = longest.clamp(width(title) + 1, most);
                columns.push(Column {
                    key,
                    title,
                    right: false,
                    least: least.min(wanted),
                    wanted,
                    expendable,
                });
            }
        };
        text(SortKey::Name, "Name", longest(|r| &r.shown).max(1), 20, 44, 0);
        // A task named as its expert says nothing new.
        let task = if any(|r| !r.task.is_empty() && r.task != r.shown) { longest(|r| &r.task) } else { 0 };
        text(SortKey::Task, "Task", task, 14, 28, 4);
        text(SortKey::Family, "Family", longest(|r| &r.family), 10, 18, 5);
        let mut fixed = |key, title, cells, right, expendable, show: bool| {
            if show {
                columns.push(Column { key, title, right, least: cells, wanted: cells, expendable });
            }
        };
        fixed(SortKey::Cluster, "Cl", 3, true, 3, rows.has_clusters());
        fixed(SortKey::Rank, "Rank", 5, true, 1, any(|r| r.rank.is_some()));
        fixed(SortKey::Loss, "Loss", 6, true, 2, any(|r| r.loss.is_some()));
        fixed(SortKey::Norm, "‖ΔW‖", 6, true, 3, rows.comparing || any(|r| r.norm.is_some()));
        fixed(SortKey::Age, "Age", 4, true, 6, any(|r| r.created.is_some()));
        fixed(SortKey::Parameters, "Params", 7, true, 7, any(|r| r.parameters > 0));
        fixed(SortKey::Dtype, "Dtype", 6, false, 9, any(|r| !r.dtype.is_empty()));
        let targets = longest(|r| &r.targets);
        if targets > 0 {
            let wanted = targets.clamp(8, 24);
            let (key, title) = (SortKey::Targets, "Targets");
            columns.push(Column { key, title, right: false, least: 8, wanted, expendable: 8 });
        }
        Self(columns)
    }

    /// The next key of `s`, among the columns that exist; then by status and, under a filter, by match.
    pub fn next_sort(&self, sort: SortKey, filtered: bool) -> SortKey {
        let by_match = filtered.then_some(SortKey::Match);
        let keys: Vec<SortKey> =
            self.0.iter().map(|column| column.key).chain([SortKey::Status]).chain(by_match).collect();
        let next = keys.iter().position(|&key| key == sort).map_or(0, |at| (at + 1) % keys.len());
        keys.get(next).copied().unwrap_or_default()
    }

    /// Columns and their widths in `room` cells: the least needed go until the rest fits, then what is
    /// left over goes to the first that want more.
    fn fit(&self, room: usize) -> Vec<(Column, usize)> {
        let mut columns = self.0.clone();
        let needed = |columns: &[Column]| GLYPH + columns.iter().map(|c| c.least + GAP).sum::<usize>();
        while columns.len() > 1 && needed(&columns) > room + GAP {
            let Some(last) = (0..columns.len()).max_by_key(|&i| columns[i].expendable) else { break };
            columns.remove(last);
        }
        let mut left = (room + GAP).saturating_sub(needed(&columns));
        let name_only = columns.len() == 1;
        columns
            .into_iter()
            .map(|column| {
                let more = (column.wanted - column.least).min(left);
                left -= more;
                let least =
                    if name_only { column.least.min(room.saturating_sub(GLYPH)) } else { column.least };
                (column, least + more)
            })
            .collect()
    }
}

/// Draws the header and the visible rows into `area`.
pub struct TableView<'a> {
    pub rows: &'a Rows,
    pub columns: &'a Columns,
    pub list: &'a List,
    pub focused: bool,
    /// Seconds since the epoch.
    pub now: f64,
    pub theme: &'a Theme,
}

impl TableView<'_> {
    pub fn draw(&self, frame: &mut Frame, area: Rect) {
        if area.is_empty() {
            return;
        }
        let body = below(area, 1);
        let window = self.list.window(self.rows.len(), usize::from(body.height));
        let body = list_edge(frame, body, window.clone(), self.rows.len(), self.theme);
        let columns = self.columns.fit(usize::from(body.width));
        let header = self.header(&columns);
        frame.buffer_mut().set_line(area.x, area.y, &header, area.width);
        for (line, position) in window.enumerate() {
            let Some(row) = self.rows.get(position) else { continue };
            let place = Rect { y: body.y + line as u16, height: 1, ..body };
            let selected = position == self.list.cursor();
            let shown = self.row(row, &columns, usize::from(body.width));
            let buffer = frame.buffer_mut();
            buffer.set_line(place.x, place.y, &shown, place.width);
            if selected {
                let theme = self.theme;
                let style = if self.focused { theme.selection() } else { theme.selection_unfocused() };
                buffer.set_style(place, style);
                if row.status == Status::Bad && theme.has_gradient() {
                    // The red of a bad row stays visible on the selection.
                    buffer
                        .set_style(Rect { width: GLYPH as u16, ..place }.intersection(place), theme.error());
                }
            }
        }
    }

    fn header(&self, columns: &[(Column, usize)]) -> Line<'static> {
        let mark = |key| match (self.rows.sort == key, self.rows.descending) {
            (true, false) => "▲",
            (true, true) => "▼",
            (false, _) => "",
        };
        let status = mark(SortKey::Status);
        let mut spans = vec![Span::styled(text_width::left(status, GLYPH), self.theme.header())];
        for (column, cells) in columns {
            let title = format!("{}{}", column.title, mark(column.key));
            let title = if column.right {
                text_width::right(&title, *cells)
            } else {
                text_width::left(&title, *cells)
            };
            spans.push(Span::styled(title, self.theme.header()));
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        Line::from(spans)
    }

    fn row(&self, row: &Row, columns: &[(Column, usize)], room: usize) -> Line<'static> {
        let theme = self.theme;
        let (glyph, style) = status_glyph(row.status, theme);
        let mut spans = vec![Span::styled(text_width::left(glyph, GLYPH), style)];
        if row.status == Status::Bad {
            // The reason matters more than whatever else was read: it takes the row's other columns.
            let name = columns.first().map_or(0, |(_, cells)| *cells);
            spans.push(Span::styled(text_width::left(&row.shown, name), style));
            let rest = room.saturating_sub(GLYPH + name + GAP);
            if rest > 0 {
                spans.push(Span::raw(" ".repeat(GAP)));
                spans.push(Span::styled(
                    text_width::truncate(&row.reason, rest),
                    style.remove_modifier(Modifier::BOLD),
                ));
            }
            return Line::from(spans);
        }
        for (column, cells) in columns {
            let (text, style) = self.cell(row, column.key);
            let text =
                if column.right { text_width::right(&text, *cells) } else { text_width::left(&text, *cells) };
            spans.push(Span::styled(text, style));
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        Line::from(spans)
    }

    fn cell(&self, row: &Row, key: SortKey) -> (String, Style) {
        let theme = self.theme;
        let (text, dim) = (theme.text(), theme.dim());
        let cluster = self.rows.cluster(&row.name);
        match key {
            SortKey::Name => (row.shown.clone(), text),
            SortKey::Task => (row.task.clone(), text),
            SortKey::Family => (row.family.clone(), dim),
            SortKey::Cluster => match cluster {
                Some(c) if theme.has_color() => (format!("●{}", cluster_mark::mark(c)), theme.category(c)),
                Some(c) => (cluster_mark::mark(c), text),
                None if self.rows.comparing => ("…".into(), dim),
                None => ("–".into(), dim),
            },
            SortKey::Rank => match row.rank {
                Some((low, high)) if low != high => (format!("{low}–{high}"), text),
                Some((rank, _)) => (rank.to_string(), text),
                None => ("–".into(), dim),
            },
            SortKey::Targets => (row.targets.clone(), dim),
            SortKey::Dtype => (row.dtype.clone(), dim),
            SortKey::Parameters => (format::count(row.parameters), dim),
            SortKey::Loss => match row.loss {
                Some(loss) => (loss_text(loss), text),
                None => ("–".into(), dim),
            },
            SortKey::Norm => match row.norm {
                Some(norm) => (brief(norm), text),
                None if self.rows.comparing => ("…".into(), dim),
                None => ("–".into(), dim),
            },
            SortKey::Age => (row.created.map_or("–".into(), |at| age(self.now - at)), dim),
            SortKey::Status | SortKey::Match => (String::new(), text),
        }
    }
}

/// How a status shows, with and without colour.
pub fn status_glyph(status: Status, theme: &Theme) -> (&'static str, Style) {
    match status {
        Status::Ok => ("✓", theme.ok()),
        Status::Partial => ("!", theme.warning()),
        Status::Bad => ("✗", theme.error()),
    }
}

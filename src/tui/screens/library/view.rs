//! Drawing of the Library tab: the table, and the details beside it, below it or instead of it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Padding, Paragraph, Wrap};

use super::LibraryScreen;
use super::details::{Details, Known};
use super::rows::SortKey;
use super::table::TableView;
use crate::tui::format::spinner;
use crate::tui::text_width;
use crate::tui::{Shared, Theme};

/// Columns that the table keeps beside details that are read.
const TABLE: u16 = 40;

/// Where the details go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Beside,
    Below,
    /// No room for both: the details replace the table while they have the focus.
    Instead,
}

impl Place {
    fn of(area: Rect) -> Self {
        match (area.width, area.height) {
            (100.., 8..) => Self::Beside,
            (30.., 18..) => Self::Below,
            _ => Self::Instead,
        }
    }
}

impl LibraryScreen {
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        if shared.library.is_none() || self.rows.total() == 0 {
            self.draw_empty(frame, area, shared, theme);
            return;
        }
        match Place::of(area) {
            Place::Beside => {
                let beside = (area.width * 2 / 5).clamp(44, 72);
                // While they are read they are a card, and the table is there to know where one is.
                let details =
                    if self.reading { beside.max(area.width.saturating_sub(TABLE)) } else { beside };
                let [left, right] =
                    Layout::horizontal([Constraint::Min(0), Constraint::Length(details)]).areas(area);
                let left = Rect { width: left.width.saturating_sub(1), ..left };
                self.draw_table(frame, left, shared, theme);
                self.draw_details(frame, right, Borders::LEFT, shared, theme);
            }
            Place::Below => {
                let rows = self.rows.len().min(1000) as u16 + 1;
                let table = (area.height * 3 / 5).min(rows.max(5));
                let [top, bottom] =
                    Layout::vertical([Constraint::Length(table), Constraint::Min(0)]).areas(area);
                self.draw_table(frame, top, shared, theme);
                self.draw_details(frame, bottom, Borders::TOP, shared, theme);
            }
            Place::Instead if self.reading => {
                self.draw_details(frame, area, Borders::NONE, shared, theme);
            }
            Place::Instead => self.draw_table(frame, area, shared, theme),
        }
    }

    fn draw_empty(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let root = text_width::truncate_start(&shared.root.display().to_string(), 60);
        let lines = match (&shared.library, &shared.library_error) {
            (None, Some(error)) => vec![
                Line::from(vec![
                    Span::styled("✗ ", theme.error()),
                    Span::styled(crate::text::printable(error).into_owned(), theme.error()),
                ]),
                Line::default(),
                Line::styled("r tries again · q quits", theme.dim()),
                Line::styled("Another library: lora-tui DIRECTORY", theme.dim()),
            ],
            (None, None) => {
                vec![Line::styled(format!("{} reading {root} …", spinner(shared.tick)), theme.dim())]
            }
            (Some(_), _) => vec![
                Line::styled(format!("No experts in {root} yet."), theme.text()),
                Line::default(),
                Line::from(vec![
                    Span::styled("t", theme.key()),
                    Span::styled(" trains one from a task file;", theme.text()),
                ]),
                Line::styled("or copy PEFT adapter folders here:", theme.text()),
                Line::styled("adapter_config.json + adapter_model.safetensors", theme.dim()),
                Line::styled("They show up by themselves.", theme.dim()),
            ],
        };
        let place = area
            .inner(ratatui::layout::Margin::new(u16::from(area.width > 20) * 2, u16::from(area.height > 6)));
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), place);
    }

    fn draw_table(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let filter = u16::from(self.filtering || self.rows.is_filtered());
        let [line, rest] = Layout::vertical([Constraint::Length(filter), Constraint::Min(0)]).areas(area);
        if !line.is_empty() {
            // What was typed keeps half of the line.
            let mut facts = format!(" {} of {}", self.rows.len(), self.rows.total());
            let by_match =
                (self.rows.sort == SortKey::Match && self.rows.is_filtered()).then_some("by match");
            for fact in by_match.into_iter().chain(["Esc ends"]) {
                if 2 * (text_width::width(&facts) + text_width::width(fact) + 3) <= usize::from(line.width) {
                    facts += &format!(" · {fact}");
                }
            }
            let room = usize::from(line.width).saturating_sub(2 + text_width::width(&facts));
            let mut shown = self.filter.line(room, self.filtering, theme);
            shown.spans.insert(0, Span::styled("/ ", theme.key()));
            shown.spans.push(Span::styled(facts, theme.dim()));
            frame.buffer_mut().set_line(line.x, line.y, &shown, line.width);
        }
        let focused = !self.reading;
        TableView {
            rows: &self.rows,
            columns: &self.columns,
            list: &self.list,
            focused,
            now: shared.now,
            theme,
        }
        .draw(frame, rest);
        if self.rows.len() == 0 && rest.height > 1 {
            let none = Line::styled("  nothing matches; Esc ends the filter", theme.dim());
            frame.buffer_mut().set_line(rest.x, rest.y + 1, &none, rest.width);
        }
    }

    fn draw_details(&self, frame: &mut Frame, area: Rect, borders: Borders, shared: &Shared, theme: &Theme) {
        let style = if self.reading { theme.border_focused() } else { theme.border() };
        let padding = if borders == Borders::LEFT { Padding::left(1) } else { Padding::ZERO };
        let block = Block::new().borders(borders).border_style(style).padding(padding);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let expert = self.selected().and_then(|row| {
            let experts = &shared.library.as_ref()?.experts;
            experts.iter().find(|expert| expert.name == row.name).map(|expert| (row, expert))
        });
        let (Some((row, expert)), false) = (expert, inner.is_empty()) else {
            self.scroll_end.set(0);
            return;
        };
        let profile = match self.profiles.get(&row.name) {
            None => Known::Waiting,
            Some(Err(error)) => Known::Failed(error),
            Some(Ok(profile)) => Known::Profile(profile),
        };
        let details = Details {
            row,
            expert,
            cluster: self.rows.cluster(&row.name),
            profile,
            similarity: shared.similarity.as_deref(),
            comparing: self.rows.comparing,
            tick: shared.tick,
            theme,
        };
        let lines = details.lines(usize::from(inner.width));
        let height = usize::from(inner.height);
        let end = lines.len().saturating_sub(height);
        self.scroll_end.set(end);
        let first = self.scroll.min(end);
        for (line, y) in lines[first..].iter().zip(inner.top()..inner.bottom()) {
            frame.buffer_mut().set_line(inner.x, y, line, inner.width);
        }
        if first < end && area.height > 2 {
            let more = Rect { x: area.right() - 1, y: area.bottom() - 1, width: 1, height: 1 };
            frame.render_widget(Span::styled("↓", theme.dim()), more);
        }
    }
}

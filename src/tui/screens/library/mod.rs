//! The Library tab: a table of experts and the details of the selected one.

mod details;
mod keys;
mod rows;
mod table;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Padding, Paragraph, Wrap};

use self::details::{Details, Known};
use self::rows::Rows;
use self::table::{Columns, TableView};
use crate::analysis::ExpertProfile;
use crate::tui::format::spinner;
use crate::tui::text_width;
use crate::tui::{
    AppEffect, ComputeEffect, Effect, KeyHint, List, Message, Screen, Shared, Tab, TextField, Theme,
    screen::TabSpec,
};

/// Profiles kept; more are forgotten together, for they are quick to compute again.
const PROFILES: usize = 256;

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

/// The Library tab.
pub const TAB: Tab = Tab("Library");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(LibraryScreen::new()) };

/// State of the Library tab.
#[derive(Debug, Default)]
pub struct LibraryScreen {
    rows: Rows,
    columns: Columns,
    list: List,
    filter: TextField,
    filtering: bool,
    /// The details have the focus.
    reading: bool,
    scroll: usize,
    /// Furthest useful scroll, known once drawn.
    scroll_end: Cell<usize>,
    profiles: HashMap<String, Result<Arc<ExpertProfile>, String>>,
}

impl LibraryScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    fn has_experts(&self) -> bool {
        self.rows.total() > 0
    }

    fn selected(&self) -> Option<&rows::Row> {
        self.rows.get(self.list.cursor())
    }

    /// Moves the cursor back to the expert that is selected everywhere; else stays as near as it can.
    fn follow(&mut self, shared: &Shared) {
        let row = shared.selected.as_deref().and_then(|name| self.rows.position(name));
        self.list.select(row.unwrap_or(self.list.cursor()), self.rows.len());
    }

    /// Tells the others what is selected now and asks for its profile.
    fn announce(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(row) = self.selected() else { return Vec::new() };
        let (name, readable) = (row.name.clone(), row.readable);
        let mut effects = Vec::new();
        if shared.selected.as_deref() != Some(&name) {
            self.scroll = 0;
            effects.push(Effect::App(AppEffect::Select { expert: name.clone() }));
        }
        if readable && !self.profiles.contains_key(&name) {
            effects.push(Effect::Compute(ComputeEffect::Profile { expert: name }));
        }
        effects
    }

    fn set_filter(&mut self, shared: &Shared) -> Vec<Effect> {
        self.rows.set_filter(&self.filter.text());
        if self.filter.is_empty() {
            self.follow(shared);
        } else {
            self.list.select(0, self.rows.len());
        }
        self.announce(shared)
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
        let filter = u16::from(self.filtering || !self.rows.filter().is_empty());
        let [line, rest] = Layout::vertical([Constraint::Length(filter), Constraint::Min(0)]).areas(area);
        if !line.is_empty() {
            let count = format!(" {} of {}", self.rows.len(), self.rows.total());
            let room = usize::from(line.width).saturating_sub(2 + text_width::width(&count));
            let mut shown = self.filter.line(room, self.filtering, theme);
            shown.spans.insert(0, Span::styled("/ ", theme.key()));
            shown.spans.push(Span::styled(count, theme.dim()));
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
            let none = Line::styled("  nothing matches; Esc clears the filter", theme.dim());
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

impl Screen for LibraryScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn captures_text(&self) -> bool {
        self.filtering
    }

    fn position(&self, _shared: &Shared) -> Option<(String, &'static str)> {
        let (here, all) = (self.list.cursor() + 1, self.rows.len());
        match (all, self.rows.filter().is_empty()) {
            (0, _) => None,
            (1, true) => Some(("1".into(), "expert")),
            (_, true) => Some((format!("{here} of {all}"), "experts")),
            (_, false) => Some((format!("{here} of {all}"), "found")),
        }
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.follow(shared);
        self.announce(shared)
    }

    fn on_paste(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        if !self.filtering {
            return Vec::new();
        }
        self.filter.insert(text);
        self.set_filter(shared)
    }

    fn is_animating(&self, _shared: &Shared) -> bool {
        self.selected().is_some_and(|row| row.readable && !self.profiles.contains_key(&row.name))
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        match message {
            Message::Library(Ok(library)) => {
                self.profiles.clear();
                self.rows.set_library(library);
                self.columns = Columns::measure(&self.rows);
                self.follow(shared);
                self.announce(shared)
            }
            Message::Clustering { result: Ok((_, clustering)), .. } => {
                let labels = clustering.labels.iter().copied();
                self.rows.set_clusters(clustering.experts.iter().cloned().zip(labels).collect());
                self.columns = Columns::measure(&self.rows);
                self.follow(shared);
                Vec::new()
            }
            Message::Profile { expert, result } => {
                if self.profiles.len() >= PROFILES {
                    self.profiles.clear();
                }
                self.profiles.insert(expert.clone(), result.clone());
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        if shared.library.is_none() || self.rows.total() == 0 {
            self.draw_empty(frame, area, shared, theme);
            return;
        }
        match Place::of(area) {
            Place::Beside => {
                let details = (area.width * 2 / 5).clamp(44, 72);
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
}

#[cfg(test)]
mod tests;

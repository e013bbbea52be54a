//! Drawing of the Jobs tab: the list, the details of a job, the question whether to cancel it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Padding, Paragraph, Wrap};

use super::JobsScreen;
use super::columns::Columns;
use super::details::DetailsView;
use super::group_details::draw_group;
use super::groups::Row;
use super::marks::state_glyph;
use super::state::Asked;
use crate::jobs::JobState;
use crate::tui::format::spinner;
use crate::tui::text_width;
use crate::tui::widgets::{below, list_edge};
use crate::tui::{Shared, Theme};

impl JobsScreen {
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        if shared.jobs.is_empty() {
            self.draw_empty(frame, area, shared, theme);
            return;
        }
        let style = if self.reading { theme.border_focused() } else { theme.border() };
        let view =
            DetailsView { job: self.job(shared), detail: self.detail(), scroll: &self.scroll, shared, theme };
        let draw_details = |frame: &mut Frame, area: Rect| match self.group() {
            Some(group) => draw_group(frame, area, group, &self.scroll, shared, theme),
            None => view.draw(frame, area),
        };
        let list = match (area.width, area.height) {
            (100.., 8..) => {
                let list = (area.width * 9 / 20).clamp(44, 76);
                let [left, right] =
                    Layout::horizontal([Constraint::Length(list), Constraint::Min(0)]).areas(area);
                let list = Rect { width: left.width - 1, ..left };
                self.draw_list(frame, list, shared, theme);
                let block = Block::new().borders(Borders::LEFT).border_style(style).padding(Padding::left(1));
                let inner = block.inner(right);
                frame.render_widget(block, right);
                draw_details(frame, inner);
                list
            }
            (30.., 14..) => {
                let rows = self.rows.rows.len().min(1000) as u16 + 1;
                let list = (area.height / 3).min(rows.max(4));
                let [top, bottom] =
                    Layout::vertical([Constraint::Length(list), Constraint::Min(0)]).areas(area);
                self.draw_list(frame, top, shared, theme);
                let block = Block::new().borders(Borders::TOP).border_style(style);
                let inner = block.inner(bottom);
                frame.render_widget(block, bottom);
                draw_details(frame, inner);
                top
            }
            _ if self.reading => {
                draw_details(frame, area);
                area
            }
            _ => {
                self.draw_list(frame, area, shared, theme);
                area
            }
        };
        self.draw_question(frame, area, list, shared, theme);
    }

    fn draw_empty(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let lines = if self.listed {
            vec![
                Line::styled("No jobs yet.", theme.text()),
                Line::default(),
                Line::from(vec![
                    Span::styled("t", theme.key()),
                    Span::raw(" trains an expert, "),
                    Span::styled("c", theme.key()),
                    Span::raw(" clusters the library, "),
                    Span::styled("s", theme.key()),
                    Span::raw(" lists all kinds of jobs."),
                ]),
                Line::styled(
                    "Jobs are processes of their own: they keep running when you quit.",
                    theme.dim(),
                ),
            ]
        } else if shared.library_error.is_some() {
            vec![Line::styled("The library could not be read; see the Library tab.", theme.dim())]
        } else {
            vec![Line::styled(format!("{} looking for jobs …", spinner(shared.tick)), theme.dim())]
        };
        let margin = Margin::new(u16::from(area.width > 20) * 2, u16::from(area.height > 6));
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area.inner(margin));
    }

    fn draw_list(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let body = below(area, 1);
        let count = self.rows.rows.len();
        let window = self.list.window(count, usize::from(body.height));
        let body = list_edge(frame, body, window.clone(), count, theme);
        let columns = Columns::new(self.rows.widths, usize::from(body.width));
        frame.buffer_mut().set_line(area.x, area.y, &columns.header(theme), area.width);
        for (line, position) in window.enumerate() {
            let place = Rect { y: body.y + line as u16, height: 1, ..body };
            let (row, state) = match self.rows.rows.get(position) {
                Some(Row::Job { at, inside }) => {
                    let Some(job) = shared.jobs.get(*at) else { continue };
                    let detail = self.detail().filter(|detail| detail.summary.id == job.id);
                    (columns.job(job, *inside, detail, shared, theme), job.state)
                }
                Some(Row::Group(number)) => {
                    let Some(group) = self.rows.groups.get(*number) else { continue };
                    (columns.group(group, self.rows.is_open(group), shared, theme), group.state())
                }
                None => continue,
            };
            let buffer = frame.buffer_mut();
            buffer.set_line(place.x, place.y, &row, place.width);
            if position == self.list.cursor() && self.awaited.is_none() {
                let focused = !self.reading;
                buffer
                    .set_style(place, if focused { theme.selection() } else { theme.selection_unfocused() });
                if theme.has_gradient() {
                    let glyph = Rect { width: 1, ..place }.intersection(place);
                    buffer.set_style(glyph, state_glyph(state, shared.tick, theme).1);
                }
            }
        }
    }

    /// The question of `x`, right below its row in `list`, or above it where there is no room below.
    fn draw_question(&self, frame: &mut Frame, area: Rect, list: Rect, shared: &Shared, theme: &Theme) {
        let Some((position, question)) = self.question(shared) else { return };
        let window = self.list.window(self.rows.rows.len(), usize::from(list.height.saturating_sub(1)));
        let line = position.clamp(window.start, window.end.max(window.start + 1) - 1) - window.start;
        let row = list.y + 1 + line as u16;
        let cells = usize::from(area.width.saturating_sub(4)).min(56);
        let mut lines: Vec<Line> = text_width::wrap(&question, cells)
            .into_iter()
            .map(|line| Line::styled(line, theme.text()))
            .collect();
        lines.push(Line::from(vec![
            Span::styled("y", theme.key()),
            Span::styled(" cancel it  ", theme.dim()),
            Span::styled("n", theme.key()),
            Span::styled(" let it run", theme.dim()),
        ]));
        let height = (lines.len() as u16 + 2).min(area.height);
        let y = if row + 1 + height <= area.bottom() { row + 1 } else { row.saturating_sub(height) };
        let y = y.clamp(area.y, area.bottom() - height);
        let x = list.x + u16::from(area.width > cells as u16 + 6) * 2;
        let popup = Rect { x, y, width: cells as u16 + 4, height }.intersection(area);
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(theme.warning())
            .padding(Padding::horizontal(1));
        frame.render_widget(Clear, popup);
        frame.render_widget(Paragraph::new(lines).block(block), popup);
    }

    /// The row that a question is about, and its words.
    fn question(&self, shared: &Shared) -> Option<(usize, String)> {
        match self.confirming.as_ref()? {
            Asked::Job(id) => {
                let of = |row: &Row| matches!(row, Row::Job { at, .. } if shared.jobs.get(*at).is_some_and(|job| job.id == *id));
                let position = self.rows.rows.iter().position(of)?;
                let job = shared.jobs.get(self.rows.job(position)?)?;
                let then = match job.keeps_its_work() {
                    true => "What it has done is saved: r resumes from there.",
                    false => "Its progress is lost: r starts it again.",
                };
                Some((position, format!("Cancel {} {}? {then}", job.kind_name(), job.name)))
            }
            Asked::Group(id) => {
                let position = self.rows.find_group(id)?;
                let group = self.rows.group(position)?;
                let under_way = [JobState::Queued, JobState::Running, JobState::Cancelling];
                let count: usize = under_way.iter().map(|state| group.count(*state)).sum();
                Some((position, format!("Cancel all {count} of {} that are not over?", group.name)))
            }
        }
    }
}

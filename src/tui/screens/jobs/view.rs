//! Drawing of the Jobs tab: the list, the details of a job, the question whether to cancel it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Padding, Paragraph, Wrap};

use super::JobsScreen;
use super::columns::Columns;
use super::details::DetailsView;
use super::group_details::{draw_group, group_lines};
use super::groups::Row;
use super::headline::{Headline, headline};
use super::machine_pane;
use super::marks::state_glyph;
use super::plot::PlotView;
use super::state::Of;
use crate::tui::cancelling::Wish;
use crate::tui::format::spinner;
use crate::tui::text_width;
use crate::tui::widgets::{below, list_edge, row};
use crate::tui::{Shared, Theme, cancelling};

impl JobsScreen {
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        if shared.jobs.is_empty() {
            self.draw_empty(frame, area, shared, theme);
            return;
        }
        let plot = self.plot_view(shared);
        if self.plot.large {
            plot.draw(frame, area, theme);
            return;
        }
        let (line, area) =
            if area.height >= 12 { (row(area, 0), below(area, 1)) } else { (Rect::default(), area) };
        self.draw_headline(frame, line, shared, theme);
        let list = self.draw_panes(frame, area, &plot, shared, theme);
        if self.filtering || self.rows.is_filtered() {
            self.draw_filter(frame, if line.is_empty() { row(area, 0) } else { line }, shared, theme);
        }
        self.draw_question(frame, area, list, shared, theme);
    }

    /// Draws list and details; gives where the list is.
    fn draw_panes(
        &self,
        frame: &mut Frame,
        area: Rect,
        plot: &PlotView,
        shared: &Shared,
        theme: &Theme,
    ) -> Rect {
        let style = if self.reading { theme.border_focused() } else { theme.border() };
        let scroll = &self.scroll;
        let view = DetailsView { job: self.job(shared), detail: self.detail(), scroll, plot, shared, theme };
        let rows = self.rows.rows.len().min(1000) as u16 + 1;
        let block = Block::new().borders(Borders::TOP).border_style(style);
        match (area.width, area.height) {
            (110.., 22..) => {
                let list = (area.height * 2 / 5).min(rows.max(6));
                let [top, bottom] =
                    Layout::vertical([Constraint::Length(list), Constraint::Min(0)]).areas(area);
                self.draw_list(frame, top, shared, theme);
                let inner = block.inner(bottom);
                frame.render_widget(block, bottom);
                let side = (area.width * 7 / 20).clamp(40, 64);
                let [left, right] =
                    Layout::horizontal([Constraint::Min(0), Constraint::Length(side)]).areas(inner);
                let left = Rect { width: left.width - 1, ..left };
                let edge = Block::new().borders(Borders::LEFT).border_style(style).padding(Padding::left(1));
                let inside = edge.inner(right);
                frame.render_widget(edge, right);
                match self.group() {
                    Some(group) => {
                        let lines = group_lines(group, usize::from(inside.width), shared, theme);
                        draw_group(frame, inside, &lines, scroll);
                        plot.draw(frame, left, theme);
                        self.draw_machine(frame, below(inside, lines.len() as u16 + 1), theme);
                    }
                    None => {
                        let rest = view.draw_wide(frame, left, inside);
                        self.draw_machine(frame, rest, theme);
                    }
                }
                top
            }
            (30.., 14..) => {
                let list = (area.height / 3).min(rows.max(4));
                let [top, bottom] =
                    Layout::vertical([Constraint::Length(list), Constraint::Min(0)]).areas(area);
                self.draw_list(frame, top, shared, theme);
                let inner = block.inner(bottom);
                frame.render_widget(block, bottom);
                self.draw_details(frame, inner, &view);
                top
            }
            _ if self.reading => {
                self.draw_details(frame, area, &view);
                area
            }
            _ => {
                self.draw_list(frame, area, shared, theme);
                area
            }
        }
    }

    /// The selected job or group below the list.
    fn draw_details(&self, frame: &mut Frame, area: Rect, view: &DetailsView) {
        let Some(group) = self.group() else { return view.draw(frame, area) };
        let lines = group_lines(group, usize::from(area.width), view.shared, view.theme);
        let plot = if view.plot.is_empty() || area.height < 16 { 0 } else { area.height / 2 };
        let [top, bottom] = Layout::vertical([Constraint::Min(0), Constraint::Length(plot)]).areas(area);
        draw_group(frame, top, &lines, &self.scroll);
        if plot > 0 {
            view.plot.draw(frame, bottom, view.theme);
        }
    }

    /// The machine at the bottom of what is left, if it fits.
    fn draw_machine(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let Some(machine) = &self.machine else { return };
        let lines = machine_pane::lines(machine, usize::from(area.width), theme);
        let rows = lines.len() as u16;
        if rows > area.height {
            return;
        }
        let from = area.bottom() - rows;
        for (line, y) in lines.iter().zip(from..) {
            frame.buffer_mut().set_line(area.x, y, line, area.width);
        }
    }

    fn draw_headline(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let Headline { calm, failed } = headline(shared);
        let room = usize::from(area.width).saturating_sub(2);
        let mut line = vec![Span::styled(text_width::truncate(&calm, room), theme.text())];
        if let Some(failed) = failed {
            let left = room.saturating_sub(text_width::width(&calm) + 1);
            line.push(Span::styled(format!(" {}", text_width::truncate(&failed, left)), theme.error()));
        }
        frame.buffer_mut().set_line(area.x, area.y, &Line::from(line), area.width);
    }

    /// What is typed to find jobs, and what it finds.
    fn draw_filter(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let mut line = vec![Span::styled("/ ", theme.accent())];
        if self.filtering {
            line.extend(self.filter.line(usize::from(area.width / 2), true, theme).spans);
        } else {
            line.push(Span::styled(
                text_width::truncate(&self.filter.text(), usize::from(area.width / 2)),
                theme.text(),
            ));
        }
        let found = format!("  {} of {} · Esc shows all", self.rows.found, shared.jobs.len());
        line.push(Span::styled(found, theme.dim()));
        frame.render_widget(Clear, area);
        frame.buffer_mut().set_line(area.x, area.y, &Line::from(line), area.width);
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
        let columns = Columns::new(&self.rows.needs, usize::from(body.width));
        let mut header = columns.header(theme);
        let order = format!("  {}", self.rows.order().name);
        // The usual order need not be said.
        if self.rows.order > 0 && header.width() + text_width::width(&order) <= usize::from(area.width) {
            header.push_span(Span::styled(order, theme.dim()));
        }
        frame.buffer_mut().set_line(area.x, area.y, &header, area.width);
        for (line, position) in window.enumerate() {
            let place = Rect { y: body.y + line as u16, height: 1, ..body };
            let (row, state) = match self.rows.rows.get(position) {
                Some(Row::Job { at, inside }) => {
                    let Some(job) = shared.jobs.get(*at) else { continue };
                    (columns.job(job, *inside, self.is_marked(job), shared, theme), job.state)
                }
                Some(Row::Group(number)) => {
                    let Some(group) = self.rows.groups.get(*number) else { continue };
                    let marked = group
                        .jobs
                        .iter()
                        .all(|at| shared.jobs.get(*at).is_some_and(|job| self.is_marked(job)));
                    let open = self.rows.is_open(group);
                    (columns.group(group, open, marked, shared, theme), group.state())
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
        let Some(wish) = self.confirming.as_ref().map(|asked| asked.wish) else { return };
        cancelling::draw(frame, area, (wish, &question), theme, |width, height| {
            let height = height.min(area.height);
            let y = if row + 1 + height <= area.bottom() { row + 1 } else { row.saturating_sub(height) };
            let y = y.clamp(area.y, area.bottom() - height);
            let x = list.x + u16::from(area.width > width + 2) * 2;
            Rect { x, y, width, height }.intersection(area)
        });
    }

    /// The row that a question is about, and its words.
    fn question(&self, shared: &Shared) -> Option<(usize, String)> {
        let asked = self.confirming.as_ref()?;
        match &asked.of {
            Of::Job(id) => {
                let of = |row: &Row| matches!(row, Row::Job { at, .. } if shared.jobs.get(*at).is_some_and(|job| job.id == *id));
                let position = self.rows.rows.iter().position(of)?;
                let job = shared.jobs.get(self.rows.job(position)?)?;
                let (verb, then) = match (asked.wish, job.keeps_its_work()) {
                    (Wish::Remove, _) => ("Remove", "What it wrote elsewhere stays."),
                    (Wish::Cancel, true) => ("Cancel", "What it has done is saved: r resumes from there."),
                    (Wish::Cancel, false) => ("Cancel", "Its progress is lost: r starts it again."),
                };
                Some((position, format!("{verb} {} {}? {then}", job.kind_name(), job.name)))
            }
            Of::Group(id) => {
                let position = self.rows.find_group(id)?;
                let group = self.rows.group(position)?;
                let count = self.asked_about(asked, &shared.jobs).len();
                let (verb, which) = match asked.wish {
                    Wish::Cancel => ("Cancel", "have not ended"),
                    Wish::Remove => ("Remove", "have ended"),
                };
                Some((position, format!("{verb} all {count} of {} that {which}?", group.name)))
            }
        }
    }
}

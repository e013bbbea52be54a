//! The Jobs tab: what runs in the background, how far it is, its curves and its log.

mod columns;
mod curve;
mod details;
mod keys;
mod outcome;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Padding, Paragraph, Wrap};

use self::columns::Columns;
use crate::jobs::{JobDetail, JobState, JobSummary};
use crate::tui::format::spinner;
use crate::tui::text_width;
use crate::tui::{Effect, JobsEffect, KeyHint, List, Message, Screen, Shared, Tab, Theme, screen::TabSpec};

/// The Jobs tab.
pub const TAB: Tab = Tab("Jobs");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(JobsScreen::new()) };

/// State of the Jobs tab.
#[derive(Debug, Default)]
pub struct JobsScreen {
    list: List,
    /// The job under the cursor, so that new jobs do not move it.
    selected: Option<String>,
    detail: Option<Arc<JobDetail>>,
    /// Jobs were listed at least once.
    listed: bool,
    /// The job that `x` asked about.
    confirming: Option<String>,
    /// The details have the focus.
    reading: bool,
    /// Lines scrolled back from the end of the log.
    back: usize,
    /// Furthest useful scroll, known once drawn.
    back_end: Cell<usize>,
}

impl JobsScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    fn job<'a>(&self, shared: &'a Shared) -> Option<&'a JobSummary> {
        shared.jobs.get(self.list.cursor())
    }

    /// The details of the job under the cursor, once they are here.
    fn detail(&self) -> Option<&JobDetail> {
        self.detail.as_deref().filter(|detail| Some(&detail.summary.id) == self.selected.as_ref())
    }

    /// Follows the job under the cursor.
    fn follow_cursor(&mut self, shared: &Shared) -> Vec<Effect> {
        let id = self.job(shared).map(|job| job.id.clone());
        if id == self.selected {
            return Vec::new();
        }
        self.selected.clone_from(&id);
        self.back = 0;
        vec![Effect::Jobs(JobsEffect::Watch { id })]
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
                    Span::raw(" clusters the library."),
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
        let columns = Columns::new(&shared.jobs, usize::from(area.width));
        frame.buffer_mut().set_line(area.x, area.y, &columns.header(theme), area.width);
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let window = self.list.window(shared.jobs.len(), usize::from(body.height));
        for (line, position) in window.enumerate() {
            let Some(job) = shared.jobs.get(position) else { continue };
            let place = Rect { y: body.y + line as u16, height: 1, ..body };
            let detail = self.detail().filter(|detail| detail.summary.id == job.id);
            let row = columns.row(job, detail, shared, theme);
            let buffer = frame.buffer_mut();
            buffer.set_line(place.x, place.y, &row, place.width);
            if position == self.list.cursor() {
                let focused = !self.reading;
                buffer
                    .set_style(place, if focused { theme.selection() } else { theme.selection_unfocused() });
                if theme.has_color() {
                    let glyph = Rect { width: 1, ..place }.intersection(place);
                    buffer.set_style(glyph, state_glyph(job.state, shared.tick, theme).1);
                }
            }
        }
    }

    /// The question of `x`, right below its row in `list`, or above it where there is no room below.
    fn draw_question(&self, frame: &mut Frame, area: Rect, list: Rect, shared: &Shared, theme: &Theme) {
        let asked = |job: &JobSummary| self.confirming.as_ref() == Some(&job.id);
        let Some((position, job)) = shared.jobs.iter().enumerate().find(|(_, job)| asked(job)) else {
            return;
        };
        let window = self.list.window(shared.jobs.len(), usize::from(list.height.saturating_sub(1)));
        let line = position.clamp(window.start, window.end.max(window.start + 1) - 1) - window.start;
        let row = list.y + 1 + line as u16;
        let cells = usize::from(area.width.saturating_sub(4)).min(56);
        let then = match job.keeps_its_work() {
            true => "What it has done is saved: r resumes from there.",
            false => "Its progress is lost: r starts it again.",
        };
        let question = format!("Cancel {} {}? {then}", job.kind_name(), job.name);
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
}

impl Screen for JobsScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn captures_text(&self) -> bool {
        self.confirming.is_some()
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.follow_cursor(shared)
    }

    fn badge(&self, shared: &Shared) -> Option<String> {
        let live = shared.live_jobs();
        (live > 0).then(|| live.to_string())
    }

    fn watches_jobs(&self) -> bool {
        true
    }

    fn position(&self, shared: &Shared) -> Option<(String, &'static str)> {
        let all = shared.jobs.len();
        match all {
            0 => None,
            1 => Some(("1".into(), "job")),
            _ => Some((format!("{} of {all}", self.list.cursor() + 1), "jobs")),
        }
    }

    fn is_animating(&self, shared: &Shared) -> bool {
        (!self.listed && shared.library_error.is_none()) || shared.jobs.iter().any(|job| !job.state.is_over())
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        match message {
            Message::Jobs(jobs) => {
                self.listed = true;
                let kept = self.selected.as_ref().and_then(|id| jobs.iter().position(|job| job.id == *id));
                self.list.select(kept.unwrap_or(self.list.cursor()), jobs.len());
                if self
                    .confirming
                    .as_ref()
                    .is_some_and(|id| !jobs.iter().any(|j| j.id == *id && can_cancel(j)))
                {
                    self.confirming = None;
                }
                self.follow_cursor(shared)
            }
            Message::JobDetail(detail) => {
                self.detail = Some(detail.clone());
                Vec::new()
            }
            Message::JobStarted(Ok(id)) => {
                // It will be first in the next list.
                self.selected = Some(id.clone());
                self.list.select(0, shared.jobs.len());
                self.reading = false;
                self.back = 0;
                vec![Effect::Jobs(JobsEffect::Watch { id: Some(id.clone()) })]
            }
            _ => Vec::new(),
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        if shared.jobs.is_empty() {
            self.draw_empty(frame, area, shared, theme);
            return;
        }
        let style = if self.reading { theme.border_focused() } else { theme.border() };
        let view = details::DetailsView {
            job: self.job(shared),
            detail: self.detail(),
            back: self.back,
            back_end: &self.back_end,
            shared,
            theme,
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
                view.draw(frame, inner);
                list
            }
            (30.., 14..) => {
                let rows = shared.jobs.len().min(1000) as u16 + 1;
                let list = (area.height / 3).min(rows.max(4));
                let [top, bottom] =
                    Layout::vertical([Constraint::Length(list), Constraint::Min(0)]).areas(area);
                self.draw_list(frame, top, shared, theme);
                let block = Block::new().borders(Borders::TOP).border_style(style);
                let inner = block.inner(bottom);
                frame.render_widget(block, bottom);
                view.draw(frame, inner);
                top
            }
            _ if self.reading => {
                view.draw(frame, area);
                area
            }
            _ => {
                self.draw_list(frame, area, shared, theme);
                area
            }
        };
        self.draw_question(frame, area, list, shared, theme);
    }
}

fn can_cancel(job: &JobSummary) -> bool {
    matches!(job.state, JobState::Queued | JobState::Running)
}

/// How a state shows, with and without colour.
fn state_glyph(state: JobState, tick: u64, theme: &Theme) -> (&'static str, Style) {
    match state {
        JobState::Queued => ("○", theme.dim()),
        JobState::Running => (spinner(tick), theme.accent()),
        JobState::Cancelling => ("◌", theme.warning()),
        JobState::Cancelled => ("⊘", theme.dim()),
        JobState::Failed => ("✗", theme.error()),
        JobState::Finished => ("✓", theme.ok()),
    }
}

/// Seconds since the epoch.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Remaining seconds of a running job: its own word, else from the steps so far.
fn remaining(job: &JobSummary, detail: Option<&JobDetail>, now: f64) -> Option<f64> {
    if job.state != JobState::Running {
        return None;
    }
    if let Some(eta) = detail.and_then(|detail| detail.eta_seconds) {
        return Some(eta);
    }
    let elapsed = now - seconds(job.started?);
    let (done, all) = (job.step as f64, job.steps as f64);
    (done > 0.0 && all >= done && elapsed > 0.0).then(|| elapsed * (all - done) / done)
}

/// Share done, 0..=1; never 1 before it has ended.
fn share(job: &JobSummary) -> Option<f64> {
    if job.state == JobState::Finished {
        return Some(1.0);
    }
    (job.steps > 0).then(|| (job.step as f64 / job.steps as f64).min(0.99))
}

/// A bar of `cells` cells in eighths of a cell.
fn progress_bar(share: f64, cells: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * cells as f64 * 8.0).floor() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(PARTS[eighths % 8]);
    let used = text_width::width(&bar);
    bar.extend(std::iter::repeat_n('░', cells.saturating_sub(used)));
    bar
}

#[cfg(test)]
mod tests;

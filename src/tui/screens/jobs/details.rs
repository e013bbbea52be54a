//! One job: its state and settings, its curves, its result or error, the end of its log.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::marks::{progress_bar, state_glyph};
use super::outcome;
use super::pace::{remaining, share};
use super::plot::PlotView;
use super::state::Scroll;
use crate::jobs::kinds::TRAIN;
use crate::jobs::{JobDetail, JobRow, JobState, JobSummary};
use crate::text::loss_text;
use crate::tui::widgets::below;
use crate::tui::{Shared, Theme, format, text_width};

/// Everything the details are made of.
pub struct DetailsView<'a> {
    pub job: Option<&'a JobSummary>,
    pub detail: Option<&'a JobDetail>,
    pub scroll: &'a Scroll,
    /// Its curves, or those that are laid over each other.
    pub plot: &'a PlotView<'a>,
    pub shared: &'a Shared,
    pub theme: &'a Theme,
}

impl DetailsView<'_> {
    pub fn draw(&self, frame: &mut Frame, area: Rect) {
        let Some(job) = self.job else { return };
        if area.is_empty() {
            return;
        }
        let cells = usize::from(area.width);
        let head = self.head(job, cells);
        let log = self.log(cells);
        // What has no room for a few lines of the log below it is one text with it.
        if head.len() + LOG_ROWS.min(log.len()) > usize::from(area.height) {
            return self.draw_all(frame, area, head, log);
        }
        let has_curve = !self.plot.is_empty();
        let head_rows = (head.len() as u16).min(area.height);
        let left = area.height - head_rows;
        // The curve gets what makes it readable, the log the rest.
        let curve_rows = if has_curve && left >= 6 { (left * 3 / 5).clamp(5, 16) } else { 0 };
        let [top, middle, bottom] = Layout::vertical([
            Constraint::Length(head_rows),
            Constraint::Length(curve_rows),
            Constraint::Min(0),
        ])
        .areas(area);
        put(frame, top, &head);
        if has_curve {
            self.plot.draw(frame, middle, self.theme);
        }
        self.draw_log(frame, bottom, &log);
    }

    /// Draws curves and log at the left, everything else at the right; curves and the rest over each other where
    /// that is too much. Returns what is left below the right part.
    pub fn draw_wide(&self, frame: &mut Frame, left: Rect, right: Rect) -> Rect {
        let Some(job) = self.job else { return right };
        let head = self.head(job, usize::from(right.width));
        let fits = head.len() <= usize::from(right.height);
        if fits {
            put(frame, right, &head);
        }
        let has_curve = !self.plot.is_empty();
        let plot_rows = if has_curve { (left.height * 3 / 5).max(8).min(left.height) } else { 0 };
        let [top, bottom] = Layout::vertical([Constraint::Length(plot_rows), Constraint::Min(0)]).areas(left);
        if has_curve {
            self.plot.draw(frame, top, self.theme);
        }
        let log = self.log(usize::from(bottom.width));
        if fits {
            self.draw_log(frame, bottom, &log);
            return below(right, head.len() as u16);
        }
        self.draw_all(frame, bottom, self.head(job, usize::from(bottom.width)), log);
        right
    }

    fn draw_log(&self, frame: &mut Frame, area: Rect, log: &[Line<'static>]) {
        let [title, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        let rows = usize::from(body.height);
        let last = log.len().saturating_sub(rows);
        let first = self.scroll.first(last, last);
        if log.is_empty() || rows == 0 {
            return;
        }
        let end = (first + rows).min(log.len());
        let mut text = String::from("Log");
        if end < log.len() {
            text.push_str(&format!("  {} more below", log.len() - end));
        }
        put(frame, title, &[Line::styled(text, self.theme.header())]);
        put(frame, body, &log[first..end]);
    }

    /// Everything but the curve as one text, from its beginning.
    fn draw_all(
        &self,
        frame: &mut Frame,
        area: Rect,
        mut lines: Vec<Line<'static>>,
        log: Vec<Line<'static>>,
    ) {
        if !log.is_empty() {
            lines.push(Line::styled("Log", self.theme.header()));
            lines.extend(log);
        }
        let end = lines.len().saturating_sub(usize::from(area.height));
        let first = self.scroll.first(0, end);
        put(frame, area, &lines[first..]);
        if first < end {
            let more = Rect { x: area.right() - 1, y: area.bottom() - 1, width: 1, height: 1 };
            frame.render_widget(Span::styled("↓", self.theme.dim()), more);
        }
    }

    fn head(&self, job: &JobSummary, cells: usize) -> Vec<Line<'static>> {
        let theme = self.theme;
        let (glyph, style) = state_glyph(job.state, self.shared.tick, theme);
        let mut lines = vec![Line::from(vec![
            Span::styled(format!("{glyph} "), style),
            Span::styled(
                text_width::truncate(&format!("{} {}", job.kind_name(), job.name), cells.saturating_sub(2)),
                theme.accent(),
            ),
        ])];
        let wrapped = |lines: &mut Vec<Line<'static>>, text: &str, style| {
            lines.extend(text_width::wrap(text, cells).into_iter().map(|line| Line::styled(line, style)));
        };
        let mut facts = vec![job.state.name().to_string()];
        let stage = self.detail.and_then(|detail| detail.progress.stage.clone());
        if !job.state.is_over() {
            facts.extend(stage);
        }
        facts.extend(job.why_queued());
        facts.extend([&job.place, &job.unseen].into_iter().flatten().cloned());
        let speed = self.detail.and_then(|detail| detail.progress.tokens_per_second);
        if let Some(speed) = speed.filter(|speed| speed.is_finite()) {
            facts.push(format!("{speed:.0} tokens/s"));
        }
        if let Some(left) = remaining(job, self.shared.now) {
            facts.push(format!("{} left", format::duration(left)));
        }
        lines
            .extend(text_width::flow(&facts, cells).into_iter().map(|line| Line::styled(line, theme.text())));
        if let (Some(share), true) =
            (share(job), matches!(job.state, JobState::Running | JobState::Cancelling))
        {
            let count = format!(" {} / {} steps", job.step, job.steps);
            let bar = cells.saturating_sub(text_width::width(&count)).min(48);
            let style = theme.accent().remove_modifier(ratatui::style::Modifier::BOLD);
            lines.push(Line::from(vec![
                Span::styled(progress_bar(share, bar), style),
                Span::styled(text_width::truncate(&count, cells.saturating_sub(bar)), theme.text()),
            ]));
        }
        if let Some(asked) = self.detail.and_then(|detail| detail.job.as_ref()) {
            let facts = text_width::flow(&[asked.facts(), job.share.facts()].concat(), cells);
            lines.extend(facts.into_iter().map(|line| Line::styled(line, theme.dim())));
        }
        if let Some(detail) = self.detail {
            let many = job.kind.map_or(TRAIN.parts, |kind| kind.parts).many;
            lines.extend(parts(&detail.progress.rows, many, job.state.is_over(), cells, theme));
        }
        if let Some(error) = &job.error {
            wrapped(&mut lines, &format!("✗ {error}"), theme.error());
        }
        match self.detail.and_then(|detail| detail.outcome.as_ref()) {
            Some(Ok(report)) => lines.extend(outcome::lines(&report.findings(), cells, theme)),
            Some(Err(error)) => wrapped(&mut lines, &format!("! {error}"), theme.warning()),
            None => {}
        }
        lines.push(Line::default());
        lines
    }

    fn log(&self, cells: usize) -> Vec<Line<'static>> {
        let Some(detail) = self.detail else { return Vec::new() };
        let shown = detail.log.iter().flat_map(|line| text_width::wrap(line, cells));
        shown.map(|line| Line::styled(line, self.theme.dim())).collect()
    }
}

/// Lines of the log that are worth a place of their own.
const LOG_ROWS: usize = 4;

/// Experts of several that are shown at once.
const ROWS: usize = 16;

/// Below so many cells, a line for each of several experts is a short one.
const NARROW: usize = 60;

/// One line an expert of a job that makes several; the first in work and those beside it when there are many.
fn parts(rows: &[JobRow], many: &str, over: bool, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
    let is_done = |row: &JobRow| row.step >= row.steps;
    let done = rows.iter().filter(|row| is_done(row)).count();
    // Several can be in work at once, and some were there before.
    let in_work = |row: &JobRow| !is_done(row) && row.step > 0 && !over;
    let present = rows.iter().position(in_work).or_else(|| rows.iter().position(|row| !is_done(row)));
    let present = present.unwrap_or(rows.len());
    let first = present.saturating_sub(ROWS / 2).min(rows.len().saturating_sub(ROWS));
    let narrow = cells < NARROW;
    let most = if narrow { cells / 3 } else { 24 };
    let names = rows.iter().map(|row| text_width::width(&row.name)).max().unwrap_or(0).min(most);
    let line = |row: &JobRow| {
        let (glyph, style) = match row {
            row if is_done(row) => ("✓", theme.ok()),
            row if in_work(row) => ("▸", theme.accent()),
            _ => ("·", theme.dim()),
        };
        let name = text_width::left(&text_width::truncate_middle(&row.name, names), names);
        let mut text = match narrow {
            true => format!(" {name}  {}/{}", row.step, row.steps),
            false => format!(" {name}  {:>5} / {:<5}", row.step, row.steps),
        };
        let words = if narrow { ["", "val "] } else { ["loss ", "validation "] };
        for (what, loss) in words.into_iter().zip([row.loss, row.validation_loss]) {
            text += &loss.map(|loss| format!("  {what}{}", loss_text(loss))).unwrap_or_default();
        }
        let members = row.members.join(", ");
        let room = cells.saturating_sub(1);
        let beside = text_width::width(&text) + 2 + text_width::width(&members) <= room;
        if beside {
            text += &format!("  {members}");
        }
        let text = Span::styled(text_width::truncate(&text, room), theme.text());
        let below = if beside { Vec::new() } else { text_width::wrap(&members, cells.saturating_sub(3)) };
        let below = below.into_iter().map(|line| Line::styled(format!("   {line}"), theme.dim()));
        std::iter::once(Line::from(vec![Span::styled(glyph, style), text])).chain(below).collect::<Vec<_>>()
    };
    let shown = rows.iter().skip(first).take(ROWS);
    let mut lines: Vec<Line<'static>> = shown.flat_map(line).collect();
    if rows.len() > ROWS {
        lines.push(Line::styled(format!("{done} of {} {many} are done", rows.len()), theme.dim()));
    }
    lines
}

fn put(frame: &mut Frame, area: Rect, lines: &[Line<'static>]) {
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        frame.buffer_mut().set_line(area.x, y, line, area.width);
    }
}

//! The columns of the list of jobs.

use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::marks::{progress_bar, state_glyph};
use super::state::{remaining, seconds, share};
use crate::jobs::{JobDetail, JobState, JobSummary};
use crate::text::printable;
use crate::tui::{Shared, Theme, format, text_width};

/// Which columns of the list fit.
pub struct Columns {
    name: usize,
    /// Cells of the kinds; 0 leaves them out.
    kind: usize,
    bar: usize,
    left: bool,
    started: bool,
}

impl Columns {
    /// The columns for `room` cells.
    pub fn new(jobs: &[JobSummary], room: usize) -> Self {
        // Glyph 2, state 11, share 5: these stay.
        let longest =
            jobs.iter().map(|job| text_width::width(&printable(&job.name))).max().unwrap_or(0).clamp(6, 32);
        let mut left = room.saturating_sub(2 + 11 + 5);
        let name = longest.min(left.saturating_sub(2)).max(left.min(6));
        left = left.saturating_sub(name + 2);
        let mut take = |cells: usize| {
            let fits = left >= cells;
            if fits {
                left -= cells;
            }
            fits
        };
        let eta = take(8);
        let bar = take(10);
        let started = take(9);
        let kinds = jobs
            .iter()
            .map(|job| text_width::width(&printable(job.kind_name())))
            .max()
            .unwrap_or(0)
            .clamp(7, 14)
            + 2;
        let kind = if take(kinds) { kinds } else { 0 };
        Self { name, kind, bar: if bar { 8 + left.min(8) } else { 0 }, left: eta, started }
    }

    /// The names of the columns.
    pub fn header(&self, theme: &Theme) -> Line<'static> {
        let mut text = format!("  {}  ", text_width::left("Job", self.name));
        text.push_str(&text_width::left(if self.kind > 0 { "Kind" } else { "" }, self.kind));
        text.push_str(&text_width::left("State", 11));
        if self.bar > 0 {
            text.push_str(&text_width::left("Progress", self.bar));
        }
        text.push_str(&" ".repeat(5));
        if self.left {
            text.push_str(&text_width::right("Left", 8));
        }
        if self.started {
            text.push_str(&text_width::right("Started", 9));
        }
        Line::styled(text, theme.header())
    }

    /// One job in these columns.
    pub fn row(
        &self,
        job: &JobSummary,
        detail: Option<&JobDetail>,
        shared: &Shared,
        theme: &Theme,
    ) -> Line<'static> {
        let (glyph, style) = state_glyph(job.state, shared.tick, theme);
        let mut spans = vec![
            Span::styled(format!("{glyph} "), style),
            Span::styled(format!("{}  ", text_width::left(&job.name, self.name)), theme.text()),
        ];
        if self.kind > 0 {
            spans.push(Span::styled(text_width::left(job.kind_name(), self.kind), theme.dim()));
        }
        let state = style.remove_modifier(Modifier::BOLD);
        spans.push(Span::styled(text_width::left(job.state.name(), 11), state));
        let share = share(job);
        if self.bar > 0 {
            let live = matches!(job.state, JobState::Running | JobState::Cancelling);
            let (bar, style) = match share {
                Some(share) if live => (progress_bar(share, self.bar), theme.accent()),
                _ => (" ".repeat(self.bar), theme.dim()),
            };
            spans.push(Span::styled(bar, style.remove_modifier(Modifier::BOLD)));
        }
        let percent = match share {
            Some(share) if job.state != JobState::Finished => format!("{:.0}%", (share * 100.0).floor()),
            _ => String::new(),
        };
        spans.push(Span::styled(text_width::right(&percent, 5), theme.text()));
        if self.left {
            let text = remaining(job, detail, shared.now).map_or(String::new(), format::duration);
            spans.push(Span::styled(text_width::right(&text, 8), theme.text()));
        }
        if self.started {
            let text = match job.started.map(seconds) {
                Some(at) if shared.now - at < 60.0 => "now".into(),
                Some(at) => format!("{} ago", short_age(shared.now - at)),
                None => "–".into(),
            };
            spans.push(Span::styled(text_width::right(&text, 9), theme.dim()));
        }
        Line::from(spans)
    }
}

/// `5m`, `3h`, `2d`.
fn short_age(seconds: f64) -> String {
    match seconds {
        s if s < 3600.0 => format!("{:.0}m", (s / 60.0).floor()),
        s if s < 86_400.0 => format!("{:.0}h", (s / 3600.0).floor()),
        s => format!("{:.0}d", (s / 86_400.0).floor()),
    }
}

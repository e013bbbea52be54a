//! The columns of the list of jobs.

use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::groups::Group;
use super::marks::{progress_bar, state_glyph};
use super::pace::{remaining, seconds, share};
use crate::jobs::{JobDetail, JobState, JobSummary};
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
    pub fn new((names, kinds): (usize, usize), room: usize) -> Self {
        // Glyph 2, state 11, share 5: these stay.
        let longest = names.clamp(6, 32);
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
        let kinds = kinds.clamp(7, 14) + 2;
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

    /// One job in these columns, below its group where it is `inside` one.
    pub fn job(
        &self,
        job: &JobSummary,
        inside: bool,
        detail: Option<&JobDetail>,
        shared: &Shared,
        theme: &Theme,
    ) -> Line<'static> {
        let name = if inside { format!("  {}", job.name) } else { job.name.clone() };
        let cells = Cells {
            state: job.state,
            name,
            kind: job.kind_name(),
            said: if job.held { "held" } else { job.state.name() }.into(),
            share: share(job),
            remaining: remaining(job, detail, shared.now),
            started: job.started.map(seconds),
        };
        self.row(&cells, shared, theme)
    }

    /// A group of jobs in these columns.
    pub fn group(&self, group: &Group, open: bool, shared: &Shared, theme: &Theme) -> Line<'static> {
        let mark = if open { "▾" } else { "▸" };
        let failed = group.count(JobState::Failed);
        let said = match failed {
            0 => group.state().name().into(),
            failed => format!("{failed} failed"),
        };
        let cells = Cells {
            state: if failed > 0 { JobState::Failed } else { group.state() },
            name: format!("{mark} {}", group.name),
            kind: group.kind,
            said,
            share: Some(group.share),
            remaining: group.remaining(shared.now),
            started: group.started,
        };
        self.row(&cells, shared, theme)
    }

    fn row(&self, of: &Cells, shared: &Shared, theme: &Theme) -> Line<'static> {
        let (glyph, style) = state_glyph(of.state, shared.tick, theme);
        let mut spans = vec![
            Span::styled(format!("{glyph} "), style),
            Span::styled(format!("{}  ", text_width::left(&of.name, self.name)), theme.text()),
        ];
        if self.kind > 0 {
            spans.push(Span::styled(text_width::left(of.kind, self.kind), theme.dim()));
        }
        let state = style.remove_modifier(Modifier::BOLD);
        spans.push(Span::styled(text_width::left(&of.said, 11), state));
        let share = of.share;
        if self.bar > 0 {
            let live = of.remaining.is_some() || matches!(of.state, JobState::Running | JobState::Cancelling);
            let (bar, style) = match share {
                Some(share) if live => (progress_bar(share, self.bar), theme.accent()),
                _ => (" ".repeat(self.bar), theme.dim()),
            };
            spans.push(Span::styled(bar, style.remove_modifier(Modifier::BOLD)));
        }
        let percent = match share {
            Some(share) if of.state != JobState::Finished => format!("{:.0}%", (share * 100.0).floor()),
            _ => String::new(),
        };
        spans.push(Span::styled(text_width::right(&percent, 5), theme.text()));
        if self.left {
            let text = of.remaining.map_or(String::new(), format::duration);
            spans.push(Span::styled(text_width::right(&text, 8), theme.text()));
        }
        if self.started {
            let text = match of.started {
                Some(at) if shared.now - at < 60.0 => "now".into(),
                Some(at) => format!("{} ago", short_age(shared.now - at)),
                None => "–".into(),
            };
            spans.push(Span::styled(text_width::right(&text, 9), theme.dim()));
        }
        Line::from(spans)
    }
}

/// What a row says.
struct Cells {
    state: JobState,
    name: String,
    kind: &'static str,
    said: String,
    share: Option<f64>,
    remaining: Option<f64>,
    started: Option<f64>,
}

/// `5m`, `3h`, `2d`.
fn short_age(seconds: f64) -> String {
    match seconds {
        s if s < 3600.0 => format!("{:.0}m", (s / 60.0).floor()),
        s if s < 86_400.0 => format!("{:.0}h", (s / 3600.0).floor()),
        s => format!("{:.0}d", (s / 86_400.0).floor()),
    }
}

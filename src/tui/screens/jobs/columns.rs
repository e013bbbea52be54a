//! The columns of the list of jobs.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::groups::{Group, HELD, Needs, steps_text};
use super::marks::{progress_bar, state_glyph};
use super::pace::{remaining, seconds, share};
use crate::jobs::{JobState, JobSummary};
use crate::text::loss_text;
use crate::tui::{Shared, Theme, format, text_width};

/// A column that may be left out.
struct Column {
    title: &'static str,
    /// Which are kept where not all fit: the lowest.
    priority: u8,
    /// Cells that it takes with the gap beside it, given what there is; 0 where there is nothing for it.
    cells: fn(&Needs) -> usize,
    /// Its text and how it looks.
    cell: fn(&Cells, usize, &Theme) -> (String, Style),
}

/// From the left, behind glyph, name and state.
static COLUMNS: [Column; 10] = [
    Column {
        title: "Kind",
        priority: 7,
        cells: |needs| needs.kind.clamp(4, 14) + 2,
        cell: |of, cells, theme| (text_width::left(of.kind, cells), theme.dim()),
    },
    Column {
        title: "State",
        priority: 0,
        cells: |_| 11,
        cell: |of, cells, _| (text_width::left(&of.said, cells), of.style),
    },
    Column {
        title: "Progress",
        priority: 3,
        cells: |needs| if needs.live { 10 } else { 0 },
        cell: |of, cells, theme| match of.share.filter(|_| of.live) {
            Some(share) => (progress_bar(share, cells), theme.accent().remove_modifier(Modifier::BOLD)),
            None => (" ".repeat(cells), theme.dim()),
        },
    },
    Column {
        title: "",
        priority: 0,
        cells: |_| 5,
        cell: |of, cells, theme| {
            // What has made all its steps and failed at the end was not nearly done.
            let share = of.share.filter(|share| *share < 1.0 && of.state != JobState::Finished);
            let text = share.map_or(String::new(), format::progress);
            (text_width::right(&text, cells), theme.text())
        },
    },
    Column {
        title: "Step",
        priority: 8,
        cells: |needs| if needs.steps > 0 { needs.steps.max(4) + 2 } else { 0 },
        cell: |of, cells, theme| (text_width::right(&of.steps, cells), theme.dim()),
    },
    Column {
        title: "Loss",
        priority: 5,
        cells: |needs| if needs.loss { 8 } else { 0 },
        cell: |of, cells, theme| (loss_cell(of.loss, cells), theme.text()),
    },
    Column {
        title: "Val",
        priority: 4,
        cells: |needs| if needs.validation { 8 } else { 0 },
        cell: |of, cells, theme| (loss_cell(of.validation, cells), theme.text()),
    },
    Column {
        title: "Tokens/s",
        priority: 9,
        cells: |needs| if needs.speed { 10 } else { 0 },
        cell: |of, cells, theme| {
            let speed = of.speed.filter(|_| of.state == JobState::Running);
            let text = speed.map_or(String::new(), |speed| format!("{speed:.0}"));
            (text_width::right(&text, cells), theme.dim())
        },
    },
    Column {
        title: "Left",
        priority: 2,
        cells: |needs| if needs.live { 8 } else { 0 },
        cell: |of, cells, theme| {
            let text = of.remaining.map_or(String::new(), format::duration);
            (text_width::right(&text, cells), theme.text())
        },
    },
    Column {
        title: "Started",
        priority: 6,
        cells: |_| 9,
        cell: |of, cells, theme| (text_width::right(&of.started, cells), theme.dim()),
    },
];

/// What came of the jobs, at the end of the rows: where there is room with its name, else the number alone.
const RESULT: &str = "Result";
const RESULT_PRIORITY: u8 = 1;

/// Which columns of the list fit.
pub struct Columns {
    name: usize,
    /// Cells of each of [`COLUMNS`]; 0 leaves it out.
    cells: [usize; COLUMNS.len()],
    /// Cells of the result.
    result: usize,
    /// Whether its name is in it.
    named: bool,
}

impl Columns {
    /// The columns for `room` cells.
    pub fn new(needs: &Needs, room: usize) -> Self {
        let wanted: Vec<usize> = COLUMNS.iter().map(|column| (column.cells)(needs)).collect();
        let fixed: usize = COLUMNS
            .iter()
            .zip(&wanted)
            .filter(|(column, _)| column.priority == 0)
            .map(|(_, cells)| cells)
            .sum();
        // The glyph takes two.
        let mut left = room.saturating_sub(2 + fixed);
        let mut name = needs.name.clamp(6, 32).min(left.saturating_sub(2)).max(left.min(6));
        left = left.saturating_sub(name + 2);
        let mut cells = [0; COLUMNS.len()];
        let (mut result, mut named) = (0, false);
        let mut order: Vec<(u8, usize)> =
            COLUMNS.iter().enumerate().map(|(at, column)| (column.priority, at)).collect();
        order.push((RESULT_PRIORITY, COLUMNS.len()));
        order.sort_unstable();
        for (priority, at) in order {
            let wants = wanted.get(at).copied().unwrap_or(if needs.result > 0 {
                needs.result_number.max(6) + 2
            } else {
                0
            });
            if priority > 0 && wants > left {
                continue;
            }
            left = left.saturating_sub(if priority > 0 { wants } else { 0 });
            match cells.get_mut(at) {
                Some(cell) => *cell = wants,
                None => result = wants,
            }
        }
        // What is left makes results, names and bars longer.
        if result > 0 && left >= (needs.result + 2).saturating_sub(result) {
            left = left.saturating_sub((needs.result + 2).saturating_sub(result));
            (result, named) = (needs.result + 2, true);
        }
        let longer = needs.name.saturating_sub(name).min(left);
        (name, left) = (name + longer, left - longer);
        if let Some((_, bar)) =
            COLUMNS.iter().zip(&mut cells).find(|(column, cells)| column.title == "Progress" && **cells > 0)
        {
            *bar += left.min(8);
        }
        Self { name, cells, result, named }
    }

    /// The names of the columns.
    pub fn header(&self, theme: &Theme) -> Line<'static> {
        let mut text = format!("  {}  ", text_width::left("Job", self.name));
        for (column, &cells) in COLUMNS.iter().zip(&self.cells) {
            let left = matches!(column.title, "Kind" | "State" | "Progress");
            text += &if left {
                text_width::left(column.title, cells)
            } else {
                text_width::right(column.title, cells)
            };
        }
        if self.result > 0 {
            text += "  ";
            text += &text_width::left(RESULT, self.result - 2);
        }
        Line::styled(text, theme.header())
    }

    /// One job in these columns, below its group where it is `inside` one.
    pub fn job(
        &self,
        job: &JobSummary,
        inside: bool,
        marked: bool,
        shared: &Shared,
        theme: &Theme,
    ) -> Line<'static> {
        let said = match (job.state, job.turn) {
            _ if job.held => HELD.into(),
            (JobState::Queued, Some(turn)) => format!("queued {turn}"),
            (state, _) => state.name().to_string(),
        };
        let (glyph, style) = state_glyph(job.state, shared.tick, theme);
        let remaining = remaining(job, shared.now);
        let cells = Cells {
            glyph,
            style: style.remove_modifier(Modifier::BOLD),
            state: job.state,
            name: if inside { format!("  {}", job.name) } else { job.name.clone() },
            marked,
            kind: job.kind_name(),
            said,
            share: share(job),
            live: remaining.is_some() || matches!(job.state, JobState::Running | JobState::Cancelling),
            remaining,
            started: started(job.started.map(seconds), shared.now),
            steps: steps_text(job.step, job.steps),
            loss: job.figures.loss,
            validation: job.figures.validation_loss,
            speed: job.figures.tokens_per_second,
            result: job
                .figures
                .measure
                .map(|measure| if self.named { measure.text() } else { measure.number() }),
        };
        self.row(&cells, style, theme)
    }

    /// A group of jobs in these columns.
    pub fn group(
        &self,
        group: &Group,
        open: bool,
        marked: bool,
        shared: &Shared,
        theme: &Theme,
    ) -> Line<'static> {
        let failed = group.count(JobState::Failed);
        let state = if failed > 0 { JobState::Failed } else { group.state() };
        let (glyph, style) = state_glyph(state, shared.tick, theme);
        let remaining = group.remaining(&shared.jobs, shared.now);
        let best = match self.named {
            true => group.best_text(&shared.jobs),
            false => group.extremes.map(|[(_, best), _]| best.number()),
        };
        let cells = Cells {
            glyph,
            style: style.remove_modifier(Modifier::BOLD),
            state,
            name: format!("{} {}", if open { "▾" } else { "▸" }, group.title()),
            marked,
            kind: group.kind,
            said: if failed > 0 { format!("{failed} failed") } else { group.said().into() },
            share: Some(group.share),
            live: remaining.is_some(),
            remaining,
            started: started(group.started, shared.now),
            steps: String::new(),
            loss: None,
            validation: None,
            speed: None,
            result: best,
        };
        self.row(&cells, style, theme)
    }

    fn row(&self, of: &Cells, glyph: Style, theme: &Theme) -> Line<'static> {
        let mark = if of.marked { "•" } else { " " };
        let mut spans = vec![
            Span::styled(of.glyph, glyph),
            Span::styled(mark, theme.accent()),
            Span::styled(
                format!(
                    "{}  ",
                    text_width::left(&text_width::truncate_middle(&of.name, self.name), self.name)
                ),
                theme.text(),
            ),
        ];
        for (column, &cells) in COLUMNS.iter().zip(&self.cells).filter(|(_, cells)| **cells > 0) {
            let (text, style) = (column.cell)(of, cells, theme);
            spans.push(Span::styled(text, style));
        }
        if self.result > 0 {
            let text = of.result.as_deref().unwrap_or_default();
            spans.push(Span::styled(format!("  {}", text_width::left(text, self.result - 2)), theme.ok()));
        }
        Line::from(spans)
    }
}

/// What a row says.
struct Cells {
    glyph: &'static str,
    /// Of its state.
    style: Style,
    state: JobState,
    name: String,
    marked: bool,
    kind: &'static str,
    said: String,
    share: Option<f64>,
    live: bool,
    remaining: Option<f64>,
    started: String,
    steps: String,
    loss: Option<f64>,
    validation: Option<f64>,
    speed: Option<f64>,
    result: Option<String>,
}

fn loss_cell(loss: Option<f64>, cells: usize) -> String {
    text_width::right(&loss.map_or(String::new(), loss_text), cells)
}

/// How long ago.
fn started(at: Option<f64>, now: f64) -> String {
    match at {
        Some(at) if now - at < 60.0 => "now".into(),
        Some(at) => format!("{} ago", short_age(now - at)),
        None => "–".into(),
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

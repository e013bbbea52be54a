//! Drawing of the Eval tab: the sentence, the table, what stands beside it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Padding, Paragraph, Wrap};

use super::EvalScreen;
use super::chooser::evaluations;
use super::finding;
use super::panel::{Panel, notes, readout};
use super::state::Shown;
use super::table::Table;
use crate::text::{age, counted, printable};
use crate::tui::cancelling::Wish;
use crate::tui::format::spinner;
use crate::tui::widgets::{below, centered, header, message, row};
use crate::tui::{Shared, Theme, cancelling, text_width};

/// Width from which the panel stands beside the table, and its own.
const WIDE: u16 = 118;
const PANEL: u16 = 46;
/// Columns of the table that it leaves room for.
const COLUMNS: usize = 6;
/// Height from which there is a panel.
const HIGH: u16 = 14;

impl EvalScreen {
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        match &self.shown {
            None => self.draw_nothing(frame, area, shared, theme),
            Some(shown) => {
                let evaluated = &*shown.evaluated;
                match (&self.items, &self.differences, &self.transfer) {
                    (Some(items), _, _) => items.draw(frame, area, evaluated, shared, theme),
                    (None, Some(found), _) => found.draw(frame, area, evaluated, shared, theme),
                    (None, None, Some(transfer)) => transfer.draw(frame, area, evaluated, theme),
                    (None, None, None) => self.draw_shown(shown, frame, area, shared, theme),
                }
            }
        }
        if let Some(chooser) = &self.choosing {
            chooser.draw(frame, area, shared, theme);
        }
        if let Some(saving) = &self.saving {
            saving.draw(frame, area, theme);
        }
        self.draw_question(frame, area, shared, theme);
    }

    fn draw_nothing(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let margin = Margin::new(u16::from(area.width > 20) * 2, u16::from(area.height > 6));
        let lines = match &self.error {
            Some(error) => vec![Line::styled(format!("✗ {}", crate::text::printable(error)), theme.error())],
            None if self.reading.is_some() => {
                vec![Line::styled(format!("{} reading the evaluation", spinner(shared.tick)), theme.dim())]
            }
            None if !self.listed && shared.library_error.is_none() => {
                vec![Line::styled(format!("{} looking for evaluations …", spinner(shared.tick)), theme.dim())]
            }
            None if !self.listed => {
                vec![Line::styled("The library could not be read; see the Library tab.", theme.dim())]
            }
            None => vec![
                Line::styled("No evaluation of this library yet.", theme.text()),
                Line::default(),
                Line::from(vec![
                    Span::styled("n", theme.key()),
                    Span::raw(
                        " starts one: methods on tasks, in the background. The table fills while it works.",
                    ),
                ]),
                Line::styled("`lora-tui eval LIBRARY --tasks DIR --background` does the same.", theme.dim()),
            ],
        };
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area.inner(margin));
    }

    fn draw_shown(&self, shown: &Shown, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let evaluated = &*shown.evaluated;
        let mut used = 0;
        if area.height >= 4 {
            used += self.draw_sentence(shown, frame, area, shared, theme);
        }
        if area.height >= 10 {
            header(frame, row(area, used), &self.facts(shown, shared), theme);
            used += 1;
        }
        let body = below(area, used + u16::from(area.height >= 20));
        if shown.lines.len() == 0 {
            let text = match evaluated.job.state.is_over() {
                true => "It ended before it was known what to ask.",
                false => "The table is here as soon as the model is loaded and the tasks are read.",
            };
            return message(frame, body, text, theme.dim());
        }
        let drawn = Table { evaluated, lines: &shown.lines, line: &self.line, column: &self.column, theme };
        let room = usize::from(body.width.saturating_sub(PANEL));
        let panel = body.width >= WIDE && body.height >= HIGH && drawn.width(COLUMNS) <= room;
        let notes = if panel { Vec::new() } else { notes(&evaluated.report) };
        let mut body = body;
        if let Some(first) = notes.first().filter(|_| body.height >= HIGH) {
            let text = match notes.len() {
                1 => format!("! {first}"),
                count => format!("! {}: {first}", counted(count, "note")),
            };
            let text = text_width::truncate(&printable(&text), usize::from(body.width));
            frame.render_widget(Line::styled(text, theme.warning()), row(body, 0));
            body = below(body, 1);
        }
        let foot = u16::from(!panel && body.height >= 7);
        let (table, beside) = match panel {
            true => {
                let [table, right] =
                    Layout::horizontal([Constraint::Min(0), Constraint::Length(PANEL)]).areas(body);
                (table, right)
            }
            false => (Rect { height: body.height - foot, ..body }, Rect::default()),
        };
        drawn.draw(frame, table);
        let Some(line) = shown.lines.get(self.line.cursor()) else { return };
        let method = self.column.cursor();
        if panel {
            let block =
                Block::new().borders(Borders::LEFT).border_style(theme.border()).padding(Padding::left(1));
            let inner = block.inner(beside);
            frame.render_widget(block, beside);
            Panel { evaluated, line, method, theme }.draw(frame, inner);
        } else if foot > 0 {
            let text = text_width::truncate(&readout(evaluated, line, method), usize::from(body.width));
            frame.render_widget(Line::styled(text, theme.accent()), row(body, body.height - 1));
        }
    }

    /// The sentence in one row or two; how many.
    fn draw_sentence(
        &self,
        shown: &Shown,
        frame: &mut Frame,
        area: Rect,
        shared: &Shared,
        theme: &Theme,
    ) -> u16 {
        let evaluated = &*shown.evaluated;
        let live = !evaluated.job.state.is_over();
        let spin = if live { format!("{} ", spinner(shared.tick)) } else { String::new() };
        let state = finding::state(evaluated).map(|text| format!("{spin}{text}"));
        let Some(text) = state.or_else(|| finding::sentence(&evaluated.report)) else { return 0 };
        let failed = evaluated.job.state == crate::jobs::JobState::Failed;
        let style = if failed { theme.error() } else { theme.text() };
        let most = if area.height >= 14 { 2 } else { 1 };
        let cells = usize::from(area.width);
        let mut lines = text_width::wrap(&text, cells);
        if lines.len() > most {
            let rest = lines.split_off(most - 1).join(" ");
            lines.push(text_width::truncate(&rest, cells));
        }
        for (line, y) in lines.iter().zip(0..) {
            frame.render_widget(Line::styled(line.clone(), style), row(area, y));
        }
        lines.len() as u16
    }

    /// What was asked, and which of the evaluations it is.
    fn facts(&self, shown: &Shown, shared: &Shared) -> Vec<String> {
        let evaluated = &*shown.evaluated;
        let report = &evaluated.report;
        let items = report.tasks.iter().map(|task| task.items).max().unwrap_or(0);
        let since = evaluated.ended.or(evaluated.job.started);
        let since = since.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let ago = since.map(|since| match age(shared.now - since.as_secs_f64()).as_str() {
            "now" => "now".to_string(),
            age => format!("{age} ago"),
        });
        let number = evaluations(shared).position(|job| job.id == evaluated.job.id);
        let count = evaluations(shared).count();
        let facts = [
            Some(crate::text::printable(&evaluated.job.name).into_owned()),
            (items > 0).then(|| format!("{} split, up to {} per task", report.split, counted(items, "item"))),
            (!report.tasks.is_empty()).then(|| {
                let tasks = counted(report.tasks.len(), "task");
                format!("{} × {tasks}", counted(report.methods.len(), "method"))
            }),
            report.shots(),
            Some(format!("{} scoring", report.scoring)),
            report.precision.map(|precision| precision.to_string()),
            ago,
            number.filter(|_| count > 1).map(|at| format!("{} of {}", at + 1, counted(count, "evaluation"))),
        ];
        facts.into_iter().flatten().collect()
    }

    /// The question of `c`.
    fn draw_question(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let Some(job) = self.confirming.as_ref().and_then(|id| evaluations(shared).find(|job| job.id == *id))
        else {
            return;
        };
        let question =
            format!("Cancel {}? What it has found out is kept: r on the Jobs tab resumes it.", job.name);
        cancelling::draw(frame, area, (Wish::Cancel, &question), theme, |width, height| {
            centered(area, width, height)
        });
    }
}

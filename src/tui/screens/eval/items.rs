//! The items of one task: who was right and who was wrong, and what every method answered.

use std::cell::Cell;
use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Padding};

use crate::eval::{AskedAgain, Record, TaskItems};
use crate::library::Template;
use crate::scorers::Scoring;
use crate::text::{counted, number, printable};
use crate::train::Example;
use crate::tui::format::spinner;
use crate::tui::keymap::Motion;
use crate::tui::widgets::{below, header, list_edge, message, row};
use crate::tui::{Evaluated, List, Shared, Theme, text_width};

/// Width from which the items stand beside their list.
const WIDE: u16 = 96;
/// Height from which there are both.
const HIGH: u16 = 9;

/// Which items are listed.
pub(super) struct Filter {
    /// In a word.
    pub name: &'static str,
    /// Whether it makes sense for losses, which are neither right nor wrong.
    of_losses: bool,
    keep: fn(&TaskItems, method: usize, item: usize) -> bool,
}

/// In the order of the key.
pub(super) static FILTERS: [Filter; 4] = [
    Filter { name: "all", of_losses: true, keep: |_, _, _| true },
    Filter {
        name: "wrong",
        of_losses: false,
        keep: |items, method, item| record(items, method, item).is_some_and(|record| record.score < 1.0),
    },
    Filter {
        name: "right",
        of_losses: false,
        keep: |items, method, item| record(items, method, item).is_some_and(|record| record.score >= 1.0),
    },
    Filter {
        name: "differing",
        of_losses: false,
        keep: |items, _, item| {
            let scores = items.records.iter().filter_map(|of| Some(of.get(item)?.as_ref()?.score));
            let scores: Vec<f64> = scores.collect();
            scores.windows(2).any(|pair| pair[0] != pair[1])
        },
    },
];

/// What is kept of an item.
fn record(items: &TaskItems, method: usize, item: usize) -> Option<&Record> {
    items.records.get(method)?.get(item)?.as_ref()
}

/// The items of a task, with a cursor.
#[derive(Debug)]
pub(super) struct Items {
    /// Number of the task.
    pub task: usize,
    /// The request that is to be answered.
    pub ticket: u64,
    /// Place in [`FILTERS`].
    filter: usize,
    /// Number of the method under the cursor.
    pub method: usize,
    items: Option<Result<Arc<TaskItems>, String>>,
    /// Numbers of those that are listed.
    listed: Vec<usize>,
    list: List,
    /// The item has the focus: its first line that is shown, and the last useful one, known once drawn.
    pub reading: bool,
    first: usize,
    end: Cell<usize>,
}

impl Items {
    /// Of a task, before they are read.
    pub fn of(task: usize, method: usize, ticket: u64) -> Self {
        Self {
            task,
            ticket,
            filter: 0,
            method,
            items: None,
            listed: Vec::new(),
            list: List::default(),
            reading: false,
            first: 0,
            end: Cell::new(0),
        }
    }

    /// Takes what was read.
    pub fn take(&mut self, result: &Result<Arc<TaskItems>, String>) {
        self.items = Some(result.clone());
        self.sift();
    }

    /// Whether they are still read.
    pub fn is_waiting(&self) -> bool {
        self.items.is_none()
    }

    fn read(&self) -> Option<&TaskItems> {
        self.items.as_ref()?.as_ref().ok().map(|items| &**items)
    }

    /// The item under the cursor, and its number.
    pub fn item(&self) -> Option<(usize, &Example)> {
        let at = *self.listed.get(self.list.cursor())?;
        Some((at, self.read()?.items.get(at)?))
    }

    /// What an item was asked with.
    pub fn asked_again(&self, at: usize, template: &Template, scoring: &Scoring) -> Option<AskedAgain> {
        self.read()?.asked_again(at, template, scoring)
    }

    fn sift(&mut self) {
        let now = self.item().map(|(at, _)| at);
        let (keep, method) = (FILTERS[self.filter].keep, self.method);
        let listed =
            |items: &TaskItems| (0..items.items.len()).filter(|at| keep(items, method, *at)).collect();
        self.listed = self.read().map(listed).unwrap_or_default();
        let place = now.and_then(|now| self.listed.iter().position(|at| *at >= now)).unwrap_or(0);
        self.list.select(place, self.listed.len());
        self.first = 0;
    }

    /// The next filter that makes sense.
    pub fn next_filter(&mut self, evaluated: &Evaluated) {
        let is_loss = evaluated.report.tasks.get(self.task).is_some_and(|task| task.metric.is_loss());
        loop {
            self.filter = (self.filter + 1) % FILTERS.len();
            if FILTERS[self.filter].of_losses || !is_loss {
                break;
            }
        }
        self.sift();
    }

    /// Another method.
    pub fn go_method(&mut self, motion: Motion, methods: usize) {
        let mut list = List::default();
        list.select(self.method, methods);
        list.go(motion, methods);
        self.method = list.cursor();
        self.sift();
    }

    /// Another item, or other lines of the one that has the focus.
    pub fn go(&mut self, motion: Motion) {
        if self.reading {
            self.first = motion.scroll(self.first, self.end.get());
        } else {
            self.list.go(motion, self.listed.len());
            self.first = 0;
        }
    }

    /// Draws the list and the item.
    pub fn draw(&self, frame: &mut Frame, area: Rect, evaluated: &Evaluated, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        header(frame, row(area, 0), &self.facts(evaluated), theme);
        let body = below(area, 1);
        let items = match &self.items {
            Some(Ok(items)) => items,
            Some(Err(error)) => {
                return message(frame, body, &format!("✗ {}", printable(error)), theme.error());
            }
            None => {
                let text = format!("{} reading the items", spinner(shared.tick));
                return message(frame, body, &text, theme.dim());
            }
        };
        let is_loss = evaluated.report.tasks.get(self.task).is_some_and(|task| task.metric.is_loss());
        let style = if self.reading { theme.border_focused() } else { theme.border() };
        if body.width >= WIDE && body.height >= HIGH {
            let list = (body.width * 2 / 5).clamp(40, 70);
            let [left, right] =
                Layout::horizontal([Constraint::Length(list), Constraint::Min(0)]).areas(body);
            self.draw_list(frame, Rect { width: left.width - 1, ..left }, (items, is_loss), theme);
            let block = Block::new().borders(Borders::LEFT).border_style(style).padding(Padding::left(1));
            let inner = block.inner(right);
            frame.render_widget(block, right);
            self.draw_item(frame, inner, evaluated, items, theme);
        } else if body.height >= HIGH {
            let rows = self.listed.len().clamp(1, usize::from(body.height / 3)) as u16;
            let [top, bottom] = Layout::vertical([Constraint::Length(rows), Constraint::Min(0)]).areas(body);
            self.draw_list(frame, top, (items, is_loss), theme);
            let block = Block::new().borders(Borders::TOP).border_style(style);
            let inner = block.inner(bottom);
            frame.render_widget(block, bottom);
            self.draw_item(frame, inner, evaluated, items, theme);
        } else if self.reading {
            self.draw_item(frame, body, evaluated, items, theme);
        } else {
            self.draw_list(frame, body, (items, is_loss), theme);
        }
    }

    /// The task, how many items are right, and which of them are listed.
    fn facts(&self, evaluated: &Evaluated) -> Vec<String> {
        let report = &evaluated.report;
        let task = report.tasks.get(self.task);
        let name = task.map_or(String::new(), |task| printable(&task.task).into_owned());
        let label = report.methods.get(self.method).map(|label| printable(label).into_owned());
        let right = self.read().filter(|_| task.is_some_and(|task| !task.metric.is_loss())).map(|items| {
            let of = items.records.get(self.method).map_or(&[][..], Vec::as_slice);
            let known = of.iter().flatten().count();
            let right = of.iter().flatten().filter(|record| record.score >= 1.0).count();
            match known {
                0 => "no results are kept".to_string(),
                known => format!("{right} of {known} right"),
            }
        });
        let filter = match self.filter {
            0 => counted(self.listed.len(), "item"),
            at => format!("{} {}", self.listed.len(), FILTERS[at].name),
        };
        let filter = self.read().map(|_| filter);
        [Some(name), label, right, filter].into_iter().flatten().collect()
    }

    fn draw_list(&self, frame: &mut Frame, area: Rect, (items, is_loss): (&TaskItems, bool), theme: &Theme) {
        if self.listed.is_empty() {
            let text = format!("No item is {} here: f shows others.", FILTERS[self.filter].name);
            return message(frame, area, &text, theme.dim());
        }
        let window = self.list.window(self.listed.len(), usize::from(area.height));
        let area = list_edge(frame, area, window.clone(), self.listed.len(), theme);
        let digits = items.items.len().to_string().len();
        for (place, y) in window.zip(0..) {
            let Some(&at) = self.listed.get(place) else { continue };
            let Some(item) = items.items.get(at) else { continue };
            let known = || items.records.iter().filter_map(|of| of.get(at)?.as_ref());
            let right = known().filter(|record| record.score >= 1.0).count();
            // A loss is neither right nor wrong.
            let ((glyph, style), share) = match is_loss {
                true => (("·", theme.dim()), known().count().to_string()),
                false => {
                    (verdict(record(items, self.method, at), theme), format!("{right}/{}", known().count()))
                }
            };
            let room = usize::from(area.width).saturating_sub(digits + 6 + share.len());
            let text = if item.input.trim().is_empty() { &item.instruction } else { &item.input };
            let text = text_width::truncate(text.trim(), room);
            let line = Line::from(vec![
                Span::styled(text_width::right(&(at + 1).to_string(), digits), theme.dim()),
                Span::styled(format!(" {glyph} "), style),
                Span::styled(format!("{share}  "), theme.dim()),
                Span::styled(text, theme.text()),
            ]);
            let place_of = row(area, y);
            frame.render_widget(line, place_of);
            if place == self.list.cursor() {
                let style = if self.reading { theme.selection_unfocused() } else { theme.selection() };
                frame.buffer_mut().set_style(place_of, style);
            }
        }
    }

    fn draw_item(
        &self,
        frame: &mut Frame,
        area: Rect,
        evaluated: &Evaluated,
        items: &TaskItems,
        theme: &Theme,
    ) {
        let lines = self.item_lines(usize::from(area.width), evaluated, items, theme);
        self.end.set(lines.len().saturating_sub(usize::from(area.height)));
        let first = self.first.min(self.end.get());
        for (line, y) in lines.iter().skip(first).zip(area.top()..area.bottom()) {
            frame.buffer_mut().set_line(area.x, y, line, area.width);
        }
    }

    /// The item under the cursor: what is asked, what is right, what each method answered.
    fn item_lines(
        &self,
        cells: usize,
        evaluated: &Evaluated,
        items: &TaskItems,
        theme: &Theme,
    ) -> Vec<Line<'static>> {
        let Some((at, item)) = self.item() else { return Vec::new() };
        let mut lines =
            vec![Line::styled(format!("item {} of {}", at + 1, items.items.len()), theme.accent())];
        let mut paragraph = |title: &str, text: &str, style: Style| {
            lines.push(Line::styled(title.to_string(), theme.header()));
            for line in text.lines() {
                let wrapped = text_width::wrap(line, cells.saturating_sub(2));
                lines.extend(wrapped.into_iter().map(|line| Line::styled(format!("  {line}"), style)));
            }
        };
        let asked = [item.instruction.as_str(), item.input.as_str()];
        let asked: Vec<&str> = asked.into_iter().filter(|text| !text.trim().is_empty()).collect();
        paragraph("asked", &asked.join("\n"), theme.text());
        let choices = if item.choices.is_empty() { &items.options } else { &item.choices };
        if !choices.is_empty() {
            paragraph("choices", &choices.join("\n"), theme.dim());
        }
        let right: Vec<&str> = item.right().collect();
        paragraph(if right.len() > 1 { "right, each" } else { "right" }, &right.join("\n"), theme.text());
        let is_scored = items.records.iter().any(|of| {
            of.get(at)
                .is_some_and(|found| found.as_ref().is_some_and(|found| found.log_probability.is_some()))
        });
        let precision =
            evaluated.report.precision.map_or(String::new(), |precision| format!(", in {precision}"));
        // The Routing tab has that of the bare answer, in the precision that it was opened with.
        let note = if is_scored {
            format!("  log p: of the right one as it was scored{precision}")
        } else {
            String::new()
        };
        let note = text_width::truncate(&note, cells.saturating_sub(7));
        lines
            .push(Line::from(vec![Span::styled("answers", theme.header()), Span::styled(note, theme.dim())]));
        let is_loss = evaluated.report.tasks.get(self.task).is_some_and(|task| task.metric.is_loss());
        let scores = |method: usize| evaluated.report.scores.get(self.task)?.get(method).copied().flatten();
        let waits = |method: usize| {
            let (known, all) = evaluated.far(self.task, method);
            evaluated.known.is_some() && known < all
        };
        for (method, label) in evaluated.report.methods.iter().enumerate() {
            let found = record(items, method, at);
            let (glyph, style) = if is_loss { ("·", theme.dim()) } else { verdict(found, theme) };
            let here = method == self.method;
            let facts = match found {
                None if waits(method) => "not asked yet".to_string(),
                None if scores(method).is_none() => "does not apply".to_string(),
                None => "nothing is kept".to_string(),
                Some(found) => {
                    let score = match found.score {
                        score if is_loss => Some(format!("loss {score:.3}")),
                        0.0 | 1.0 => None,
                        score => Some(format!("score {:.1}", score * 100.0)),
                    };
                    let likely = found.log_probability.map(|value| format!("log p {}", number(value, 2)));
                    let facts: Vec<String> = [score, likely].into_iter().flatten().collect();
                    facts.join(" · ")
                }
            };
            let room = cells.saturating_sub(text_width::width(&facts) + 5);
            let name = text_width::truncate_middle(label, room.max(8));
            lines.push(Line::from(vec![
                Span::styled(if here { "› " } else { "  " }, theme.accent()),
                Span::styled(format!("{glyph} "), style),
                Span::styled(name, if here { theme.header() } else { theme.text() }),
                Span::styled(format!(" {facts}"), theme.dim()),
            ]));
            let Some(found) = found.filter(|_| !is_loss) else { continue };
            let (text, style) = match &found.answer {
                Some(answer) if answer.trim().is_empty() => ("an empty answer".to_string(), theme.dim()),
                Some(answer) => (answer.clone(), theme.text()),
                None if found.score >= 1.0 => ("the right answer".into(), theme.dim()),
                None => ("another answer, which was not kept".into(), theme.dim()),
            };
            let wrapped = text_width::wrap(&text, cells.saturating_sub(4));
            lines.extend(wrapped.into_iter().map(|line| Line::styled(format!("    {line}"), style)));
        }
        lines
    }
}

/// How a record shows: right, wrong, in part, or not there.
fn verdict(record: Option<&Record>, theme: &Theme) -> (&'static str, Style) {
    match record.map(|record| record.score) {
        Some(score) if score >= 1.0 => ("✓", theme.ok()),
        Some(score) if score <= 0.0 => ("✗", theme.error()),
        Some(_) => ("◐", theme.warning()),
        None => ("·", theme.dim()),
    }
}

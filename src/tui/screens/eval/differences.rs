//! How methods differ from one of them on the same items, with intervals.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::finding::{interval_text, signed, verdict};
use super::lines::TableLine;
use super::panel::{named_alone, size};
use crate::eval::{Difference, mean_text};
use crate::text::printable;
use crate::tui::format::spinner;
use crate::tui::keymap::Motion;
use crate::tui::widgets::{below, header, list_edge, message, row};
use crate::tui::{Evaluated, List, Shared, Theme, text_width};

/// Cells of a score, a difference, an interval and a count.
const SCORE: usize = 14;
const BY: usize = 9;
const INTERVAL: usize = 19;
const COUNT: usize = 8;
/// Cells of a picture of the intervals, at least and at most.
const PICTURE: (usize, usize) = (16, 60);

/// What was found, by method.
pub(super) type Found = Vec<Option<Difference>>;

/// Differences over what a line of the table is about.
#[derive(Debug)]
pub(super) struct Differences {
    /// The line.
    pub over: TableLine,
    /// Number of the method that others are compared with.
    pub against: usize,
    /// The request that is to be answered, if nothing is known yet.
    pub ticket: Option<u64>,
    found: Option<Result<Found, String>>,
    /// Over the methods.
    list: List,
}

/// What the report itself says, where it compares with this method over the tasks of this line.
fn reported(evaluated: &Evaluated, over: &TableLine, against: usize) -> Option<Found> {
    let report = &evaluated.report;
    let label = report.methods.get(against)?;
    let task = named_alone(evaluated, over)?;
    if task.is_none() && over.group.is_none() {
        return None;
    }
    let of = |method: &String| {
        let found = report.differences.iter().find(|found| {
            let same = match task {
                Some(task) => found.task.as_deref() == Some(task),
                None => found.group == over.group,
            };
            same && found.method == *method && found.against == *label && found.is_loss == over.is_loss
        })?;
        Some(found.difference)
    };
    let found: Found = report.methods.iter().map(of).collect();
    // A report that lists only some of them leaves out what cannot be known.
    found.iter().any(Option::is_some).then_some(found)
}

impl Differences {
    /// Over a line of the table. Where the report does not say it, it is to be asked for.
    pub fn of(evaluated: &Evaluated, over: TableLine, against: usize, cursor: usize) -> Self {
        let found = reported(evaluated, &over, against).map(Ok);
        let mut list = List::default();
        list.select(cursor, evaluated.report.methods.len());
        Self { over, against, ticket: None, found, list }
    }

    /// Whether it is to be asked for.
    pub fn is_unknown(&self) -> bool {
        self.found.is_none()
    }

    /// Takes what was found.
    pub fn take(&mut self, result: &Result<Found, String>) {
        self.found = Some(result.clone());
        self.ticket = None;
    }

    /// Number of the method under the cursor.
    pub fn method(&self) -> usize {
        self.list.cursor()
    }

    /// Another method.
    pub fn go(&mut self, motion: Motion, methods: usize) {
        self.list.go(motion, methods);
    }

    /// Draws a line per method.
    pub fn draw(&self, frame: &mut Frame, area: Rect, evaluated: &Evaluated, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let methods = &evaluated.report.methods;
        let name = |at: usize| methods.get(at).map_or(String::new(), |label| printable(label).into_owned());
        let facts = [
            format!("differences to {}", name(self.against)),
            printable(&self.over.name).into_owned(),
            size(evaluated, &self.over),
            "same items, 95 % intervals".into(),
        ];
        header(frame, row(area, 0), &facts, theme);
        let body = below(area, 1);
        let found = match &self.found {
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                return message(frame, body, &format!("✗ {}", printable(error)), theme.error());
            }
            None => {
                let text = format!("{} resampling the items", spinner(shared.tick));
                return message(frame, body, &text, theme.dim());
            }
        };
        let heads = u16::from(body.height >= 3);
        let rows = below(body, heads);
        let window = self.list.window(methods.len(), usize::from(rows.height));
        let rows = list_edge(frame, rows, window.clone(), methods.len(), theme);
        let columns = Columns::of(evaluated, usize::from(rows.width));
        if heads > 0 {
            frame.render_widget(columns.heading(theme), row(body, 0));
        }
        let scale = Scale::of(found);
        for (at, y) in window.zip(0..) {
            let line = self.line(evaluated, at, found.get(at).copied().flatten(), columns, scale, theme);
            let place = row(rows, y);
            frame.render_widget(line, place);
            if at == self.list.cursor() {
                frame.buffer_mut().set_style(place, theme.selection());
            }
        }
    }

    fn line(
        &self,
        evaluated: &Evaluated,
        at: usize,
        found: Option<Difference>,
        columns: Columns,
        scale: Scale,
        theme: &Theme,
    ) -> Line<'static> {
        let is_loss = self.over.is_loss;
        let label = evaluated.report.methods.get(at).map_or("", String::as_str);
        let name = text_width::truncate_middle(label, columns.names - 1);
        let mut spans = vec![Span::raw(text_width::left(&name, columns.names))];
        if columns.score {
            let mean = self.over.scores.get(at).copied().flatten();
            let text = mean_text(mean.as_ref(), is_loss, " ± ");
            spans.push(Span::styled(text_width::right(&text, SCORE), theme.dim()));
        }
        let Some(found) = found else {
            let text = if at == self.against { "is it" } else { "–" };
            spans.push(Span::styled(text_width::right(text, BY), theme.dim()));
            return Line::from(spans);
        };
        let style = verdict(&found, is_loss, theme);
        spans.push(Span::styled(text_width::right(&signed(found.difference, is_loss), BY), style));
        if columns.interval {
            spans.push(Span::styled(
                text_width::right(&interval_text(found.interval, is_loss), INTERVAL),
                style,
            ));
        }
        if columns.picture > 0 {
            spans.push(Span::raw("  "));
            spans.extend(scale.picture(&found, columns.picture, style, theme));
        }
        if columns.counts {
            spans.push(Span::styled(text_width::right(&found.wins.to_string(), COUNT), theme.dim()));
            spans.push(Span::styled(text_width::right(&found.losses.to_string(), COUNT), theme.dim()));
        }
        Line::from(spans)
    }
}

/// Which columns there is room for.
#[derive(Clone, Copy, Debug)]
struct Columns {
    names: usize,
    score: bool,
    interval: bool,
    /// Cells of the picture; 0 for none.
    picture: usize,
    counts: bool,
}

impl Columns {
    fn of(evaluated: &Evaluated, width: usize) -> Self {
        let longest =
            evaluated.report.methods.iter().map(|label| text_width::width(&printable(label)) + 1).max();
        let names = longest.unwrap_or(1).clamp(8, 40).min((width / 2).max(8));
        let mut rest = width.saturating_sub(names + BY);
        let mut take = |cells: usize| {
            let fits = rest >= cells;
            rest -= if fits { cells } else { 0 };
            fits
        };
        let interval = take(INTERVAL);
        let score = take(SCORE);
        let counts = take(2 * COUNT);
        let picture = if rest > PICTURE.0 + 2 { (rest - 2).min(PICTURE.1) } else { 0 };
        Self { names, score, interval, picture, counts }
    }

    fn heading(self, theme: &Theme) -> Line<'static> {
        let mut text = text_width::left("method", self.names);
        if self.score {
            text += &text_width::right("score", SCORE);
        }
        text += &text_width::right("by", BY);
        if self.interval {
            text += &text_width::right("95 %", INTERVAL);
        }
        if self.picture > 0 {
            text += &" ".repeat(self.picture + 2);
        }
        if self.counts {
            text += &(text_width::right("better", COUNT) + &text_width::right("worse", COUNT));
        }
        Line::styled(text, theme.header())
    }
}

/// From where to where pictures go; 0 is always there.
#[derive(Clone, Copy, Debug)]
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(found: &Found) -> Self {
        let ends = || found.iter().flatten().flat_map(Difference::ends);
        Self { low: ends().fold(0.0, f64::min), high: ends().fold(0.0, f64::max) }
    }

    fn place(self, value: f64, cells: usize) -> usize {
        let span = self.high - self.low;
        let share = if span > 0.0 { (value - self.low) / span } else { 0.5 };
        (share.clamp(0.0, 1.0) * cells.saturating_sub(1) as f64).round() as usize
    }

    /// The interval as a line with the difference on it, and 0.
    fn picture(self, found: &Difference, cells: usize, style: Style, theme: &Theme) -> Vec<Span<'static>> {
        let [low, high] = found.ends().map(|end| self.place(end, cells));
        let (middle, zero) = (self.place(found.difference, cells), self.place(0.0, cells));
        let cell = |at: usize| match at {
            at if at == middle => Span::styled("●", style),
            at if at == zero => Span::styled("│", theme.border()),
            at if (low..=high).contains(&at) => Span::styled("─", style),
            _ => Span::raw(" "),
        };
        (0..cells).map(cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::Depth;

    #[test]
    fn an_interval_is_drawn_with_its_difference_and_zero() {
        let found = |difference, interval| {
            Some(Difference { difference, interval: Some(interval), ..Difference::default() })
        };
        let all = vec![found(0.25, [0.0, 0.5]), None, found(-0.25, [-0.5, -0.1])];
        let (scale, theme) = (Scale::of(&all), Theme::new(Depth::Plain));
        let drawn = |at: usize| -> String {
            let spans = scale.picture(&all[at].unwrap(), 9, Style::new(), &theme);
            spans.iter().map(|span| span.content.to_string()).collect()
        };
        assert_eq!((drawn(0), drawn(2)), ("    │─●──".into(), "──●─│    ".into()));
        let point = vec![found(0.0, [0.0, 0.0])];
        assert_eq!(Scale::of(&point).picture(&point[0].unwrap(), 5, Style::new(), &theme).len(), 5);
    }

    #[test]
    fn a_smaller_loss_is_better() {
        let theme = Theme::new(Depth::True);
        let lower = Difference { difference: -1.0, interval: Some([-1.5, -0.5]), ..Difference::default() };
        assert_eq!(verdict(&lower, true, &theme), theme.ok());
        assert_eq!(verdict(&lower, false, &theme), theme.warning());
        let unsure = Difference { interval: Some([-1.5, 0.5]), ..lower };
        assert_eq!(verdict(&unsure, true, &theme), theme.dim());
    }
}

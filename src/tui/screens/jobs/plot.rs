//! Curves of one job or of several, laid over each other, with a cursor that reads them.

use std::cell::Cell;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;
use ratatui::widgets::canvas::{Canvas, Line as Stroke, Points};

use super::curve::{SMOOTHING, Scale, decimate, place_at};
use crate::jobs::Progress;
use crate::text::loss_text;
use crate::tui::widgets::{below, row};
use crate::tui::{Theme, format, text_width};

/// How the curves are shown, and where they are read.
#[derive(Debug, Default)]
pub struct Plot {
    pub scale: Scale,
    /// Which of [`SMOOTHING`].
    pub smoothing: usize,
    pub shown: Shown,
    /// It has the whole tab.
    pub large: bool,
    /// Where it is read, across.
    cursor: Option<f64>,
    /// The end across, and what one cell is, as drawn last.
    extent: Cell<(f64, f64)>,
}

/// Which losses are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    Both,
    Training,
    Validation,
}

impl Shown {
    /// The next choice.
    pub fn next(self) -> Self {
        match self {
            Self::Both => Self::Training,
            Self::Training => Self::Validation,
            Self::Validation => Self::Both,
        }
    }
}

impl Plot {
    /// Moves the cursor by so many cells; it begins at the end.
    pub fn inspect(&mut self, cells: i32) {
        let (end, cell) = self.extent.get();
        let from = self.cursor.unwrap_or(if cells < 0 { end } else { -cell });
        self.cursor = Some((from + f64::from(cells) * cell).clamp(0.0, end));
    }

    /// Takes the cursor away; whether there was one.
    pub fn stop_inspecting(&mut self) -> bool {
        self.cursor.take().is_some()
    }

    /// Whether something is read.
    pub fn is_inspecting(&self) -> bool {
        self.cursor.is_some()
    }

    /// Across by steps, or by the time of work.
    pub fn switch_axis(&mut self) {
        self.scale.by_time = !self.scale.by_time;
        // Where it was means nothing on the other axis.
        self.cursor = None;
    }

    /// What differs from a plain plot, in words.
    fn words(&self) -> Vec<String> {
        let kept = SMOOTHING.get(self.smoothing).copied().unwrap_or(0.0);
        let words = [
            self.scale.logarithmic.then(|| "log scale".to_string()),
            (kept > 0.0).then(|| format!("smoothed, EMA {kept}")),
            match self.shown {
                Shown::Both => None,
                Shown::Training => Some("training only".into()),
                Shown::Validation => Some("validation only".into()),
            },
            self.scale.by_time.then(|| "by time".to_string()),
        ];
        words.into_iter().flatten().collect()
    }

    /// A place across, in words.
    fn across_text(&self, across: f64) -> String {
        if self.scale.by_time { format::duration(across) } else { format!("step {across:.0}") }
    }
}

/// The curves of one job.
#[derive(Debug)]
pub struct Series<'a> {
    /// Of the job, untrusted.
    pub name: &'a str,
    pub progress: &'a Progress,
}

/// Curves that are drawn together.
#[derive(Debug)]
pub struct PlotView<'a> {
    pub plot: &'a Plot,
    pub series: Vec<Series<'a>>,
    /// Laid over each other, also where only one has begun; else the one that is selected.
    pub overlaid: bool,
    /// What they are, in a few words.
    pub title: String,
    /// Steps that there will be, for one that runs.
    pub steps: usize,
}

/// The places of one job's curves.
struct Traced<'a> {
    name: &'a str,
    training: Vec<(f64, f64)>,
    validation: Vec<(f64, f64)>,
    style: Style,
    validation_style: Style,
    mark: char,
}

impl Traced<'_> {
    fn places(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.training.iter().chain(&self.validation)
    }
}

/// Where the graph is, and what its edges are.
struct Graph {
    area: Rect,
    across: [f64; 2],
    height: [f64; 2],
}

impl Graph {
    /// The cell of a place.
    fn cell(&self, (across, height): (f64, f64)) -> (u16, u16) {
        let share = |value: f64, [from, to]: [f64; 2]| {
            ((value - from) / (to - from).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
        };
        let at =
            |share: f64, cells: u16| (share * f64::from(cells)).min(f64::from(cells) - 1.0).max(0.0) as u16;
        let down = at(share(height, self.height), self.area.height);
        (self.area.x + at(share(across, self.across), self.area.width), self.area.bottom() - 1 - down)
    }
}

impl PlotView<'_> {
    /// Whether there is anything to draw.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|one| one.progress.losses.is_empty() && one.progress.validation.is_empty())
    }

    /// Draws them with a line of words above.
    pub fn draw(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        if area.width < 12 || area.height < 4 {
            return;
        }
        let traced: Vec<Traced> =
            self.series.iter().enumerate().map(|(at, one)| self.trace(at, one, theme)).collect();
        self.draw_title(frame, row(area, 0), &traced, theme);
        let Some(graph) = self.draw_axes(frame, below(area, 1), &traced, theme) else {
            let text = if self.is_empty() { "No losses to draw." } else { "Nothing to show: v shows more." };
            frame.buffer_mut().set_line(area.x, area.y + 1, &Line::styled(text, theme.dim()), area.width);
            return;
        };
        self.plot
            .extent
            .set((graph.across[1], (graph.across[1] - graph.across[0]) / f64::from(graph.area.width.max(1))));
        self.draw_curves(frame, &graph, &traced);
        let cursor = self.plot.cursor.map(|across| graph.cell((across, graph.height[0])).0);
        if let Some(x) = cursor {
            for y in graph.area.top()..graph.area.bottom() {
                if let Some(cell) = frame.buffer_mut().cell_mut((x, y))
                    && matches!(cell.symbol(), " " | "\u{2800}")
                {
                    cell.set_symbol("┆").set_style(theme.dim());
                }
            }
        }
        if self.overlaid {
            self.draw_legend(frame, &graph, &traced, cursor, theme);
        }
    }

    fn trace<'a>(&self, at: usize, one: &Series<'a>, theme: &Theme) -> Traced<'a> {
        let Plot { scale, shown, smoothing, .. } = self.plot;
        let kept = SMOOTHING.get(*smoothing).copied().unwrap_or(0.0);
        let (training, validation) = (&one.progress.losses, &one.progress.validation);
        let style =
            if self.overlaid { theme.category(at) } else { theme.accent().remove_modifier(Modifier::BOLD) };
        Traced {
            name: one.name,
            training: if *shown == Shown::Validation { Vec::new() } else { scale.places(training, kept) },
            validation: if *shown == Shown::Training { Vec::new() } else { scale.places(validation, 0.0) },
            style,
            validation_style: if self.overlaid { style } else { theme.warning() },
            mark: theme.mark(at),
        }
    }

    /// What is read of places: at the cursor, else at the end.
    fn reading(&self, places: &[(f64, f64)]) -> Option<String> {
        let place = match self.plot.cursor {
            // What is said is a whole step.
            Some(across) => place_at(places, if self.plot.scale.by_time { across } else { across.round() }),
            None => places.last().copied(),
        };
        place.map(|(_, height)| loss_text(self.plot.scale.value(height)))
    }

    fn draw_title(&self, frame: &mut Frame, area: Rect, traced: &[Traced], theme: &Theme) {
        let mut spans = Vec::new();
        match traced {
            [one] if !self.overlaid => {
                spans.push(Span::styled("⠤ training", one.style));
                let text = |places| self.reading(places).map_or(String::new(), |value| format!(" {value}"));
                spans.push(Span::styled(text(&one.training), theme.text()));
                if !one.validation.is_empty() {
                    spans.push(Span::styled("  • validation", one.validation_style));
                    spans.push(Span::styled(text(&one.validation), theme.text()));
                }
            }
            _ => spans.push(Span::styled(self.title.clone(), theme.header())),
        }
        if let Some(across) = self.plot.cursor {
            spans.push(Span::styled(format!("  at {}", self.plot.across_text(across)), theme.accent()));
        }
        let words = self.plot.words();
        if !words.is_empty() {
            spans.push(Span::styled(format!("  {}", words.join(" · ")), theme.dim()));
        }
        frame.buffer_mut().set_line(area.x, area.y, &Line::from(spans), area.width);
    }

    /// Draws the axes with their ends; gives what they enclose.
    fn draw_axes(&self, frame: &mut Frame, area: Rect, traced: &[Traced], theme: &Theme) -> Option<Graph> {
        let places = || traced.iter().flat_map(Traced::places);
        let least = places().map(|place| place.1).reduce(f64::min)?;
        let most = places().map(|place| place.1).reduce(f64::max)?;
        let scale = self.plot.scale;
        let whole = if scale.by_time { 0.0 } else { self.steps as f64 };
        let end = places().map(|place| place.0).fold(whole, f64::max).max(1.0);
        let pad = ((most - least) * 0.05).max(most.abs() * 0.01).max(1e-6);
        // A loss is never below 0: neither is its axis.
        let bottom = if least >= 0.0 && !scale.logarithmic { (least - pad).max(0.0) } else { least - pad };
        let top = most + pad;
        let label = |height: f64| loss_text(scale.value(height));
        let rows = area.height.saturating_sub(2);
        let mut labels = vec![(0, label(top)), (rows - 1, label(bottom))];
        if rows >= 6 {
            labels.push((rows / 2, label(f64::midpoint(bottom, top))));
        }
        let cells = labels.iter().map(|(_, text)| text_width::width(text)).max().unwrap_or(0) as u16;
        let graph =
            Rect { x: area.x + cells + 1, width: area.width.saturating_sub(cells + 1), height: rows, ..area };
        if graph.width < 4 || rows < 2 {
            return None;
        }
        let buffer = frame.buffer_mut();
        for (at, text) in labels {
            let text = text_width::right(&text, usize::from(cells));
            buffer.set_string(area.x, area.y + at, text, theme.dim());
        }
        for y in graph.top()..graph.bottom() {
            buffer.set_string(graph.x - 1, y, "│", theme.border());
        }
        let foot = format!("└{}", "─".repeat(usize::from(graph.width)));
        buffer.set_string(graph.x - 1, graph.bottom(), foot, theme.border());
        let text = self.plot.across_text(end);
        let from = graph.right().saturating_sub(text_width::width(&text) as u16);
        buffer.set_string(graph.x - 1, graph.bottom() + 1, "0", theme.dim());
        buffer.set_string(from, graph.bottom() + 1, text, theme.dim());
        Some(Graph { area: graph, across: [0.0, end], height: [bottom, top] })
    }

    fn draw_curves(&self, frame: &mut Frame, graph: &Graph, traced: &[Traced]) {
        // Braille has two columns of dots per cell.
        let columns = usize::from(graph.area.width) * 2;
        let lines = |one: &Traced| {
            let validation_alone = self.plot.shown == Shown::Validation;
            decimate(if validation_alone { &one.validation } else { &one.training }, columns)
        };
        let curves: Vec<(Vec<(f64, f64)>, Color)> =
            traced.iter().map(|one| (lines(one), one.style.fg.unwrap_or(Color::Reset))).collect();
        let canvas =
            Canvas::default().marker(Marker::Braille).x_bounds(graph.across).y_bounds(graph.height).paint(
                |context| {
                    for (places, color) in &curves {
                        for pair in places.windows(2) {
                            context.draw(&Stroke::new(pair[0].0, pair[0].1, pair[1].0, pair[1].1, *color));
                        }
                        if let [place] = places.as_slice() {
                            context.draw(&Points { coords: &[*place], color: *color });
                        }
                    }
                },
            );
        frame.render_widget(canvas, graph.area);
        let buffer = frame.buffer_mut();
        for one in traced {
            for place in decimate(&one.validation, columns) {
                let (x, y) = graph.cell(place);
                buffer.set_string(x, y, "•", one.validation_style);
            }
            if let Some(last) = one.training.last().or(one.validation.last()).filter(|_| self.overlaid) {
                let (x, y) = graph.cell(*last);
                buffer.set_string(x, y, one.mark.to_string(), one.style.add_modifier(Modifier::BOLD));
            }
        }
    }

    /// The corner of this size that hides the least of the curves, and not the cursor.
    fn free_corner(&self, graph: &Graph, size: (u16, u16), traced: &[Traced], cursor: Option<u16>) -> Rect {
        let (width, height) = size;
        let area = graph.area;
        let (right, bottom) = (area.right() - width, area.bottom() - height);
        let corners = [(right, area.y), (right, bottom), (area.x, bottom), (area.x, area.y)];
        let cells: Vec<(u16, u16)> = traced
            .iter()
            .flat_map(|one| decimate(&one.training, usize::from(area.width)))
            .map(|place| graph.cell(place))
            .collect();
        let hidden = |(x, y): (u16, u16)| {
            let corner = Rect { x, y, width, height };
            let read = cursor.is_some_and(|cursor| (x..x + width).contains(&cursor));
            let count = cells.iter().filter(|cell| corner.contains((cell.0, cell.1).into())).count();
            (read, count)
        };
        let (x, y) = corners.into_iter().min_by_key(|corner| hidden(*corner)).unwrap_or((right, area.y));
        Rect { x, y, width, height }
    }

    /// The names and readings, in the corner where they hide the least.
    fn draw_legend(
        &self,
        frame: &mut Frame,
        graph: &Graph,
        traced: &[Traced],
        cursor: Option<u16>,
        theme: &Theme,
    ) {
        let names = traced.iter().map(|one| text_width::width(one.name)).max().unwrap_or(0);
        let names = names.min(usize::from(graph.area.width / 3)).min(32);
        let readings: Vec<String> = traced
            .iter()
            .map(|one| {
                let training = self.reading(&one.training).unwrap_or_default();
                let validation =
                    self.reading(&one.validation).map_or(String::new(), |value| format!(" • {value}"));
                format!("{training:>6}{validation}")
            })
            .collect();
        let numbers = readings.iter().map(|text| text_width::width(text)).max().unwrap_or(0);
        let width = (names + numbers + 6) as u16;
        let rows = traced.len().min(usize::from(graph.area.height.saturating_sub(1)));
        // A single line would name none of several.
        if width > graph.area.width || rows == 0 || rows == 1 && traced.len() > 1 {
            return;
        }
        let area = self.free_corner(graph, (width, rows as u16), traced, cursor);
        frame.render_widget(Clear, area);
        for (at, (one, reading)) in traced.iter().zip(&readings).take(rows).enumerate() {
            let last = at + 1 == rows && traced.len() > rows;
            let line = if last {
                Line::styled(format!(" … {} more", traced.len() - at), theme.dim())
            } else {
                Line::from(vec![
                    Span::styled(format!(" {} ", one.mark), one.style.add_modifier(Modifier::BOLD)),
                    Span::styled(format!("{} ", text_width::left(one.name, names)), one.style),
                    Span::styled(reading.clone(), theme.text()),
                ])
            };
            frame.buffer_mut().set_line(area.x, area.y + at as u16, &line, area.width);
        }
    }
}

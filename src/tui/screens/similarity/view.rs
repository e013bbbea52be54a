//! Drawing of the Similarity tab.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::SimilarityScreen;
use super::state::Shown;
use crate::text::counted;
use crate::tui::heatmap::Heatmap;
use crate::tui::screens::families;
use crate::tui::widgets::{bars, below, header, progress, row};
use crate::tui::{Shared, Theme, cluster_mark, text_width};

/// Widths from which the side panel is drawn, and its own.
const WIDE: u16 = 104;
const PANEL: u16 = 36;
/// Columns that the legend below the picture may take.
const LEGEND: u16 = 66;

impl SimilarityScreen {
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        self.draw_header(frame, row(area, 0), shared, theme);
        let mut used = 1;
        let shown = self.shown.as_ref();
        let error = self.comparing.error_lines(shown.is_some(), area, theme);
        let notes = shown.map(|shown| self.comparing.note_lines(&shown.similarity, shared, area, theme));
        for line in error.into_iter().chain(notes.into_iter().flatten()) {
            if used + 3 < area.height || area.height < 4 {
                frame.render_widget(line, row(area, used));
                used += 1;
            }
        }
        let body = below(area, used + u16::from(area.height >= 16));
        match &self.shown {
            Some(shown) => self.draw_map(shown, frame, body, shared, theme),
            None if self.request.is_some() && self.comparing.error.is_none() => {
                let what = format!("comparing {}", counted(self.comparing.comparable().len, "expert"));
                let request = self.request.iter();
                request.for_each(|request| {
                    request.draw(frame, body, &what, shared, theme);
                });
            }
            None => {
                let failed = "Nothing to show with this metric: m tries another.";
                self.comparing.draw_nothing(frame, body, failed, shared, theme);
            }
        }
    }

    fn draw_header(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let facts = match &self.shown {
            Some(Shown { similarity, arrangement, sample_of, .. }) => {
                let mut facts = vec![similarity.metric.title.to_string()];
                facts.extend(sample_of.map(|all| format!("sample of {} of {all}", similarity.len())));
                facts.push(counted(similarity.len(), "expert"));
                facts.push(arrangement.title.clone());
                if similarity.metric.uses_sparsity {
                    facts.push(format!("sparsity {:.2}", similarity.sparsity));
                }
                if self.map.is_zoomed() {
                    facts.push("zoomed (0 shows all)".into());
                }
                facts
            }
            None => vec![self.metric.title.to_string()],
        };
        header(frame, area, &facts, theme);
        // In the middle of the screen, where that is empty.
        if let Some(request) = self.request.as_ref().filter(|_| self.shown.is_some()) {
            let what = format!("comparing by {}", self.metric.title);
            progress(frame, area, &what, &request.far(shared.now), shared.tick, theme);
        }
    }

    fn draw_map(&self, shown: &Shown, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        let panel = area.width >= WIDE && area.height >= 10;
        let width = if panel { area.width - PANEL - 2 } else { area.width };
        let n = shown.similarity.len();
        let digits = n.to_string().len();
        let labels = &shown.arrangement.labels;
        let label = |at: usize| {
            format!("{:>digits$} {}", at + 1, labels.get(at).map(String::as_str).unwrap_or_default())
        };
        let tick = |at: usize| (at + 1).to_string();
        let (range, note) = match shown.similarity.spread().range {
            Some(range) if self.autoscale => (range, "range of pairs"),
            None if self.autoscale => ((0.0, 1.0), "no values"),
            _ => ((-1.0, 1.0), "full range"),
        };
        let map = Heatmap {
            values: &shown.similarity.matrix,
            stride: n,
            row_order: &shown.arrangement.order,
            column_order: &shown.arrangement.order,
            version: shown.version,
            range,
            skip_diagonal: true,
            row_label: &label,
            label_width: digits + 1 + shown.arrangement.label_width,
            row_tick: &tick,
            column_tick: &tick,
            first_tick: 1,
            groups: &shown.arrangement.groups,
            note,
            readout: self.readout(shown, width, theme),
        };
        let picture = map.render(Rect { width, ..area }, frame.buffer_mut(), &self.map, theme);
        if panel {
            // Beside the picture, but never over the legend.
            let x = (picture.right() + 3).max(area.x + LEGEND).min(area.right() - PANEL);
            let at = Rect { x, width: PANEL, ..area };
            // A sample says little of the whole: what is known of that stands below.
            let room = usize::from(area.height / 2);
            let families = match shown.sample_of {
                Some(_) => families::lines(shared, room, PANEL.into(), theme),
                None => Vec::new(),
            };
            let below = families.len() as u16;
            let rest = area.height - if below > 0 { below + 1 } else { 0 };
            self.draw_panel(shown, frame, Rect { height: rest, ..at }, theme);
            frame.render_widget(
                Paragraph::new(families),
                Rect { y: at.bottom() - below, height: below, ..at },
            );
        }
    }

    /// `A 12 name × B 40 name  0.8312`
    fn readout(&self, shown: &Shown, width: u16, theme: &Theme) -> Line<'static> {
        let (row, column) = self.map.cursor();
        let Arranged { order, labels } = Arranged::of(shown);
        let (Some(&a), Some(&b)) = (order.get(row), order.get(column)) else { return Line::default() };
        let value = shown.similarity.matrix.get(a * shown.similarity.len() + b).copied().unwrap_or(f32::NAN);
        let value = if value.is_nan() { "missing".to_string() } else { format!("{value:.4}") };
        let room = usize::from(width).saturating_sub(value.len() + 8);
        let label = |at: usize, room: usize| text_width::truncate_middle(&labels[at], room);
        let mut spans = vec![Span::styled(format!("{value}  "), theme.accent())];
        spans.extend(self.mark(shown, row, theme));
        if row == column {
            spans.push(Span::raw(label(row, room)));
            spans.push(Span::styled(" with itself", theme.dim()));
        } else {
            let half = room / 2;
            let first = label(row, half.max(room.saturating_sub(text_width::width(&labels[column]))));
            let left = room.saturating_sub(text_width::width(&first));
            spans.push(Span::raw(first));
            spans.push(Span::styled(" × ", theme.dim()));
            spans.extend(self.mark(shown, column, theme));
            spans.push(Span::raw(label(column, left)));
        }
        Line::from(spans)
    }

    /// The number of a position's group, if there are groups.
    fn mark(&self, shown: &Shown, at: usize, theme: &Theme) -> Option<Span<'static>> {
        let group = *shown.arrangement.groups.get(at)?;
        Some(Span::styled(format!("{} ", cluster_mark::mark(group)), theme.category(group)))
    }

    /// Beside the picture: the row's expert and what is nearest to and farthest from it.
    fn draw_panel(&self, shown: &Shown, frame: &mut Frame, area: Rect, theme: &Theme) {
        let (row, _) = self.map.cursor();
        let Arranged { order, labels } = Arranged::of(shown);
        let Some(&expert) = order.get(row) else { return };
        let width = usize::from(area.width);
        let n = shown.similarity.len();
        let mut others: Vec<(f32, usize)> = order
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != row)
            .filter_map(|(at, &other)| Some((*shown.similarity.matrix.get(expert * n + other)?, at)))
            .filter(|(value, _)| !value.is_nan())
            .collect();
        let mut lines = vec![Line::from(vec![Span::styled(
            text_width::truncate_middle(&labels[row], width),
            theme.accent(),
        )])];
        let group = shown.arrangement.groups.get(row).copied();
        if let Some(group) = group {
            let name = shown.arrangement.names.get(group).map(String::as_str).unwrap_or_default();
            lines.push(Line::styled(text_width::truncate(name, width), theme.category(group)));
        }
        lines.push(Line::default());
        if let Some(mean) = mean(others.iter().map(|(value, _)| *value)) {
            lines.push(fact("mean over all", mean, theme));
        }
        if let Some(own) = group {
            let inside = |at: &usize| shown.arrangement.groups.get(*at) == Some(&own);
            let within = mean(others.iter().filter(|(_, at)| inside(at)).map(|(value, _)| *value));
            let outside = mean(others.iter().filter(|(_, at)| !inside(at)).map(|(value, _)| *value));
            lines.extend(within.map(|mean| fact("mean within group", mean, theme)));
            lines.extend(outside.map(|mean| fact("mean outside", mean, theme)));
        }
        lines.push(Line::default());
        let histogram = shown.similarity.spread().histogram.len() + 2 <= width && area.height >= 30;
        let room = usize::from(area.height).saturating_sub(lines.len() + if histogram { 8 } else { 0 });
        let far = if room >= 12 { (room / 3).min(6) } else { 0 };
        let near = room.saturating_sub(1 + if far > 0 { far + 2 } else { 0 }).min(12).min(others.len());
        others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let entry = |&(value, at): &(f32, usize)| {
            let mut spans = vec![Span::raw(format!("{value:>6.3} "))];
            spans.extend(self.mark(shown, at, theme));
            spans.push(Span::raw(text_width::truncate_middle(&labels[at], width.saturating_sub(9))));
            Line::from(spans)
        };
        if near > 0 {
            lines.push(Line::styled("Nearest", theme.header()));
            lines.extend(others.iter().take(near).map(entry));
        }
        if far > 0 && others.len() > near {
            lines.push(Line::default());
            lines.push(Line::styled("Farthest", theme.header()));
            lines.extend(others.iter().rev().take(far.min(others.len() - near)).map(entry));
        }
        let used = lines.len() as u16;
        frame.render_widget(Paragraph::new(lines), area);
        if histogram && area.height >= used + 8 {
            self.draw_histogram(shown, frame, Rect { y: area.y + area.height - 7, height: 7, ..area }, theme);
        }
    }

    fn draw_histogram(&self, shown: &Shown, frame: &mut Frame, area: Rect, theme: &Theme) {
        let Some((low, high)) = shown.similarity.spread().range else { return };
        frame.render_widget(Line::styled("All pairs", theme.header()), row(area, 0));
        let counts: Vec<f64> =
            shown.similarity.spread().histogram.iter().map(|&count| count as f64).collect();
        bars(frame, Rect { y: area.y + 1, height: 5, ..area }, &counts, 1, |_| theme.dim());
        let ends = shown.similarity.spread().histogram.len().saturating_sub(5);
        frame.render_widget(Line::styled(format!("{low:<5.2}{high:>ends$.2}"), theme.dim()), row(area, 6));
    }
}

/// A borrowed view of what stands where.
struct Arranged<'a> {
    order: &'a [usize],
    labels: &'a [String],
}

impl<'a> Arranged<'a> {
    fn of(shown: &'a Shown) -> Self {
        Self { order: &shown.arrangement.order, labels: &shown.arrangement.labels }
    }
}

fn mean(values: impl Iterator<Item = f32>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + f64::from(value), count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn fact(name: &'static str, value: f64, theme: &Theme) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{name:<18}"), theme.dim()), Span::raw(format!("{value:>6.3}"))])
}

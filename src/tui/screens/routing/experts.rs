//! Experts as rows: their weights for one token, their share of the prompt, and one cell in numbers.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::digest::{Digest, mean_weights};
use super::map::Axis;
use super::marks::{ExpertMarks, Mark};
use super::paint::{bar, column, heading, put, quoted, tint};
use crate::module_path::ModulePath;
use crate::routing::Trace;
use crate::tui::Theme;
use crate::tui::text_width::{left, right, truncate};

/// The rows to show when not all experts have room: the heaviest, in the order of the library.
fn rows(weights: &[f64], room: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..weights.len()).collect();
    if rows.len() > room {
        rows.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
        rows.truncate(room);
        rows.sort_unstable();
    }
    rows
}

fn put_mark(buf: &mut Buffer, area: Rect, x: u16, y: u16, mark: Mark, theme: &Theme) {
    put(buf, area, x, y, &mark.letter.to_string(), theme.category_cell(mark.hue, 1.0));
}

/// Weights of one token: experts × layers, on the axis of the map.
pub struct Weights<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    pub token: usize,
    pub column: usize,
    pub expert: Option<usize>,
    pub faded: bool,
    pub marks: &'a ExpertMarks,
}

impl Weights<'_> {
    /// Draws a heading and as many experts as have room.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, axis: &Axis, theme: &Theme) {
        let token = self.trace.tokens.get(self.token).map(|t| quoted(&t.text, 20)).unwrap_or_default();
        let grid: Vec<Vec<f32>> =
            self.digest.columns.iter().map(|c| mean_weights(self.trace, self.token, &c.modules)).collect();
        let peak = grid.iter().flatten().copied().fold(0.0, f32::max);
        let mut weights = grid.iter().flatten().copied().filter(|weight| *weight > 0.0);
        let even = weights.all(|weight| weight > 0.999 * peak);
        let title = format!("  weights of {token}");
        let note = if peak > 0.0 { format!("█ = {peak:.2}") } else { String::new() };
        heading(buf, Rect { width: axis.width().min(area.width), ..area }, 0, &title, &note, theme);
        let sums: Vec<f64> = (0..self.trace.experts.len())
            .map(|e| grid.iter().map(|weights| f64::from(weights[e])).sum())
            .collect();
        for (row, expert) in rows(&sums, usize::from(area.height).saturating_sub(1)).into_iter().enumerate() {
            let y = row as u16 + 1;
            let name = self.trace.experts.get(expert).map_or("", String::as_str);
            let mark = self.marks.of(name);
            put_mark(buf, area, 1, y, mark, theme);
            let room = usize::from(axis.label).saturating_sub(4);
            let style = if self.expert == Some(expert) { theme.accent() } else { theme.text() };
            put(buf, area, 3, y, &truncate(name, room), style);
            for at in axis.columns() {
                let (Some(x), Some(weights)) = (axis.x(at), grid.get(at)) else { continue };
                let (text, style) = self.cell(weights[expert], (peak, even), mark.hue, axis.cell, theme);
                put(buf, area, x, y, &text, style);
                if at == self.column && theme.has_gradient() {
                    tint(buf, area, x, y, axis.cell, theme.selection_unfocused());
                }
            }
        }
    }

    fn cell(
        &self,
        weight: f32,
        (peak, even): (f32, bool),
        hue: usize,
        cells: u16,
        theme: &Theme,
    ) -> (String, Style) {
        let cells = usize::from(cells);
        let part = if peak > 0.0 { weight / peak } else { 0.0 };
        if weight <= 0.0 {
            return (" ".repeat(cells), Style::new());
        }
        // Numbers that are all the same say less than bars; 100 in three cells has no gap to the next.
        if cells >= 3 && !even && !(cells == 3 && weight > 0.995) {
            let style = if self.faded { theme.category_faint(hue) } else { theme.category_cell(hue, part) };
            return (right(&format!("{:.0}", weight * 100.0), cells), style);
        }
        let style = if self.faded { theme.category_faint(hue) } else { theme.category(hue) };
        let gap = usize::from(cells >= 3);
        (format!("{}{}", column(part).repeat(cells - gap), " ".repeat(gap)), style)
    }
}

/// Shares of the prompt.
pub struct Totals<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    pub muted: &'a [String],
    /// The expert that keys act on.
    pub expert: Option<usize>,
    pub faded: bool,
    pub marks: &'a ExpertMarks,
}

impl Totals<'_> {
    /// Draws a heading, a row an expert, and how even it all is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let counted = self.digest.counted;
        let tokens = if counted == 1 { "token" } else { "tokens" };
        heading(buf, area, 0, &format!("share of {counted} {tokens}"), &self.entropy(), theme);
        let totals = &self.digest.totals;
        let room = usize::from(area.height).saturating_sub(1);
        let shown = rows(totals, if totals.len() > room { room.saturating_sub(1) } else { room });
        let peak = totals.iter().copied().fold(0.0, f64::max);
        let widest =
            shown.iter().map(|&e| crate::tui::text_width::width(&self.trace.experts[e])).max().unwrap_or(0);
        let cells = usize::from(area.width);
        // Mark, name, bar and percentage; the bar keeps a third.
        let name_room = widest.min(cells.saturating_sub(8 + cells / 3));
        let bar_room = cells.saturating_sub(name_room + 9);
        for (row, &expert) in shown.iter().enumerate() {
            let y = row as u16 + 1;
            let name = &self.trace.experts[expert];
            let muted = self.muted.contains(name);
            let share = totals.get(expert).copied().unwrap_or(0.0);
            let selected = self.expert == Some(expert);
            if selected {
                put(buf, area, 0, y, "›", theme.accent());
            }
            let mark = self.marks.of(name);
            put_mark(buf, area, 1, y, mark, theme);
            let style = if muted || self.faded { theme.dim() } else { theme.text() };
            put(buf, area, 3, y, &left(name, name_room), style);
            if selected {
                tint(buf, area, 3, y, name_room as u16, theme.selection());
            }
            let x = (name_room + 4) as u16;
            if muted {
                put(buf, area, x, y, "muted", theme.dim());
                continue;
            }
            let part = if peak > 0.0 { share / peak } else { 0.0 };
            let bar_style =
                if self.faded { theme.category_faint(mark.hue) } else { theme.category(mark.hue) };
            put(buf, area, x, y, &bar(part, bar_room), bar_style);
            let percent = right(&percent(share), 5);
            put(buf, area, x + bar_room as u16, y, &percent, style);
        }
        let hidden = totals.len() - shown.len();
        if hidden > 0 && room > 0 {
            let text = format!("   {hidden} more, each with less");
            put(buf, area, 0, shown.len() as u16 + 1, &text, theme.dim());
        }
    }

    /// Mean entropy against its greatest value, when anything was counted.
    fn entropy(&self) -> String {
        if self.digest.counted == 0 || self.digest.totals.iter().all(|&t| t == 0.0) {
            return String::new();
        }
        format!("entropy {:.2} of {:.2}", self.digest.entropy, (self.trace.width() as f64).ln())
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1}%") } else { format!("{percent:.0}%") }
}

/// One cell of the map in numbers.
pub struct CellDetail<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    pub token: usize,
    pub column: usize,
    pub faded: bool,
    pub marks: &'a ExpertMarks,
}

impl CellDetail<'_> {
    /// Draws a heading and every module of the cell with its experts.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let Self { trace, digest, token, column, faded, marks } = *self;
        let style = if faded { theme.dim() } else { theme.text() };
        let Some(at) = digest.columns.get(column) else { return };
        let text = trace.tokens.get(token).map(|t| quoted(&t.text, 18)).unwrap_or_default();
        let place = if at.label.bytes().all(|b| b.is_ascii_digit()) {
            format!("layer {}", at.label)
        } else {
            at.label.clone()
        };
        heading(buf, area, 0, &format!("{text} at {place}"), "", theme);
        let modules = at.modules.iter().filter_map(|&m| trace.modules.get(m));
        let kinds = modules.map(|m| ModulePath::new(m).short_kind());
        let widest = kinds.clone().map(crate::tui::text_width::width).max().unwrap_or(0).min(12);
        for (row, (kind, &module)) in kinds.zip(&at.modules).enumerate() {
            let y = row as u16 + 1;
            put(buf, area, 1, y, &left(kind, widest), theme.header());
            let mut x = widest as u16 + 3;
            let weights = trace.weights(token, module);
            if weights.is_empty() {
                put(buf, area, x, y, "no expert here", theme.dim());
            }
            for &(expert, weight) in weights {
                // Never half a number.
                if x + 6 > area.width {
                    put(buf, area, x.min(area.width.saturating_sub(1)), y, "…", theme.dim());
                    break;
                }
                let name = trace.experts.get(expert as usize).map_or("", String::as_str);
                put_mark(buf, area, x, y, marks.of(name), theme);
                put(buf, area, x + 2, y, &format!("{weight:.2}"), style);
                x += 8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experts_keep_their_letters_whatever_the_order_of_the_trace() {
        use super::super::testing::{PROMPT, Synthetic};
        let trace = Synthetic { experts: 3, layers: 2, ..Synthetic::default() }.trace(&PROMPT);
        let digest = Digest::new(&trace, None, false);
        let mut marks = ExpertMarks::default();
        // "capital" was there first; "antonym", the first of the trace, came last.
        let order = ["capital", "celsius", "antonym"].map(String::from);
        marks.update(&order, &[], &crate::tui::Shared::default());
        let totals =
            Totals { trace: &trace, digest: &digest, muted: &[], expert: None, faded: false, marks: &marks };
        let area = Rect::new(0, 0, 40, 4);
        let mut buf = Buffer::empty(area);
        totals.draw(&mut buf, area, &Theme::new(crate::tui::Depth::Plain));
        let text = crate::tui::testing::text(&buf);
        for line in ["C antonym", "A capital", "B celsius"] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn the_heaviest_experts_stay_when_room_is_short() {
        assert_eq!(rows(&[0.1, 0.5, 0.0, 0.4], 2), [1, 3]);
        assert_eq!(rows(&[0.1, 0.5], 9), [0, 1]);
        assert_eq!(rows(&[0.25; 4], 3), [0, 1, 2]);
        assert!(rows(&[], 3).is_empty());
    }

    #[test]
    fn percentages_have_two_digits() {
        assert_eq!([0.0, 0.0834, 0.0999, 0.5, 1.0].map(percent), ["0.0%", "8.3%", "10%", "50%", "100%"]);
    }
}

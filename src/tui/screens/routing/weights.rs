//! The weights of one token: experts × layers, below the map.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::digest::{Digest, mean_weights};
use super::experts::more;
use super::map::Axis;
use super::marks::{ExpertMarks, put_mark};
use super::paint::{column, heading, put, quoted, tint};
use crate::routing::Trace;
use crate::tui::Theme;
use crate::tui::text_width::{right, truncate, width};

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
        let sums: Vec<f64> = (0..self.trace.experts.len())
            .map(|e| grid.iter().map(|weights| f64::from(weights[e])).sum())
            .collect();
        let rows = rows(&sums, usize::from(area.height).saturating_sub(1));
        // Of those that have weight here.
        let hidden = (0..sums.len()).filter(|expert| sums[*expert] > 0.0 && !rows.contains(expert)).count();
        let scale = if peak > 0.0 { format!("█ = {peak:.2}") } else { String::new() };
        let notes = match hidden {
            0 => vec![scale],
            hidden => {
                [true, false].map(|words| more(hidden, words)).map(|more| format!("{more} · {scale}")).into()
            }
        };
        let place = Rect { width: axis.width().min(area.width), ..area };
        let room = usize::from(place.width).saturating_sub(width(&title) + 2);
        let note = notes.iter().find(|note| width(note) <= room).cloned();
        let note = note.or_else(|| (hidden > 0).then(|| more(hidden, false))).unwrap_or_default();
        heading(buf, place, 0, &title, &note, theme);
        for (row, expert) in rows.into_iter().enumerate() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_experts_stay_when_room_is_short() {
        assert_eq!(rows(&[0.1, 0.5, 0.0, 0.4], 2), [1, 3]);
        assert_eq!(rows(&[0.1, 0.5], 9), [0, 1]);
        assert_eq!(rows(&[0.25; 4], 3), [0, 1, 2]);
        assert!(rows(&[], 3).is_empty());
    }
}

//! One token at one layer: who has how much weight in each of its modules.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::digest::Digest;
use super::experts::Listed;
use super::marks::put_mark;
use super::paint::{bar, heading, put, quoted};
use crate::module_path::ModulePath;
use crate::routing::Trace;
use crate::tui::Theme;
use crate::tui::text_width::{left, truncate_middle, width};

/// The narrowest place for an expert's name, its weight and a bar.
const NAMED: usize = 20;

/// One cell of the map in numbers.
pub struct CellDetail<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    pub token: usize,
    pub column: usize,
    pub faded: bool,
    pub listed: &'a Listed<'a>,
}

impl CellDetail<'_> {
    /// Draws a heading and every module of the cell with its experts.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let Self { trace, digest, token, column, .. } = *self;
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
        let widest = kinds.clone().map(width).max().unwrap_or(0).min(12);
        let room = usize::from(area.width).saturating_sub(widest + 3);
        let most = at.modules.iter().map(|&m| trace.weights(token, m).len()).max().unwrap_or(0).clamp(1, 3);
        // As many experts side by side as can be named.
        let name =
            |&(expert, _): &(u32, f32)| trace.experts.get(expert as usize).map_or(0, |name| width(name));
        let longest =
            at.modules.iter().flat_map(|&m| trace.weights(token, m)).map(name).max().unwrap_or_default();
        let named = (most.min(2)..=most).rev().find(|count| room / count >= NAMED);
        for (row, (kind, &module)) in kinds.zip(&at.modules).enumerate() {
            let y = row as u16 + 1;
            put(buf, area, 1, y, &left(kind, widest), theme.header());
            let x = widest as u16 + 3;
            let weights = trace.weights(token, module);
            if weights.is_empty() {
                put(buf, area, x, y, "no expert here", theme.dim());
            }
            match named {
                Some(count) if y < area.height => {
                    let place = Rect { x: area.x + x, y: area.y + y, width: room as u16, height: 1 };
                    self.names(buf, place.intersection(area), weights, (count, longest), theme);
                }
                Some(_) => {}
                None => self.letters(buf, area, (x, y), weights, theme),
            }
        }
    }

    fn letters(&self, buf: &mut Buffer, area: Rect, at: (u16, u16), weights: &[(u32, f32)], theme: &Theme) {
        let style = if self.faded { theme.dim() } else { theme.text() };
        let (mut x, y) = at;
        for &(expert, weight) in weights {
            // Never half a number.
            if x + 6 > area.width {
                put(buf, area, x.min(area.width.saturating_sub(1)), y, "…", theme.dim());
                break;
            }
            put_mark(buf, area, x, y, self.listed.mark(self.trace, expert as usize), theme);
            put(buf, area, x + 2, y, &format!("{weight:.2}"), style);
            x += 8;
        }
    }

    /// Names, weights and bars of as many experts as stand side by side in `place`.
    fn names(
        &self,
        buf: &mut Buffer,
        place: Rect,
        weights: &[(u32, f32)],
        (count, longest): (usize, usize),
        theme: &Theme,
    ) {
        let style = if self.faded { theme.dim() } else { theme.text() };
        let cells = usize::from(place.width) / count;
        let name = |expert: u32| self.trace.experts.get(expert as usize).map_or("", String::as_str);
        // A bar gets a third, where a name leaves less.
        let room = longest.min(cells.saturating_sub(9).max(1) * 2 / 3);
        let room = if cells < NAMED + 4 { longest.min(cells.saturating_sub(9)) } else { room };
        for (at, &(expert, weight)) in weights.iter().take(count).enumerate() {
            let x = (at * cells) as u16;
            let mark = self.listed.mark(self.trace, expert as usize);
            put_mark(buf, place, x, 0, mark, theme);
            put(buf, place, x + 2, 0, &left(&truncate_middle(name(expert), room), room), style);
            put(buf, place, x + 3 + room as u16, 0, &format!("{weight:.2}"), style);
            let bars = cells.saturating_sub(room + 10);
            let colour = if self.faded { theme.category_faint(mark.hue) } else { theme.category(mark.hue) };
            put(buf, place, x + 8 + room as u16, 0, &bar(f64::from(weight), bars), colour);
        }
    }
}

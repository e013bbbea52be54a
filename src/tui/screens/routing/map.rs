//! Tokens × layers: which expert leads where. Tokens are rows, so that their text can be read.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::digest::{Cell, Digest, strength};
use super::experts::Listed;
use super::paint::{put, quoted, scroll, tint};
use crate::routing::{Part, Trace};
use crate::tui::Theme;
use crate::tui::text_width::{left, width};

/// Where the layers stand, shared by the map and by the weights below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Cells before the first column: a mark and the row's name.
    pub label: u16,
    /// Cells per column.
    pub cell: u16,
    /// First visible column and how many are visible.
    pub first: usize,
    pub visible: usize,
}

impl Axis {
    /// Fits `columns` and names of `longest` cells into `room` cells, columns as wide as possible (1–4 cells).
    pub fn fit(room: u16, columns: usize, longest: usize, cursor: usize) -> Self {
        let room_cells = usize::from(room);
        let longest = longest.clamp(5, 20);
        let cell = (1..=4usize).rev().find(|cell| 2 + longest + columns * cell <= room_cells).unwrap_or(1);
        // Long names give way to the columns, as far as they stay readable.
        let label = (2 + longest).min(room_cells.saturating_sub(columns * cell).max(10)).min(room_cells);
        let visible = ((room_cells - label) / cell).min(columns);
        Self { label: label as u16, cell: cell as u16, first: scroll(cursor, columns, visible), visible }
    }

    /// Cells that it needs.
    pub fn width(&self) -> u16 {
        self.label + self.visible as u16 * self.cell
    }

    /// Offset of a visible column.
    pub fn x(&self, column: usize) -> Option<u16> {
        let at = column.checked_sub(self.first).filter(|at| *at < self.visible)?;
        Some(self.label + at as u16 * self.cell)
    }

    /// Offset of the mark inside a cell.
    fn middle(&self) -> u16 {
        u16::from(self.cell > 2)
    }

    /// The visible columns.
    pub fn columns(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.visible
    }

    /// Writes the layer numbers into row `y`, the one under the cursor always and marked.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, y: u16, digest: &Digest, cursor: usize, theme: &Theme) {
        let layers = digest.columns.iter().filter(|c| c.starts_layer).count().max(1);
        let per_layer = digest.columns.len() * usize::from(self.cell) / layers;
        let longest = digest.columns.iter().map(|c| width(&c.label)).max().unwrap_or(1).min(6);
        let step =
            [1, 2, 5, 10, 20, 50].into_iter().find(|step| step * per_layer > longest.max(2)).unwrap_or(100);
        // The cursor's number comes first: it always has room, and others make way for it.
        let mut taken = 0..0;
        if let (Some(x), Some(at)) = (self.x(cursor), digest.columns.get(cursor)) {
            let text = format!("{}▾", at.label);
            let cells = width(&text) as u16;
            // The mark stands right above its column, the number before it.
            let x = (x + self.middle() + 1).saturating_sub(cells);
            put(buf, area, x, y, &text, theme.accent());
            taken = x.saturating_sub(1)..x + cells + 1;
        }
        let mut free = 0;
        for column in self.columns() {
            let (Some(x), Some(at)) = (self.x(column), digest.columns.get(column)) else { continue };
            let x = x + self.middle();
            let cells = width(&at.label) as u16;
            let on_step = at.label.parse::<usize>().map_or(true, |layer| layer % step == 0);
            let fits = x >= free && x + cells <= self.width() && (x + cells <= taken.start || x >= taken.end);
            if at.starts_layer && on_step && fits {
                free = x + put(buf, area, x, y, &at.label, theme.dim()) + 1;
            }
        }
    }
}

/// What the map needs besides the axis.
pub struct Map<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    /// Token and column under the cursor.
    pub token: usize,
    pub column: usize,
    /// An expert that a person chose: its cells stand out.
    pub expert: Option<usize>,
    /// Old: a newer answer is on its way.
    pub faded: bool,
    pub listed: &'a Listed<'a>,
    /// Another run of the same prompt: only what is not as there stands out.
    pub against: Option<&'a Digest>,
}

/// What stands for a cell that is led by the same expert as in another run.
pub const SAME: char = '·';

impl Map<'_> {
    /// Draws the axis in the first row and tokens below it; where there is one row, the token under the cursor alone.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, axis: &Axis, theme: &Theme) {
        let head = u16::from(area.height > 1);
        if head > 0 {
            put(buf, area, 0, 0, &left("  token", usize::from(axis.label)), theme.header());
            axis.draw(buf, area, 0, self.digest, self.column, theme);
        }
        let rows = usize::from(area.height - head);
        let first = scroll(self.token, self.trace.tokens.len(), rows);
        for (row, token) in (first..self.trace.tokens.len()).take(rows).enumerate() {
            self.draw_token(buf, area, row as u16 + head, token, axis, theme);
        }
    }

    fn draw_token(&self, buf: &mut Buffer, area: Rect, y: u16, token: usize, axis: &Axis, theme: &Theme) {
        let Some(at) = self.trace.tokens.get(token) else { return };
        let counts = self.trace.counts(token);
        let style = match at.part {
            Part::Generated | Part::Template | Part::Prompt if self.faded || !counts => theme.dim(),
            Part::Generated => theme.ok(),
            Part::Template | Part::Prompt => theme.text(),
        };
        let mark = match at.part {
            Part::Generated | Part::Template | Part::Prompt if token == self.token => "›",
            Part::Generated => "+",
            Part::Template | Part::Prompt => " ",
        };
        put(buf, area, 0, y, mark, if token == self.token { theme.accent() } else { theme.ok() });
        let room = usize::from(axis.label).saturating_sub(2);
        let name = left(&quoted(&at.text, room), room);
        put(buf, area, 1, y, &name, style);
        if token == self.token {
            tint(buf, area, 1, y, axis.label.saturating_sub(2), theme.selection());
        }
        for column in axis.columns() {
            let Some(x) = axis.x(column) else { continue };
            let cell = self.digest.cell(token, column);
            let moved = self.moved(token, column);
            let style = if (token, column) == (self.token, self.column) {
                theme.cursor()
            } else if moved {
                self.style(cell, counts, theme)
            } else {
                theme.dim()
            };
            let glyph = if moved { self.glyph(cell, axis.cell) } else { centred(SAME, axis.cell) };
            put(buf, area, x, y, &glyph, style);
        }
    }

    /// Whether a cell is led by another expert than in the run that it is compared with; of any cell, without one.
    fn moved(&self, token: usize, column: usize) -> bool {
        let leader = |digest: &Digest| {
            let cell = digest.cell(token, column);
            (cell.expert.filter(|_| !cell.tie), cell.tie)
        };
        self.against.is_none_or(|other| leader(self.digest) != leader(other))
    }

    fn style(&self, cell: Cell, counts: bool, theme: &Theme) -> Style {
        let Some(expert) = cell.expert.filter(|_| !cell.tie) else { return theme.dim() };
        let expert = expert as usize;
        let category = self.listed.mark(self.trace, expert).hue;
        if self.faded || !counts || self.expert.is_some_and(|chosen| chosen != expert) {
            return theme.category_faint(category);
        }
        theme.category_cell(category, strength(cell.weight, self.trace.experts.len()))
    }

    /// The mark of the leader in the middle of a cell; `=` where all have the same, blank where nobody has any.
    fn glyph(&self, cell: Cell, cells: u16) -> String {
        let mark = match cell.expert {
            None => ' ',
            Some(_) if cell.tie => '=',
            Some(expert) => self.listed.mark(self.trace, expert as usize).letter,
        };
        centred(mark, cells)
    }
}

/// A mark in the middle of a cell.
fn centred(mark: char, cells: u16) -> String {
    let cells = usize::from(cells);
    let before = usize::from(cells > 2);
    format!("{}{mark}{}", " ".repeat(before), " ".repeat(cells.saturating_sub(before + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_wider_with_room_and_scroll_without() {
        assert_eq!(Axis::fit(160, 30, 12, 0), Axis { label: 14, cell: 4, first: 0, visible: 30 });
        assert_eq!(Axis::fit(48, 30, 12, 0), Axis { label: 14, cell: 1, first: 0, visible: 30 });
        assert_eq!(Axis::fit(40, 30, 12, 0), Axis { label: 10, cell: 1, first: 0, visible: 30 });
        let narrow = Axis::fit(25, 30, 12, 29);
        assert_eq!((narrow.visible, narrow.first), (15, 15));
        assert_eq!(narrow.x(29), Some(24));
        assert_eq!(narrow.x(3), None);
        for room in 0..60 {
            let axis = Axis::fit(room, 30, 9, 12);
            assert!(axis.width() <= room, "{room}: {axis:?}");
        }
    }
}

//! A matrix as a picture with a cursor: half blocks in colour, a glyph ramp without.
//!
//! Larger than the screen, entries are averaged (missing ones and, if asked, the diagonal left out);
//! smaller, each entry becomes a box of whole cells with its number in it where there is room.
//! The averaged levels are cached by data version, viewport and range; colours are looked up per frame,
//! so a change of theme needs no new averages.

mod draw;
mod geometry;
mod keys;

use std::cell::{Cell, RefCell};
use std::ops::Range;

use ratatui::text::Line;

pub use geometry::{Axis, Geometry};
pub(in crate::tui) use keys::{map_corners, map_leaps, map_steps, map_zoom};

/// What to draw. Positions are those on screen; `row_order` and `column_order` map them to the matrix.
pub struct Heatmap<'a> {
    /// Row-major matrix; NaN is a missing value.
    pub values: &'a [f32],
    /// Columns of the matrix (not of the screen).
    pub stride: usize,
    /// Matrix row of each position; entries outside the matrix draw as missing.
    pub row_order: &'a [usize],
    /// The same of columns.
    pub column_order: &'a [usize],
    /// Differs whenever `values` or an order differ: the key of the cache.
    pub version: u64,
    /// Values drawn with the lowest and the highest colour; beyond is clamped.
    pub range: (f32, f32),
    /// Leaves entries at equal positions out of averages: an expert equals itself, which says nothing.
    pub skip_diagonal: bool,
    /// Name of a row; drawn where a row has a line of its own.
    pub row_label: &'a dyn Fn(usize) -> String,
    /// Widest row label, in cells.
    pub label_width: usize,
    /// Short names (numbers), drawn as often as there is room: of rows without a line of their own, of columns.
    pub row_tick: &'a dyn Fn(usize) -> String,
    /// The same of columns.
    pub column_tick: &'a dyn Fn(usize) -> String,
    /// Position 0 counts as this when ticks at multiples of 2, 5, 10 … are chosen.
    pub first_tick: usize,
    /// Group of each row and of each column position, drawn as strips beside the picture; empty: none.
    pub groups: &'a [usize],
    /// What the legend says about the range.
    pub note: &'a str,
    /// What is under the cursor.
    pub readout: Line<'a>,
}

/// Cursor, zoom and cached picture. Cursor positions are those on screen.
#[derive(Debug, Default)]
pub struct HeatmapState {
    row: usize,
    column: usize,
    /// Rows that should be seen at once; `None`: all.
    span: Option<usize>,
    /// How the last frame was laid out: written by drawing, read by zooming and scrolling.
    last: Cell<Last>,
    cache: RefCell<Option<Cache>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Last {
    geometry: Geometry,
    /// Cells that the picture may take.
    room: (usize, usize),
}

#[derive(Debug)]
struct Cache {
    key: (u64, Geometry, [u32; 2]),
    levels: Vec<u8>,
}

/// Level of a missing value.
const MISSING: u8 = u8::MAX;
/// Highest level; level / TOP is the place in the range.
const TOP: u8 = 250;
/// Entries averaged per pixel and axis; more are sampled evenly, so that one frame stays fast at any N.
const SAMPLES: usize = 16;

/// A step over a matrix, or another zoom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapMove {
    /// One column.
    Left,
    /// One column.
    Right,
    /// One row.
    Up,
    /// One row.
    Down,
    /// Many columns.
    FarLeft,
    /// Many columns.
    FarRight,
    /// Many rows.
    FarUp,
    /// Many rows.
    FarDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Zoom in.
    Closer,
    /// Zoom out.
    Wider,
    /// Show everything.
    Whole,
}

impl HeatmapState {
    /// Row and column under the cursor.
    pub fn cursor(&self) -> (usize, usize) {
        (self.row, self.column)
    }

    /// Moves the cursor.
    pub fn set_cursor(&mut self, row: usize, column: usize) {
        (self.row, self.column) = (row, column);
    }

    /// Keeps the cursor inside a matrix of this size.
    pub fn clamp(&mut self, rows: usize, columns: usize) {
        self.row = self.row.min(rows.saturating_sub(1));
        self.column = self.column.min(columns.saturating_sub(1));
    }

    /// Moves or zooms.
    pub fn go(&mut self, step: MapMove, rows: usize, columns: usize) {
        let page = |axis: Axis| (axis.shown / 4).clamp(4, 50);
        let (far_y, far_x) = (page(self.last.get().geometry.y), page(self.last.get().geometry.x));
        match step {
            MapMove::Left => self.column = self.column.saturating_sub(1),
            MapMove::Right => self.column += 1,
            MapMove::Up => self.row = self.row.saturating_sub(1),
            MapMove::Down => self.row += 1,
            MapMove::FarLeft => self.column = self.column.saturating_sub(far_x),
            MapMove::FarRight => self.column += far_x,
            MapMove::FarUp => self.row = self.row.saturating_sub(far_y),
            MapMove::FarDown => self.row += far_y,
            MapMove::First => (self.row, self.column) = (0, 0),
            MapMove::Last => (self.row, self.column) = (rows, columns),
            MapMove::Closer => self.zoom(true, rows, columns),
            MapMove::Wider => self.zoom(false, rows, columns),
            MapMove::Whole => self.span = None,
        }
        self.clamp(rows, columns);
    }

    /// Whether part of the matrix lies outside the screen by choice.
    pub fn is_zoomed(&self) -> bool {
        self.span.is_some()
    }

    /// The next zoom that looks different on the screen as it was last drawn, if there is one.
    fn zoom(&mut self, closer: bool, rows: usize, columns: usize) {
        let Last { geometry, room } = self.last.get();
        let shape = |span: Option<usize>| {
            let y = Geometry::vertical(rows, room.1, span, geometry.per_row);
            let x = Geometry::horizontal(columns, room.0, rows, span, y, geometry.per_row);
            (x.shown, x.factor, y.shown, y.factor)
        };
        let present = shape(self.span);
        let mut span = self.span.unwrap_or(rows).min(rows);
        loop {
            if closer {
                if span <= 1 {
                    return;
                }
                span = (span * 2 / 3).max(1);
            } else {
                span = (span * 3).div_ceil(2).max(span + 1);
                if span >= rows {
                    self.span = None;
                    return;
                }
            }
            if shape(Some(span)) != present {
                self.span = Some(span);
                return;
            }
        }
    }

    /// Lays the picture out in `width` × `height` cells around the cursor.
    fn layout(&self, rows: usize, columns: usize, width: usize, y: Axis, per_row: usize) -> Geometry {
        let old = self.last.get().geometry;
        Geometry {
            x: Geometry::horizontal(columns, width, rows, self.span, y, per_row).scrolled(
                old.x.first,
                self.column.min(columns.saturating_sub(1)),
                columns,
            ),
            y: y.scrolled(old.y.first, self.row.min(rows.saturating_sub(1)), rows),
            per_row,
        }
    }

    /// Levels of all pixels, row by row, from the cache when nothing changed.
    fn with_levels<R>(&self, map: &Heatmap, geometry: Geometry, then: impl FnOnce(&[u8]) -> R) -> R {
        let key = (map.version, geometry, [map.range.0.to_bits(), map.range.1.to_bits()]);
        let mut cache = self.cache.borrow_mut();
        match &*cache {
            Some(cache) if cache.key == key => then(&cache.levels),
            _ => {
                let fresh = Cache { key, levels: map.levels(geometry) };
                let result = then(&fresh.levels);
                *cache = Some(fresh);
                result
            }
        }
    }
}

/// At most [`SAMPLES`] evenly spaced members of a range.
fn sampled(range: Range<usize>) -> impl Iterator<Item = usize> {
    let step = range.len().div_ceil(SAMPLES).max(1);
    range.step_by(step)
}

/// Adds the values of a row at `columns` that are there, and their number.
fn add(sum: &mut (f32, u32), row: &[f32], columns: impl Iterator<Item = usize>) {
    for column in columns {
        let value = row.get(column).copied().unwrap_or(f32::NAN);
        // No branch: this runs once per entry of the matrix.
        let there = !value.is_nan();
        sum.0 += if there { value } else { 0.0 };
        sum.1 += u32::from(there);
    }
}

impl Heatmap<'_> {
    fn rows(&self) -> usize {
        self.row_order.len()
    }

    fn columns(&self) -> usize {
        self.column_order.len()
    }

    /// Value at a position; NaN when there is none.
    pub fn value(&self, row: usize, column: usize) -> f32 {
        let (Some(&r), Some(&c)) = (self.row_order.get(row), self.column_order.get(column)) else {
            return f32::NAN;
        };
        if c >= self.stride {
            return f32::NAN;
        }
        self.values.get(r * self.stride + c).copied().unwrap_or(f32::NAN)
    }

    /// Place of a value in the range, 0..=1; one half when the range is a point; NaN for NaN.
    pub(crate) fn place(&self, value: f32) -> f32 {
        let (low, high) = self.range;
        if value.is_nan() {
            f32::NAN
        } else if high > low {
            ((value - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            0.5
        }
    }

    fn level(&self, value: f32) -> u8 {
        let place = self.place(value);
        if place.is_nan() { MISSING } else { (place * f32::from(TOP)).round() as u8 }
    }

    /// Mean value under each pixel, as levels.
    fn levels(&self, geometry: Geometry) -> Vec<u8> {
        let Geometry { x, y, .. } = geometry;
        // Pixels of one entry repeat it; one per entry is enough to average.
        let (step_x, step_y) = (x.factor.max(1), y.factor.max(1));
        // Matrix columns under each pixel, one pixel after the other, and where those of each end.
        let mut sources: Vec<usize> = Vec::with_capacity(x.shown);
        let mut ends = Vec::with_capacity(x.pixels);
        for pixel in (0..x.pixels).step_by(step_x) {
            sources
                .extend(sampled(x.entries(pixel)).map(|at| self.column_order.get(at).unwrap_or(&usize::MAX)));
            ends.push(sources.len());
        }
        let averaging = x.factor == 0 || y.factor == 0;
        let mut levels = Vec::with_capacity(x.pixels * y.pixels);
        let mut sums = vec![(0.0f32, 0u32); ends.len()];
        for pixel in (0..y.pixels).step_by(step_y) {
            sums.fill((0.0, 0));
            for position in sampled(y.entries(pixel)) {
                let Some(&row) = self.row_order.get(position) else { continue };
                let start = row.saturating_mul(self.stride);
                let row = self.values.get(start..start.saturating_add(self.stride)).unwrap_or(&[]);
                let idle = if self.skip_diagonal && averaging { x.pixels_of(position) } else { None };
                let idle = idle.map(|pixels| pixels.start / step_x);
                let mut start = 0;
                for (index, (sum, &end)) in sums.iter_mut().zip(&ends).enumerate() {
                    let columns = &sources[start..end];
                    start = end;
                    if idle == Some(index) {
                        let mine = self.column_order.get(position);
                        add(sum, row, columns.iter().copied().filter(|at| Some(at) != mine));
                    } else {
                        add(sum, row, columns.iter().copied());
                    }
                }
            }
            let line = levels.len();
            for (column, &(sum, count)) in sums.iter().enumerate() {
                let mean = if count > 0 {
                    sum / count as f32
                } else {
                    // Nothing but the diagonal (or nothing at all) is under this pixel.
                    self.value(y.entries(pixel).start, x.entries(column * step_x).start)
                };
                levels.resize(levels.len() + step_x, self.level(mean));
            }
            for _ in 1..step_y {
                levels.extend_from_within(line..line + x.pixels);
            }
        }
        levels
    }
}

#[cfg(test)]
mod tests;

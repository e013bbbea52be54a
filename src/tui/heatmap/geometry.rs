//! Which matrix entries stand under which pixels: integer arithmetic only, total for every size.
//!
//! A pixel is one screen column wide and half a screen row high in colour modes (half blocks), a
//! whole row high without colour.

use std::ops::Range;

/// One axis of the picture: entries `first .. first + shown` of the matrix on `pixels` pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Axis {
    /// First entry shown.
    pub first: usize,
    /// Number of entries shown.
    pub shown: usize,
    /// Number of pixels used.
    pub pixels: usize,
    /// Pixels per entry, or 0 when several entries share a pixel.
    pub factor: usize,
}

impl Axis {
    /// `shown` entries at `factor` pixels each.
    fn enlarged(shown: usize, factor: usize) -> Self {
        Self { first: 0, shown, pixels: shown * factor, factor }
    }

    /// `shown` entries squeezed into `pixels`; needs `shown > pixels`.
    fn reduced(shown: usize, pixels: usize) -> Self {
        Self { first: 0, shown: if pixels == 0 { 0 } else { shown }, pixels, factor: 0 }
    }

    /// Scrolls by as little as needed to show `cursor`, starting from `first`, within `len` entries.
    pub fn scrolled(mut self, first: usize, cursor: usize, len: usize) -> Self {
        let lowest = (cursor + 1).saturating_sub(self.shown);
        self.first = first.clamp(lowest, cursor.max(lowest)).min(len.saturating_sub(self.shown));
        self
    }

    /// Entries under a pixel; empty when the pixel lies outside.
    pub fn entries(&self, pixel: usize) -> Range<usize> {
        if pixel >= self.pixels {
            return 0..0;
        }
        if let Some(index) = pixel.checked_div(self.factor) {
            let entry = self.first + index;
            return entry..entry + 1;
        }
        let edge = |p: usize| self.first + p * self.shown / self.pixels;
        edge(pixel)..edge(pixel + 1)
    }

    /// Pixels of an entry; `None` when it is not shown.
    pub fn pixels_of(&self, entry: usize) -> Option<Range<usize>> {
        let index = entry.checked_sub(self.first).filter(|&index| index < self.shown)?;
        if self.factor > 0 {
            return Some(index * self.factor..(index + 1) * self.factor);
        }
        let pixel = ((index + 1) * self.pixels - 1) / self.shown;
        Some(pixel..pixel + 1)
    }
}

/// Both axes of a picture, and how high a pixel is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Columns.
    pub x: Axis,
    /// Rows.
    pub y: Axis,
    /// Pixels per screen row: 2 with half blocks, 1 without.
    pub per_row: usize,
}

/// Highest entry, in screen rows; more would only waste the screen.
const MAX_ROWS: usize = 3;

impl Geometry {
    /// The vertical axis of `rows` entries on `height` screen rows, of which about `span` should be
    /// seen (`None`: all). Entries of a row or more are whole rows high, so that labels stand beside them.
    pub fn vertical(rows: usize, height: usize, span: Option<usize>, per_row: usize) -> Axis {
        let pixels = height * per_row;
        let span = span.unwrap_or(rows).clamp(rows.min(1), rows);
        if span == 0 || pixels == 0 {
            return Axis::default();
        }
        if span > pixels {
            return Axis::reduced(span, pixels);
        }
        let whole = (height / span).min(MAX_ROWS) * per_row;
        let factor = if whole == 0 { 1 } else { whole };
        Axis::enlarged(rows.min(pixels / factor), factor)
    }

    /// The horizontal axis for `columns` entries on `width` screen columns, in proportion to the
    /// vertical axis of `rows` entries at the same zoom.
    pub fn horizontal(
        columns: usize,
        width: usize,
        rows: usize,
        span: Option<usize>,
        y: Axis,
        per_row: usize,
    ) -> Axis {
        let span =
            span.map_or(
                columns,
                |span| {
                    if span >= rows { columns } else { (columns * span).div_ceil(rows.max(1)) }
                },
            );
        let span = span.clamp(columns.min(1), columns);
        if span == 0 || width == 0 || y.pixels == 0 {
            return Axis::default();
        }
        // Twice as wide as high at most (a screen column is half as wide as a row is high).
        let widest = match y.factor.checked_div(per_row.max(1)) {
            _ if y.factor == 0 => 1,
            Some(0) | None => 2,
            Some(whole) => 4 + 2 * whole,
        };
        if y.factor == 0 && columns == rows {
            let pixels = width.min(y.pixels * 4 / per_row.max(1));
            return if span > pixels { Axis::reduced(span, pixels) } else { Axis::enlarged(span, 1) };
        }
        if span > width {
            return Axis::reduced(span, width);
        }
        let factor = (width / span).clamp(1, widest);
        Axis::enlarged(columns.min(width / factor), factor)
    }

    /// Screen columns and rows in use.
    pub fn cells(&self) -> (usize, usize) {
        (self.x.pixels, self.y.pixels.div_ceil(self.per_row.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometry(
        (rows, columns): (usize, usize),
        (width, height): (usize, usize),
        span: Option<usize>,
        per_row: usize,
        cursor: (usize, usize),
    ) -> Geometry {
        let y = Geometry::vertical(rows, height, span, per_row);
        let x = Geometry::horizontal(columns, width, rows, span, y, per_row);
        Geometry {
            x: x.scrolled(cursor.1 / 2, cursor.1, columns),
            y: y.scrolled(cursor.0 / 2, cursor.0, rows),
            per_row,
        }
    }

    fn check_axis(axis: Axis, len: usize, room: usize, cursor: usize) -> Result<(), TestCaseError> {
        prop_assert!(axis.pixels <= room, "{axis:?} in {room}");
        prop_assert!(axis.first + axis.shown <= len, "{axis:?} of {len}");
        let mut next = axis.first;
        for pixel in 0..axis.pixels {
            let entries = axis.entries(pixel);
            prop_assert!(!entries.is_empty());
            // Pixels tile the shown entries in order, without gaps.
            prop_assert!(entries.start == next || (axis.factor > 0 && entries.end == next));
            next = entries.end;
            for entry in entries {
                let pixels = axis.pixels_of(entry);
                prop_assert!(pixels.is_some_and(|p| p.contains(&pixel)), "{axis:?} {entry} {pixel}");
            }
        }
        prop_assert_eq!(next, axis.first + axis.shown);
        prop_assert!(axis.entries(axis.pixels).is_empty());
        prop_assert!(axis.pixels_of(axis.first + axis.shown).is_none());
        if axis.pixels > 0 {
            prop_assert!(axis.pixels_of(cursor).is_some(), "{axis:?} hides {cursor}");
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn pixels_and_entries_map_onto_each_other_at_any_size_and_zoom(
            rows in 0usize..400, columns in 0usize..400,
            width in 0usize..260, height in 0usize..90,
            span in proptest::option::of(0usize..500),
            per_row in 1usize..3,
            at in (0.0f64..1.0, 0.0f64..1.0),
        ) {
            let cursor = ((at.0 * rows as f64) as usize, (at.1 * columns as f64) as usize);
            let geometry = geometry((rows, columns), (width, height), span, per_row, cursor);
            check_axis(geometry.y, rows, height * per_row, cursor.0)?;
            check_axis(geometry.x, columns, width, cursor.1)?;
            let cells = geometry.cells();
            prop_assert!(cells.0 <= width && cells.1 <= height);
        }
    }

    #[test]
    fn all_entries_are_shown_when_nothing_is_zoomed() {
        for n in [1, 2, 12, 33, 80, 1000] {
            let g = geometry((n, n), (100, 30), None, 2, (0, 0));
            assert_eq!((g.x.shown, g.y.shown), (n, n));
        }
    }

    #[test]
    fn a_small_matrix_gets_whole_rows_and_room_for_numbers() {
        let g = geometry((12, 12), (70, 16), None, 2, (0, 0));
        assert_eq!((g.y.factor, g.x.factor), (2, 5));
    }
}

//! Drawing of a [`Heatmap`] into a buffer: strips, ticks, labels, picture, readout, legend.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::{Axis, Geometry, Heatmap, HeatmapState, Last, MISSING, TOP};
use crate::tui::{Theme, cluster_mark, text_width};

/// Where the parts stand, in screen coordinates.
struct Places {
    /// Row labels; as wide as they get.
    labels: Rect,
    /// Left strip: one column or none.
    strip: Rect,
    /// Column ticks and upper strip: one row or none each.
    ticks: Rect,
    upper: Rect,
    picture: Rect,
    geometry: Geometry,
    /// Whether each row of the picture belongs to one entry, so that names can stand beside it.
    named: bool,
}

impl Heatmap<'_> {
    /// Draws everything; the legend first of all, then the readout, then the picture, as room allows.
    /// Returns where the picture is, margins not included; empty without one.
    pub fn render(&self, area: Rect, buf: &mut Buffer, state: &HeatmapState, theme: &Theme) -> Rect {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return Rect::default();
        }
        self.legend(line_of(area, area.height - 1), buf, theme);
        if area.height >= 2 {
            let at = line_of(area, area.height - 2);
            self.readout.clone().render(at, buf);
        }
        if area.height < 3 || self.rows() == 0 || self.columns() == 0 {
            return Rect::default();
        }
        let body = Rect { height: area.height - 2, ..area };
        let Some(places) = self.places(body, state, theme) else { return Rect::default() };
        let (row, column) = state.cursor();
        let hit_x = places.geometry.x.pixels_of(column).unwrap_or(0..0);
        let hit_y = places.geometry.y.pixels_of(row).unwrap_or(0..0);
        state.with_levels(self, places.geometry, |levels| {
            let painter = Painter { map: self, theme, places: &places, levels, hit_x, hit_y };
            if theme.has_gradient() {
                painter.colours(buf)
            } else {
                painter.glyphs(buf)
            }
            painter.numbers(buf, state.cursor());
        });
        self.left(&places, buf, row, theme);
        self.top(&places, buf, column, theme);
        places.picture
    }

    fn places(&self, body: Rect, state: &HeatmapState, theme: &Theme) -> Option<Places> {
        let per_row = if theme.has_gradient() { 2 } else { 1 };
        let ticks = u16::from(body.height >= 5);
        let upper = u16::from(body.height >= 7 && !self.groups.is_empty());
        let height = body.height - ticks - upper;
        let y = Geometry::vertical(self.rows(), height.into(), state.span, per_row);
        let named = y.factor >= per_row;
        let tick = self.rows().checked_sub(1).map_or(0, |last| text_width::width(&(self.row_tick)(last)));
        let (most, wanted) = if named { (usize::from(body.width) / 3, self.label_width) } else { (6, tick) };
        let label = wanted.min(most) as u16;
        let label = if body.width >= 12 { label } else { 0 };
        let strip = u16::from(!self.groups.is_empty() && body.width >= 12);
        let margin = label + u16::from(label > 0) + strip;
        // Behind the picture, the row of the cursor is marked once more.
        let behind = u16::from(margin > 0);
        let room = body.width.saturating_sub(margin + behind);
        let geometry = state.layout(self.rows(), self.columns(), room.into(), y, per_row);
        state.last.set(Last { geometry, room: (room.into(), height.into()) });
        let (wide, high) = geometry.cells();
        if wide == 0 || high == 0 {
            return None;
        }
        let x = body.x + margin;
        let top = body.y + ticks + upper;
        let picture = Rect { x, y: top, width: wide as u16, height: high as u16 };
        Some(Places {
            labels: Rect { x: body.x, width: label, ..picture },
            strip: Rect { x: x - strip, width: strip, ..picture },
            ticks: Rect { y: body.y, height: ticks, width: room, ..picture },
            upper: Rect { y: body.y + ticks, height: upper, ..picture },
            picture,
            geometry,
            named,
        })
    }

    /// Names or ticks of rows, and the strip of groups.
    fn left(&self, places: &Places, buf: &mut Buffer, cursor: usize, theme: &Theme) {
        let Geometry { y, per_row, .. } = places.geometry;
        let width = usize::from(places.labels.width);
        let step = tick_step(1, y.pixels as f64 / y.shown.max(1) as f64 / per_row as f64);
        for line in 0..places.picture.height {
            let pixels = usize::from(line) * per_row;
            let entries = y.entries(pixels).start..y.entries((pixels + per_row).min(y.pixels) - 1).end;
            let first = line == 0 || y.pixels_of(entries.start).is_some_and(|p| p.start == pixels);
            let here = entries.contains(&cursor);
            let style = if here { theme.accent() } else { theme.dim() };
            // Names stand where the numbers of their rows stand: in the middle line.
            let middle = (y.factor / per_row).saturating_sub(1) / 2;
            let labelled =
                if places.named { usize::from(line) % (y.factor / per_row) == middle } else { first };
            if width > 0 && labelled {
                let text = if places.named {
                    (self.row_label)(entries.start)
                } else if here {
                    (self.row_tick)(cursor)
                } else {
                    let at = entries.clone().find(|at| (at + self.first_tick).is_multiple_of(step));
                    at.map(|at| (self.row_tick)(at)).unwrap_or_default()
                };
                let text = text_width::truncate_middle(&text, width);
                let text = if places.named { text } else { format!("{text:>width$}") };
                buf.set_stringn(places.labels.x, places.labels.y + line, text, width, style);
                if here {
                    let x = places.labels.x + places.labels.width;
                    buf.set_string(x, places.labels.y + line, "▸", theme.accent());
                    buf.set_string(places.picture.right(), places.labels.y + line, "◂", theme.accent());
                }
            }
            if places.strip.width > 0 {
                self.strip_mark(buf, (places.strip.x, places.strip.y + line), &entries, first, "│", theme);
            }
        }
    }

    /// One cell of a strip: the number of the group where it begins, else a line in its colour.
    fn strip_mark(
        &self,
        buf: &mut Buffer,
        (x, y): (u16, u16),
        entries: &Range<usize>,
        first: bool,
        line: &str,
        theme: &Theme,
    ) {
        let Some(&group) = self.groups.get(entries.start) else { return };
        let begins = |at: usize| at == 0 || self.groups.get(at - 1) != self.groups.get(at);
        let begin = entries.clone().find(|&at| begins(at)).filter(|_| first);
        let group = begin.and_then(|at| self.groups.get(at)).copied().unwrap_or(group);
        let style = theme.category(group);
        match begin {
            Some(_) => {
                let mark = cluster_mark::one_cell(group);
                buf.set_string(
                    x,
                    y,
                    mark.encode_utf8(&mut [0; 4]),
                    style.add_modifier(Modifier::BOLD | Modifier::REVERSED),
                )
            }
            None => buf.set_string(x, y, line, style),
        }
    }

    /// Ticks of columns and the strip of groups.
    fn top(&self, places: &Places, buf: &mut Buffer, cursor: usize, theme: &Theme) {
        let x = places.geometry.x;
        if places.upper.height > 0 {
            let mut shown = x.first;
            for column in 0..places.picture.width {
                let entries = x.entries(column.into());
                let first = entries.start >= shown;
                shown = shown.max(entries.end);
                let at = (places.upper.x + column, places.upper.y);
                self.strip_mark(buf, at, &entries, first, "─", theme);
            }
        }
        if places.ticks.height == 0 {
            return;
        }
        let end = x.first + x.shown;
        let widest = end.checked_sub(1).map_or(1, |last| text_width::width(&(self.column_tick)(last)).max(1));
        let step = tick_step(widest + 1, x.pixels as f64 / x.shown.max(1) as f64);
        // The cursor's tick is placed first, so that its neighbours make way for it.
        let mut taken: Vec<Range<usize>> = Vec::new();
        let others = (x.first..end).filter(|at| (at + self.first_tick).is_multiple_of(step) && *at != cursor);
        for at in std::iter::once(cursor).chain(others) {
            let Some(pixels) = x.pixels_of(at) else { continue };
            let text = (self.column_tick)(at);
            let width = text_width::width(&text);
            let start = pixels.start + pixels.len().saturating_sub(width) / 2;
            if start + width > places.ticks.width.into()
                || taken.iter().any(|t| start < t.end + 1 && t.start < start + width + 1)
            {
                continue;
            }
            // Only the cursor's range can collide once the step leaves room for the others.
            if at == cursor {
                taken.push(start..start + width);
            }
            let style = if at == cursor { theme.accent() } else { theme.dim() };
            buf.set_stringn(places.ticks.x + start as u16, places.ticks.y, text, width, style);
        }
    }

    fn legend(&self, at: Rect, buf: &mut Buffer, theme: &Theme) {
        let (low, high) = self.range;
        let steps: u16 = if at.width >= 70 { 24 } else { 10 };
        let mut spans = vec![Span::styled(format!("{} ", number(low)), theme.text())];
        for step in 0..steps {
            let place = f32::from(step) / f32::from(steps - 1);
            spans.push(if theme.has_gradient() {
                Span::styled(" ", Style::new().bg(theme.sequential(place)))
            } else {
                Span::raw(theme.glyph(place))
            });
        }
        spans.push(Span::styled(format!(" {}", number(high)), theme.text()));
        let mut line = Line::from(spans);
        // What has no room is left out as a whole; which glyph is missing matters more.
        let missing = format!("   {} missing", theme.glyph(f32::NAN));
        let room = usize::from(at.width).saturating_sub(line.width());
        let texts = [format!("  {}{missing}", self.note), missing];
        if let Some(text) = texts.into_iter().find(|text| text_width::width(text) <= room) {
            line.push_span(Span::styled(text, theme.dim()));
        }
        line.render(at, buf);
    }
}

/// A legend's number: two decimals, with a true minus sign left out of the way of copying.
fn number(value: f32) -> String {
    if value.is_finite() { format!("{value:.2}") } else { "–".into() }
}

/// The smallest of 1, 2, 5, 10, 20 … entries that are at least `room` cells apart.
fn tick_step(room: usize, cells_per_entry: f64) -> usize {
    let mut base = 1usize;
    loop {
        for factor in [1, 2, 5] {
            let step = base.saturating_mul(factor);
            if step as f64 * cells_per_entry >= room as f64 || step > 1 << 40 {
                return step;
            }
        }
        base = base.saturating_mul(10);
    }
}

fn line_of(area: Rect, line: u16) -> Rect {
    Rect { y: area.y + line, height: 1, ..area }
}

struct Painter<'a> {
    map: &'a Heatmap<'a>,
    theme: &'a Theme,
    places: &'a Places,
    levels: &'a [u8],
    /// Pixels of the cursor's column and row.
    hit_x: Range<usize>,
    hit_y: Range<usize>,
}

impl Painter<'_> {
    /// Level of a pixel; `None` below the picture.
    fn level(&self, x: usize, y: usize) -> Option<u8> {
        let wide = self.places.geometry.x.pixels;
        if x >= wide { None } else { self.levels.get(y * wide + x).copied() }
    }

    fn place(level: u8) -> f32 {
        if level == MISSING { f32::NAN } else { f32::from(level) / f32::from(TOP) }
    }

    /// Background of a pixel, the same everywhere so that the legend says it; the default style when its value is
    /// missing.
    fn paint(&self, x: usize, y: usize, level: u8) -> Style {
        match (self.hit_x.contains(&x), self.hit_y.contains(&y)) {
            // What has a frame keeps its colour.
            (true, true) if !self.has_frame() => self.theme.cursor(),
            _ if level == MISSING => self.theme.dim(),
            _ => self.theme.on_sequential(Self::place(level)),
        }
    }

    /// Whether entries are so large that their numbers are written.
    fn has_numbers(&self) -> bool {
        let Geometry { x, y, per_row } = self.places.geometry;
        x.factor >= NUMBERED && y.factor >= per_row
    }

    /// Whether the entry under the cursor is framed, and so keeps its colour.
    fn has_frame(&self) -> bool {
        self.has_numbers() && self.places.geometry.x.factor >= FRAMED
    }

    /// Whether a group begins at a position, with another before it.
    fn gap(&self, axis: Axis, at: usize) -> bool {
        let groups = &self.map.groups;
        at > axis.first && groups.get(at) != groups.get(at - 1)
    }

    fn colours(&self, buf: &mut Buffer) {
        let missing = self.theme.glyph(f32::NAN);
        let Rect { x: left, y: top, width, height } = self.places.picture;
        for line in 0..height {
            for column in 0..width {
                let Some(cell) = buf.cell_mut((left + column, top + line)) else { continue };
                let (x, y) = (usize::from(column), 2 * usize::from(line));
                let Some(upper) = self.level(x, y) else { continue };
                if self.in_column_gap(x) {
                    continue;
                }
                let above = self.paint(x, y, upper);
                let Some(lower) = self.level(x, y + 1) else {
                    // An odd number of pixels: the lower half stays empty.
                    let symbol = if upper == MISSING { missing } else { "▀" };
                    cell.set_symbol(symbol).set_style(Style::new().fg(above.bg.unwrap_or_default()));
                    continue;
                };
                let below = self.paint(x, y + 1, lower);
                if self.in_row_gap(y) {
                    let symbol = if lower == MISSING { " " } else { "▄" };
                    cell.set_symbol(symbol).set_style(Style::new().fg(below.bg.unwrap_or_default()));
                    continue;
                }
                match (upper == MISSING, lower == MISSING) {
                    _ if above == below => {
                        let symbol = if upper == MISSING { missing } else { " " };
                        cell.set_symbol(symbol).set_style(above);
                    }
                    (true, true) => {
                        cell.set_symbol(missing).set_style(above.patch(below));
                    }
                    // A dot in the missing half, on the colour of the other.
                    (true, false) => {
                        cell.set_symbol("˙").set_style(below);
                    }
                    (false, true) => {
                        cell.set_symbol(".").set_style(above);
                    }
                    (false, false) => {
                        let style =
                            Style::new().fg(above.bg.unwrap_or_default()).bg(below.bg.unwrap_or_default());
                        cell.set_symbol("▀").set_style(style);
                    }
                }
            }
        }
    }

    /// Whether a pixel is the gap before a group of columns.
    fn in_column_gap(&self, x: usize) -> bool {
        let axis = self.places.geometry.x;
        axis.factor >= FRAMED && x.is_multiple_of(axis.factor) && self.gap(axis, axis.entries(x).start)
    }

    /// The same of rows.
    fn in_row_gap(&self, y: usize) -> bool {
        let axis = self.places.geometry.y;
        axis.factor >= 4 && y.is_multiple_of(axis.factor) && self.gap(axis, axis.entries(y).start)
    }

    fn glyphs(&self, buf: &mut Buffer) {
        let Rect { x: left, y: top, width, height } = self.places.picture;
        for line in 0..height {
            for column in 0..width {
                let Some(cell) = buf.cell_mut((left + column, top + line)) else { continue };
                let (x, y) = (usize::from(column), usize::from(line));
                let Some(level) = self.level(x, y) else { continue };
                // Where there is a number, it says more.
                if !self.has_numbers() {
                    cell.set_symbol(self.theme.glyph(Self::place(level))).set_style(self.glyph_style(x, y));
                }
            }
        }
    }

    fn glyph_style(&self, x: usize, y: usize) -> Style {
        match (self.hit_x.contains(&x), self.hit_y.contains(&y)) {
            (true, true) => self.theme.cursor(),
            (false, false) => self.theme.text(),
            _ => self.theme.text().add_modifier(Modifier::BOLD),
        }
    }

    /// Writes the values into entries that have room for them, that under the cursor in brackets.
    fn numbers(&self, buf: &mut Buffer, cursor: (usize, usize)) {
        if !self.has_numbers() {
            return;
        }
        let framed = self.has_frame();
        let Geometry { x, y, per_row } = self.places.geometry;
        let gradient = self.theme.has_gradient();
        for row in y.first..y.first + y.shown {
            for column in x.first..x.first + x.shown {
                let value = self.map.value(row, column);
                let (Some(across), Some(down)) = (x.pixels_of(column), y.pixels_of(row)) else { continue };
                let here = (row, column) == cursor;
                if value.is_nan() && gradient && !here {
                    continue;
                }
                let rows = y.factor / per_row;
                let line = self.places.picture.y + (down.start / per_row + (rows - 1) / 2) as u16;
                let left = self.places.picture.x + across.start as u16;
                // One cell stays free between numbers, two where the frame goes.
                let framed = framed && here;
                let room = x.factor - if framed { 2 } else { 1 };
                let number = match (compact(value, room), gradient) {
                    (text, false) if text.is_empty() => self.theme.glyph(self.map.place(value)).into(),
                    (text, _) => text,
                };
                let mut style = match gradient {
                    true => self.paint(across.start, down.start, self.map.level(value)),
                    false if here && !framed => self.theme.cursor(),
                    false => self.theme.text(),
                };
                if row == cursor.0 || column == cursor.1 {
                    style = style.add_modifier(Modifier::BOLD);
                }
                let text = match here {
                    true if framed => format!("{:^width$}", format!("[{number}]"), width = x.factor),
                    _ => format!("{number:^width$}", width = x.factor),
                };
                let skip = usize::from(self.in_column_gap(across.start) && !here && text.starts_with(' '));
                buf.set_stringn(left + skip as u16, line, &text[skip..], x.factor - skip, style);
            }
        }
    }
}

/// Cells of an entry from which on its number is written: three and a gap.
const NUMBERED: usize = 4;
/// Cells of an entry from which on it has room for a frame or for a gap before it.
const FRAMED: usize = 5;

/// A value in at most `room` characters: `-0.12`, `.87`, `1.0`; empty when none fits or it is missing.
fn compact(value: f32, room: usize) -> String {
    if value.is_nan() {
        return String::new();
    }
    let full = format!("{value:.2}");
    let full = if full == "-0.00" { "0.00".to_string() } else { full };
    if full.len() <= room {
        return full;
    }
    let short = match full.strip_prefix("0.").or_else(|| full.strip_prefix("-0.")) {
        Some(digits) => format!("{}.{digits}", if full.starts_with('-') { "-" } else { "" }),
        None => format!("{value:.1}"),
    };
    if short.len() <= room { short } else { String::new() }
}

//! Small pieces of drawing that several tabs use.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph, Wrap};

use crate::tui::{Theme, format, text_width};

/// A rectangle of at most the given size in the middle of `area`.
pub fn centered(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

/// Draws an empty box of at most the given size in the middle of `area`; the room in it, if there is any.
pub fn popup(frame: &mut Frame, area: Rect, size: (u16, u16), title: &str, theme: &Theme) -> Option<Rect> {
    let popup = centered(area, size.0, size.1);
    if popup.is_empty() {
        return None;
    }
    let cells = usize::from(popup.width.saturating_sub(4));
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.border_focused())
        .title(Span::styled(text_width::truncate(title, cells), theme.accent()));
    frame.render_widget(Clear, popup);
    let room = block.inner(popup).inner(Margin::new(1, 0));
    frame.render_widget(block, popup);
    Some(room)
}

/// One row of an area, cut to it.
pub fn row(area: Rect, at: u16) -> Rect {
    Rect { y: area.y.saturating_add(at), height: u16::from(at < area.height), ..area }
}

/// `area` without its first `rows` rows.
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// Where a list is that has more rows than its area: a mark at its right edge, beside the part that is shown. Returns
/// the area that is left for the rows.
pub fn list_edge(frame: &mut Frame, area: Rect, shown: Range<usize>, all: usize, theme: &Theme) -> Rect {
    let height = usize::from(area.height);
    if all <= height || height == 0 || area.width < 2 {
        return area;
    }
    let at = |row: usize| row * height / all;
    let first = at(shown.start).min(height - 1);
    let last = at(shown.end).clamp(first + 1, height);
    for row in first..last {
        let place = (area.right() - 1, area.y + row as u16);
        if let Some(cell) = frame.buffer_mut().cell_mut(place) {
            cell.set_symbol("▐").set_style(theme.dim());
        }
    }
    Rect { width: area.width - 1, ..area }
}

/// As many of the facts as fit, in their order, the first in the accent colour.
pub fn header(frame: &mut Frame, area: Rect, facts: &[String], theme: &Theme) {
    let mut spans: Vec<Span> = Vec::new();
    let mut used = 0;
    for (index, fact) in facts.iter().enumerate() {
        let separator = if index == 0 { "" } else { " · " };
        used += text_width::width(separator) + text_width::width(fact);
        if index > 0 && used > usize::from(area.width) {
            break;
        }
        spans.push(Span::styled(separator, theme.dim()));
        spans.push(Span::styled(fact.clone(), if index == 0 { theme.accent() } else { theme.dim() }));
    }
    frame.render_widget(Line::from(spans), area);
}

/// What is being computed and how far it is, in words, at the right end of a row.
pub fn progress(frame: &mut Frame, area: Rect, what: &str, far: &str, tick: u64, theme: &Theme) {
    let text = format!(" {} {what} {far}", format::spinner(tick));
    let text = text.trim_end();
    let width = (text_width::width(text) as u16).min(area.width);
    let at = Rect { x: area.right() - width, width, ..area };
    frame.render_widget(Clear, at);
    frame.render_widget(Line::styled(text.to_string(), theme.accent()), at);
}

/// A text of several lines in the middle of nothing.
pub fn message(frame: &mut Frame, area: Rect, text: &str, style: Style) {
    frame.render_widget(Paragraph::new(text.to_string()).style(style).wrap(Wrap { trim: true }), area);
}

/// One bar per value, each `wide` cells, as high as its share of the largest, in eighths of a row.
/// What is above 0 is seen at all; NaN and what is below 0 is not.
pub fn bars(frame: &mut Frame, area: Rect, values: &[f64], wide: u16, style: impl Fn(usize) -> Style) {
    const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let most = values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    let steps = f64::from(area.height) * 8.0;
    for (index, &value) in values.iter().enumerate() {
        let left = (index as u16).saturating_mul(wide.max(1));
        if left >= area.width {
            return;
        }
        let height = if value > 0.0 && most > 0.0 { (value / most * steps).round().max(1.0) } else { 0.0 };
        for line in 0..area.height {
            let base = f64::from(area.height - 1 - line) * 8.0;
            let part = (height - base).clamp(0.0, 8.0) as usize;
            // A gap of one cell separates bars where there is room for it.
            for x in left..(left + wide.max(2) - 1).min(area.width) {
                if let Some(cell) = frame.buffer_mut().cell_mut((area.x + x, area.y + line)) {
                    cell.set_symbol(EIGHTHS[part]).set_style(style(index));
                }
            }
        }
    }
}

/// `value` in 0..=1 as a bar of exactly `cells` cells; empty for NaN and below 0.
pub fn bar(value: f64, cells: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let value = if value > 0.0 { value.min(1.0) } else { 0.0 };
    let steps = (value * cells as f64 * 8.0).round() as usize;
    let mut out = "█".repeat(steps / 8);
    if !steps.is_multiple_of(8) {
        out.push(EIGHTHS[steps % 8]);
    }
    text_width::left(&out, cells)
}

/// As [`bar`], from the right end to the left; what is above 0 is seen at all.
pub fn bar_left(value: f64, cells: usize) -> String {
    let value = if value > 0.0 { value.min(1.0) } else { 0.0 };
    let halves = (value * cells as f64 * 2.0).round().max(f64::from(u8::from(value > 0.0))) as usize;
    let half = if halves.is_multiple_of(2) { "" } else { "▐" };
    text_width::right(&format!("{half}{}", "█".repeat(halves / 2)), cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_exact_and_survive_any_number() {
        assert_eq!(bar(0.5, 4), "██  ");
        assert_eq!(bar(0.99, 2), "██");
        assert_eq!([bar_left(0.5, 4), bar_left(0.02, 4), bar_left(0.0, 2)], ["  ██", "   ▐", "  "]);
        for value in [f64::NAN, -1.0, 0.0, 1.0, 9.0, f64::INFINITY] {
            assert_eq!(text_width::width(&bar(value, 5)), 5);
            assert_eq!(text_width::width(&bar_left(value, 5)), 5);
        }
    }
}

//! Small pieces of drawing that several tabs use.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use crate::tui::{Theme, fit};

/// One row of an area, cut to it.
pub fn row(area: Rect, at: u16) -> Rect {
    Rect { y: area.y.saturating_add(at), height: u16::from(at < area.height), ..area }
}

/// `area` without its first `rows` rows.
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// The line that says what is being computed and how far it is.
pub fn progress(what: &str, done: usize, total: usize, tick: u64, theme: &Theme) -> Line<'static> {
    let far = if total > 0 { format!(" {}/{total}", done.min(total)) } else { String::new() };
    Line::styled(format!("{} {what}{far}", fit::spinner(tick)), theme.accent())
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
            // A gap of one cell keeps bars apart where there is room for it.
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
    if steps % 8 > 0 {
        out.push(EIGHTHS[steps % 8]);
    }
    fit::left(&out, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_exact_and_survive_any_number() {
        assert_eq!(bar(0.5, 4), "██  ");
        assert_eq!(bar(0.99, 2), "██");
        for value in [f64::NAN, -1.0, 0.0, 1.0, 9.0, f64::INFINITY] {
            assert_eq!(fit::width(&bar(value, 5)), 5);
        }
    }
}

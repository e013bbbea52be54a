//! Small brushes: text clipped to an area, rules, bars.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui::widgets::{Block, BorderType};

use crate::text::printable;
use crate::tui::Theme;
use crate::tui::text_width::{truncate, width};

/// Writes `text` at a position relative to `area`, clipped to it; returns the cells used.
pub fn put(buf: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buf.area);
    if x >= area.width || y >= area.height {
        return 0;
    }
    let room = usize::from(area.width - x);
    let (end, _) = buf.set_stringn(area.x + x, area.y + y, text, room, style);
    end - (area.x + x)
}

/// A frame with a blank cell inside its sides; returns what is inside.
pub fn framed(frame: &mut Frame, area: Rect, title: &str, focused: bool, theme: &Theme) -> Rect {
    let border = if focused { theme.border_focused() } else { theme.border() };
    let title_style = if focused { theme.accent() } else { theme.header() };
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(border)
        .title(Span::styled(title.to_string(), title_style));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    Rect { x: inner.x + 1.min(inner.width), width: inner.width.saturating_sub(2), ..inner }
}

/// Restyles cells relative to `area`, clipped to it.
pub fn tint(buf: &mut Buffer, area: Rect, x: u16, y: u16, cells: u16, style: Style) {
    let wanted = Rect::new(area.x.saturating_add(x), area.y.saturating_add(y), cells, 1);
    buf.set_style(wanted.intersection(area).intersection(buf.area), style);
}

/// A heading with a line behind it: `weights ─────`.
pub fn heading(buf: &mut Buffer, area: Rect, y: u16, title: &str, note: &str, theme: &Theme) {
    let room = usize::from(area.width);
    let title = truncate(title, room);
    let mut x = put(buf, area, 0, y, &title, theme.header());
    let left = room.saturating_sub(usize::from(x) + 2);
    let note = if left >= width(note) { note } else { "" };
    if !note.is_empty() {
        x += 1;
        x += put(buf, area, x, y, note, theme.dim());
    }
    if usize::from(x) + 2 <= room {
        put(buf, area, x + 1, y, &"─".repeat(room - usize::from(x) - 1), theme.border());
    }
}

/// A bar of `part` in 0..=1 over `cells`, in halves of a cell; thin, so that rows of bars stay separate.
pub fn bar(part: f64, cells: usize) -> String {
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let halves = (part * cells as f64 * 2.0).round() as usize;
    let mut bar = "━".repeat(halves / 2);
    bar.push_str(if halves % 2 == 1 { "╸" } else { "" });
    bar
}

/// One cell whose height says `part` in 0..=1; blank only for nothing at all.
pub fn column(part: f32) -> &'static str {
    const COLUMNS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    if part.is_nan() || part <= 0.0 {
        return " ";
    }
    COLUMNS[((part.min(1.0) * 8.0).ceil() as usize).clamp(1, 8) - 1]
}

/// A token in quotes, so that it is neither taken for a number nor for an expert, in at most `cells` cells.
pub fn quoted(text: &str, cells: usize) -> String {
    let text = format!("«{}»", token_text(text));
    truncate(&text, cells)
}

/// Cells that [`quoted`] would like.
pub fn quoted_width(text: &str) -> usize {
    width(&token_text(text)) + 2
}

/// A token as it can be read in a line: blanks and line breaks get signs, the rest is made printable.
fn token_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' => out.push('·'),
            '\n' => out.push('⏎'),
            '\t' => out.push('⇥'),
            c => out.push_str(&printable(c.encode_utf8(&mut [0; 4]))),
        }
    }
    if out.is_empty() { "∅".into() } else { out }
}

/// The first visible index so that `cursor` is in view with what surrounds it, of `count` with room for
/// `room`.
pub fn scroll(cursor: usize, count: usize, room: usize) -> usize {
    cursor.saturating_sub(room / 2).min(count.saturating_sub(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_the_length_of_their_part() {
        assert_eq!(bar(0.5, 4), "━━");
        assert_eq!(bar(1.0, 3), "━━━");
        assert_eq!(bar(0.3, 2), "╸");
        assert_eq!(bar(f64::NAN, 3), "");
        assert_eq!(bar(9.0, 2), "━━");
        assert_eq!([column(0.0), column(0.001), column(0.5), column(1.0)], [" ", "▁", "▄", "█"]);
    }

    #[test]
    fn tokens_show_blanks_and_nothing_that_a_terminal_obeys() {
        assert_eq!(token_text(" the"), "·the");
        assert_eq!(token_text("\n\t"), "⏎⇥");
        assert_eq!(token_text("\x1b[2J"), "\\u{1b}[2J");
        assert_eq!(token_text(""), "∅");
    }

    #[test]
    fn tokens_are_quoted_and_a_cut_one_is_seen_to_be_cut() {
        assert_eq!(quoted("3", 9), "«3»");
        assert_eq!(quoted(" kilometers", 9), "«·kilome…");
        assert_eq!(quoted_width("日本"), 6);
        assert_eq!(quoted("x", 0), "");
    }

    #[test]
    fn scrolling_keeps_the_cursor_in_view() {
        for count in 0..20 {
            for room in 1..10 {
                for cursor in 0..count {
                    let first = scroll(cursor, count, room);
                    assert!(first <= cursor && cursor < first + room);
                    assert!(first == 0 || first + room <= count, "no blank rows at the end");
                }
            }
        }
    }
}

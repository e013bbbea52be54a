//! Text cut and padded to terminal cells. Everything that comes out is printable.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::text::printable;

/// Cells that `text` covers.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text`, printable, in at most `cells` cells; a cut end shows as `…`.
pub fn truncate(text: &str, cells: usize) -> String {
    let text = printable(text);
    if width(&text) <= cells {
        return text.into_owned();
    }
    if cells == 0 {
        return String::new();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > cells - 1 {
            break;
        }
        used += w;
        out.push(c);
    }
    out.push('…');
    out
}

/// As [`truncate`], but keeps the end: for paths.
pub fn truncate_start(text: &str, cells: usize) -> String {
    let text = printable(text);
    if width(&text) <= cells {
        return text.into_owned();
    }
    if cells == 0 {
        return String::new();
    }
    let mut kept = Vec::new();
    let mut used = 0;
    for c in text.chars().rev() {
        let w = c.width().unwrap_or(0);
        if used + w > cells - 1 {
            break;
        }
        used += w;
        kept.push(c);
    }
    std::iter::once('…').chain(kept.into_iter().rev()).collect()
}

/// As [`truncate`], but keeps both ends: for names, whose ends distinguish them.
pub fn truncate_middle(text: &str, cells: usize) -> String {
    let text = printable(text);
    if width(&text) <= cells {
        return text.into_owned();
    }
    let Some(room) = cells.checked_sub(1) else { return String::new() };
    let back = room / 2;
    let taken = |chars: &mut dyn Iterator<Item = char>, room: usize| -> Vec<char> {
        let mut used = 0;
        chars
            .take_while(|c| {
                used += width(c.encode_utf8(&mut [0; 4]));
                used <= room
            })
            .collect()
    };
    let head = taken(&mut text.chars(), room - back);
    let tail = taken(&mut text.chars().rev(), back);
    head.into_iter().chain(std::iter::once('…')).chain(tail.into_iter().rev()).collect()
}

/// Exactly `cells` cells, text at the left.
pub fn left(text: &str, cells: usize) -> String {
    let mut out = truncate(text, cells);
    let used = width(&out);
    out.extend(std::iter::repeat_n(' ', cells.saturating_sub(used)));
    out
}

/// Exactly `cells` cells, text at the right: for numbers.
pub fn right(text: &str, cells: usize) -> String {
    let out = truncate(text, cells);
    let used = width(&out);
    let mut padded = " ".repeat(cells.saturating_sub(used));
    padded.push_str(&out);
    padded
}

/// `text`, printable, in lines of at most `cells` cells, broken at blanks where there are any.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(1);
    let text = printable(text);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let glue = usize::from(!line.is_empty());
        if width(&line) + glue + width(word) <= cells {
            line.extend(std::iter::repeat_n(' ', glue));
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if !line.is_empty() && width(&line) + c.width().unwrap_or(0) > cells {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// `parts` with ` · ` between them in lines of at most `cells` cells, broken between parts where possible.
pub fn flow(parts: &[impl AsRef<str>], cells: usize) -> Vec<String> {
    const DOT: &str = " · ";
    let mut lines = Vec::new();
    let mut line = String::new();
    for part in parts.iter().map(|part| printable(part.as_ref())).filter(|part| !part.is_empty()) {
        if line.is_empty() {
            line = part.into_owned();
        } else if width(&line) + width(DOT) + width(&part) <= cells {
            line.push_str(DOT);
            line.push_str(&part);
        } else {
            lines.extend(wrap(&std::mem::replace(&mut line, part.into_owned()), cells));
        }
    }
    lines.extend(wrap(&line, cells));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts_between_wide_characters() {
        assert_eq!(truncate("日本語", 4), "日…");
        assert_eq!(truncate("日本語", 6), "日本語");
        assert_eq!(truncate("abc\n", 4), "abc…");
        assert_eq!(truncate_start("/home/someone/library", 10), "…e/library");
        assert_eq!(right("7", 3), "  7");
    }

    #[test]
    fn facts_break_between_each_other() {
        assert_eq!(flow(&["batch 16", "lr 0.001", "", "seed 42"], 20), ["batch 16 · lr 0.001", "seed 42"]);
        assert_eq!(flow(&["a long fact", "b"], 6), ["a long", "fact", "b"]);
    }

    #[test]
    fn wraps_at_blanks_and_breaks_what_is_too_long() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("/a/very/long/path x", 8), ["/a/very/", "long/pat", "h x"]);
        assert!(wrap("  ", 5).is_empty());
    }

    proptest! {
        #[test]
        fn padding_is_exact(text in ".{0,20}", cells in 0usize..30) {
            prop_assert_eq!(width(&left(&text, cells)), cells);
            prop_assert_eq!(width(&right(&text, cells)), cells);
            prop_assert!(width(&truncate_start(&text, cells)) <= cells);
        }
    }
}

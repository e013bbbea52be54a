//! Untrusted text made printable, once, at the boundary.

use std::borrow::Cow;

/// Whether a character could move the cursor, hide text or reorder it on a terminal.
fn unsafe_char(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Escapes control, bidirectional and invisible formatting characters as `\n`, `\t`, `\u{1b}` …
/// Everything else, other scripts and emoji included, is left alone.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(unsafe_char) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if unsafe_char(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// `1 expert`, `2 experts`: a number with its noun.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("safe\u{202e}evil"), "safe\\u{202e}evil");
        assert!(matches!(printable("héllo 🙂 日本"), Cow::Borrowed(_)));
    }
}

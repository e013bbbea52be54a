//! Text for people: untrusted text made printable at the boundary, shortened, counted, sorted.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::path::Path;

use unicode_normalization_alignments::UnicodeNormalization;

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

/// With letters and their accents as one character where there is one (NFC): `é` is then the same however it was
/// written.
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { text.nfc().map(|(c, _)| c).collect::<String>().into() }
}

/// A number for tables: with `places` decimals, or with three digits and a power of ten where those would say nothing
/// or run on: below half of the last place, and from a million on.
pub fn number(value: f64, places: usize) -> String {
    let least = 0.5 * 0.1f64.powi(i32::try_from(places).unwrap_or(300));
    match value.abs() {
        size if size == 0.0 || (least..1e6).contains(&size) => format!("{value:.places$}"),
        _ if value.is_finite() => format!("{value:.2e}"),
        _ => value.to_string(),
    }
}

/// A number in about six cells: three digits, with a power of ten below a thousandth and from a million on.
pub fn brief(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "?".into(),
        0.0 => "0".into(),
        size if size < 0.001 => format!("{value:.1e}"),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 100.0 => format!("{value:.2}"),
        size if size < 1e6 => format!("{value:.0}"),
        _ => format!("{value:.1e}"),
    }
}

/// A loss in about six cells: three decimals, so that losses below one another can be compared, or [`brief`] where
/// these would say nothing.
pub fn loss_text(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (0.0005..100.0).contains(&size) { format!("{value:.3}") } else { brief(value) }
}

/// A number as it was given, in the fewest characters from which it can be read again.
pub fn exact(value: f64) -> String {
    match value.abs() {
        size if size == 0.0 || (1e-5..1e9).contains(&size) => value.to_string(),
        _ => format!("{value:e}"),
    }
}

/// A number with `places` decimals, of which 0 has no sign: what rounds to it is neither below nor above.
pub fn fixed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.strip_prefix('-') {
        Some(rest) if !rest.contains(|c: char| c.is_ascii_digit() && c != '0') => rest.to_string(),
        _ => text,
    }
}

/// A share in percent: one decimal from 1 % on, below that three, so that a thousand shares of about 0.1 % can be
/// distinguished; `<0.001 %` where these would say nothing.
pub fn share(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        small if small > 0.0 && small < 0.0005 => "<0.001 %".into(),
        0.0 => "0.0 %".into(),
        _ => format!("{} %", fixed(percent, if percent.abs() < 0.995 { 3 } else { 1 })),
    }
}

/// A share in percent in at most six cells, of two digits: `100 %`, `8.3 %`, `<0.1 %` where it would say nothing. For screens
/// and sentences; in tables that people compare, [`share`].
pub fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".into(),
        small if small > 0.0 && small < 0.05 => "<0.1 %".into(),
        percent => format!("{} %", fixed(percent, usize::from(percent.abs() < 9.95))),
    }
}

/// How much of something is done, in whole percent, of which the last one comes when all is done.
pub fn progress(share: f64) -> String {
    format!("{} %", (100.0 * share.clamp(0.0, 1.0)) as u32)
}

/// A weight between 0 and 1: two decimals, three below 0.1, four below 0.01; `<0.001` where it is less than half of that.
pub fn weight(weight: f64) -> String {
    match weight {
        small if small > 0.0 && small < 0.0005 => "<0.001".into(),
        0.0 => "0.00".into(),
        _ if weight.abs() < 0.00995 => fixed(weight, 4),
        _ if weight.abs() < 0.0995 => fixed(weight, 3),
        _ => fixed(weight, 2),
    }
}

/// JSON in which what [`printable`] escapes is escaped too, as JSON does it: the same document, and nothing that acts
/// on a terminal. Line ends between its parts stay.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let acts = |c: char| c != '\n' && unsafe_char(c);
    if !json.chars().any(acts) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if acts(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A text in a cell of a Markdown table.
pub fn markdown_cell(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        if matches!(c, '|' | '\\' | '`' | '*' | '_' | '<' | '[' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A word of a command as it has to be typed: as it is, or quoted for the shell.
pub fn typed(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,%+@^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// [`typed`] for a path.
pub fn typed_path(path: &Path) -> String {
    typed(&path.to_string_lossy())
}

/// A text in a field of comma-separated values (RFC 4180), its control characters escaped.
pub fn csv_field(text: &str) -> String {
    let text = printable(text);
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into_owned(),
    }
}

/// `1 expert`, `2 experts`: a number with its noun.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `a`, `a or b`, `a, b or c`: names with a word before the last.
pub fn listed(names: &[&str], word: &str) -> String {
    match names {
        [some @ .., last] if !some.is_empty() => format!("{} {word} {last}", some.join(", ")),
        names => names.concat(),
    }
}

/// At most 120 characters of untrusted text for a message.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// Order of module paths with numbers compared as numbers: layer 2 before layer 10.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (x, y) = (a.as_bytes(), b.as_bytes());
    let common = x.iter().zip(y).take_while(|(p, q)| p == q).count();
    let run = x[..common].iter().rev().take_while(|c| c.is_ascii_digit()).count();
    let number = |bytes: &[u8]| -> (usize, usize) {
        let digits = &bytes[common - run..];
        let length = digits.iter().take_while(|c| c.is_ascii_digit()).count();
        let zeros = digits[..length].iter().take_while(|&&c| c == b'0').count();
        (zeros, length)
    };
    let ((x_zeros, x_length), (y_zeros, y_length)) = (number(x), number(y));
    if x_length == 0 || y_length == 0 {
        return x.cmp(y);
    }
    let digits = |bytes: &[u8], zeros, length| bytes[common - run..][zeros..length].to_vec();
    (x_length - x_zeros)
        .cmp(&(y_length - y_zeros))
        .then_with(|| digits(x, x_zeros, x_length).cmp(&digits(y, y_zeros, y_length)))
        .then_with(|| x.cmp(y))
}

/// A time ago in at most four cells; the future and unknown clocks are `now` and `–`.
pub fn age(seconds: f64) -> String {
    const DAY: f64 = 86_400.0;
    match seconds {
        s if s.is_nan() => "–".into(),
        s if s < 60.0 => "now".into(),
        s if s < 3600.0 => format!("{:.0}m", (s / 60.0).floor()),
        s if s < DAY => format!("{:.0}h", (s / 3600.0).floor()),
        s if s < 60.0 * DAY => format!("{:.0}d", (s / DAY).floor()),
        s if s < 730.0 * DAY => format!("{:.0}mo", (s / (30.44 * DAY)).floor()),
        s => format!("{:.0}y", (s / (365.25 * DAY)).floor().min(999.0)),
    }
}

/// A duration in at most six cells: `42s`, `3m05s`, `2h10m`, `3d4h`. Negative and NaN are `–`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    let s = seconds.round().min(1e12) as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_on_screens_have_two_digits() {
        let shares =
            [0.0, 1e-9, 0.0004999, 0.0005, 0.0834, 0.0994, 0.0999, 0.5, 0.9999, 1.0, 1.25, -0.04, -1e-9];
        assert_eq!(
            shares.map(percent),
            [
                "0 %", "<0.1 %", "<0.1 %", "0.1 %", "8.3 %", "9.9 %", "10 %", "50 %", "100 %", "100 %",
                "125 %", "-4.0 %", "0.0 %"
            ]
        );
        assert_eq!([0.0, 0.999, 1.0, 1.5, f64::NAN].map(progress), ["0 %", "99 %", "100 %", "100 %", "0 %"]);
    }

    #[test]
    fn fields_are_quoted_where_they_need_it() {
        assert_eq!(csv_field("plain name"), "plain name");
        assert_eq!(csv_field("a,b"), "\"a,b\"");
        assert_eq!(csv_field("say \"hi\"\n"), "\"say \"\"hi\"\"\\n\"");
    }

    #[test]
    fn numbers_of_any_size_say_something() {
        let at = |value| [number(value, 4), number(value, 0), brief(value), loss_text(value), exact(value)];
        assert_eq!(at(4.021e39), ["4.02e39", "4.02e39", "4.0e39", "4.0e39", "4.021e39"]);
        assert_eq!(at(4e-43), ["4.00e-43", "4.00e-43", "4.0e-43", "4.0e-43", "4e-43"]);
        assert_eq!(at(0.0), ["0.0000", "0", "0", "0.000", "0"]);
        assert_eq!(at(-12.25), ["-12.2500", "-12", "-12.25", "-12.250", "-12.25"]);
        assert_eq!(at(1234.0), ["1234.0000", "1234", "1234", "1234", "1234"]);
        assert_eq!(at(1e300)[4], "1e300");
        assert_eq!(at(0.0001)[..3], ["0.0001", "1.00e-4", "1.0e-4"]);
        assert_eq!(at(f64::NAN), ["NaN", "NaN", "?", "?", "NaN"]);
        assert_eq!(at(f64::INFINITY), ["inf", "inf", "?", "?", "inf"]);
    }

    #[test]
    fn small_shares_and_weights_can_be_told_apart() {
        let shares = [1.0, 0.256, 0.0421, 0.01, 0.00103, 0.000984, 0.000_012, 4.85e-8, 1e-30, 0.0].map(share);
        let wanted = [
            "100.0 %", "25.6 %", "4.2 %", "1.0 %", "0.103 %", "0.098 %", "0.001 %", "<0.001 %", "<0.001 %",
            "0.0 %",
        ];
        assert_eq!(shares, wanted);
        let weights = [1.0, 0.25, 0.1, 0.0333, 0.001, 4.85e-8, 0.0].map(weight);
        assert_eq!(weights, ["1.00", "0.25", "0.10", "0.033", "0.0010", "<0.001", "0.00"]);
        assert_eq!([-0.001, 0.001, -0.006, 1.0].map(|v| fixed(v, 2)), ["0.00", "0.00", "-0.01", "1.00"]);
        assert_eq!([fixed(f64::NAN, 1), fixed(-0.0, 0)], ["NaN", "0"]);
    }

    #[test]
    fn a_word_can_be_typed_as_it_is_shown() {
        let words = ["library", "../a-b_c.d/E=1", "two words", "it's", "", "$HOME", "日本", "a;b"];
        let shown = words.map(typed);
        let wanted =
            ["library", "../a-b_c.d/E=1", "'two words'", "'it'\\''s'", "''", "'$HOME'", "'日本'", "'a;b'"];
        assert_eq!(shown, wanted);
        #[cfg(unix)]
        for (word, shown) in words.iter().zip(&shown) {
            let said = std::process::Command::new("sh").args(["-c", &format!("printf %s {shown}")]).output();
            assert_eq!(String::from_utf8_lossy(&said.unwrap().stdout), *word);
        }
    }

    #[test]
    fn accents_are_composed() {
        assert_eq!(composed("cafe\u{301}"), "caf\u{e9}");
        assert!(matches!(composed("cafe"), Cow::Borrowed(_)));
    }

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("safe\u{202e}evil"), "safe\\u{202e}evil");
        assert!(matches!(printable("héllo 🙂 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_the_same_document() {
        let value = serde_json::json!({ "a\u{9b}": ["\u{7f}\u{202e}\u{200b}\n", "é 🙂"] });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = printable_json(&text);
        assert!(!safe.chars().any(|c| c != '\n' && unsafe_char(c)), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        assert!(matches!(printable_json("{\n  \"é\": 1\n}"), Cow::Borrowed(_)));
    }
}

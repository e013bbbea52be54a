//! Names as figures show them.

use std::sync::OnceLock;

use ttf_parser::Face;
use unicode_width::UnicodeWidthChar;

use super::canvas::FONT_FILE;
use crate::text::{composed, printable};

/// Names longer than this lose their middle.
const MAX_NAME: usize = 26;
/// The same in a legend.
const MAX_LEGEND: usize = 90;
/// Lines of a legend.
const MAX_LINES: usize = 12;

/// The texts of a figure.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    pub title: String,
    /// One per name, printable and shortened.
    pub labels: Vec<String>,
    /// Lines that say what numbers stand for.
    pub legend: Vec<String>,
    /// Every number with its name, printable.
    pub numbered: Vec<(String, String)>,
}

impl Labels {
    /// For whoever has fonts for all scripts.
    pub fn written(names: &[&str], title: &str) -> Self {
        let label = |name: &&str| shorten(&clean(name), MAX_NAME);
        Self { title: clean(title), labels: names.iter().map(label).collect(), ..Self::default() }
    }

    /// For the built-in font. Accents are composed first; single characters that it lacks are escaped; a name of which
    /// that would leave little is numbered.
    pub fn drawn(names: &[&str], title: &str) -> Self {
        let mut all = Self { title: shown(&clean(title)), ..Self::default() };
        for name in names {
            let (name, length) = (clean(name), MAX_NAME);
            let escaped = shown(&name);
            if escaped == name || escaped.chars().count() <= length {
                all.labels.push(shorten(&escaped, length));
                continue;
            }
            let number = format!("#{}", all.numbered.len() + 1);
            if all.legend.len() < MAX_LINES {
                all.legend.push(format!("{number}  {}", shorten(&escaped, MAX_LEGEND)));
            }
            all.labels.push(number.clone());
            all.numbered.push((number, name));
        }
        if all.numbered.len() > MAX_LINES {
            let more = all.numbered.len() - MAX_LINES + 1;
            all.legend.truncate(MAX_LINES - 1);
            all.legend.push(format!("and {more} more"));
        }
        all
    }
}

fn clean(text: &str) -> String {
    composed(&printable(text)).into_owned()
}

/// With what the font lacks escaped: `\u{65e5}`.
fn shown(text: &str) -> String {
    text.chars().map(|c| if has(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// Whether the font can show a character by itself. What is set over or under another one has no width.
fn has(c: char) -> bool {
    static FACE: OnceLock<Option<Face<'static>>> = OnceLock::new();
    let face = FACE.get_or_init(|| Face::parse(FONT_FILE, 0).ok());
    let known = face.as_ref().is_some_and(|face| face.glyph_index(c).is_some());
    c.is_ascii() || (known && c.width().is_some_and(|width| width > 0))
}

/// Keeps the beginning and the end of a long name: tasks of one family often differ at the end.
fn shorten(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_string();
    }
    let head = most / 2;
    let tail = most - head - 1;
    name.chars().take(head).chain(['…']).chain(name.chars().skip(count - tail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_is_asked_what_it_has() {
        assert!("aé…ßΔЖ·".chars().all(has));
        assert!("日ア한שع\u{301}🙂".chars().all(|c| !has(c)));
    }

    #[test]
    fn what_the_font_lacks_is_escaped_or_numbered() {
        let names = ["cafe\u{301}", "smile_🙂", "日本語アダプタ", "עברית", "a\u{1b}b", "e\u{327}\u{302}x"];
        let all = Labels::drawn(&names, "in 日");
        assert_eq!(all.title, "in \\u{65e5}");
        assert_eq!(all.labels, ["café", "smile_\\u{1f642}", "#1", "#2", "a\\u{1b}b", "ȩ\\u{302}x"]);
        assert_eq!(all.numbered[0], ("#1".into(), "日本語アダプタ".into()));
        assert!(all.legend[0].starts_with("#1  \\u{65e5}\\u{672c}"), "{:?}", all.legend);
        let written = Labels::written(&names, "in 日");
        assert_eq!((written.labels[2].as_str(), written.title.as_str()), ("日本語アダプタ", "in 日"));
    }

    #[test]
    fn a_legend_has_an_end() {
        let names = vec!["日本語アダプタ"; 40];
        let all = Labels::drawn(&names, "");
        assert_eq!((all.numbered.len(), all.legend.len()), (40, MAX_LINES));
        assert_eq!(all.legend[MAX_LINES - 1], "and 29 more");
    }
}

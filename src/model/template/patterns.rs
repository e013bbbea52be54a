//! Regular expressions as Python's `re` has them.

use fancy_regex::{Regex, RegexBuilder};

use crate::text::short;

/// Steps back that one match may take.
const STEPS: usize = 100_000;
/// Bytes that a part of a pattern may take.
const LARGEST: usize = 1 << 20;

/// A pattern of Python's `re`, whose matching takes a bounded number of steps.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// What is said of matching that takes too many steps.
const TOO_LONG: &str = "a pattern takes too many steps";

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// What it has that is not understood.
    pub fn new(text: &str) -> Result<Self, String> {
        compiled(text).map(Self)
    }

    /// What `re.findall` finds in a text: each match or, where the pattern has groups, the first of its groups that is
    /// not empty.
    ///
    /// # Errors
    /// Matching that takes too many steps.
    pub fn all(&self, text: &str) -> crate::Result<Vec<String>> {
        let mut all = Vec::new();
        for captures in self.0.captures_iter(text) {
            let captures = captures.map_err(|_| crate::Error::msg(TOO_LONG))?;
            let groups = captures.iter().skip(usize::from(captures.len() > 1)).flatten();
            let found = groups.map(|group| group.as_str()).find(|group| !group.is_empty());
            all.push(found.unwrap_or_default().to_string());
        }
        Ok(all)
    }

    /// A text without its matches.
    ///
    /// # Errors
    /// Matching that takes too many steps.
    pub fn removed(&self, text: &str) -> crate::Result<String> {
        replaced(&self.0, text, 0, "", &mut |_| Ok(())).map_err(crate::Error::msg)
    }
}

/// A pattern of Python's `re`.
///
/// # Errors
/// What it has that is not understood.
pub(super) fn compiled(pattern: &str) -> Result<Regex, String> {
    let (mut translated, mut escaped, mut inside) = (String::with_capacity(pattern.len()), false, false);
    for c in pattern.chars() {
        match c {
            // Python's is also before a line break that ends the text.
            '$' if !escaped && !inside => translated.push_str(r"(?=\n?\z)"),
            'Z' if escaped => translated.push('z'),
            c => translated.push(c),
        }
        match c {
            '[' if !escaped => inside = true,
            ']' if !escaped => inside = false,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    let built = RegexBuilder::new(&translated).backtrack_limit(STEPS).delegate_size_limit(LARGEST).build();
    built.map_err(|_| format!("the pattern \"{}\" is not understood", short(pattern)))
}

/// A text with up to `count` matches replaced, all of them where it is 0. `take` is asked before every match for as many
/// bytes as the text becomes longer.
///
/// # Errors
/// Matching that takes too many steps; what `take` says.
pub(super) fn replaced(
    pattern: &Regex,
    text: &str,
    count: usize,
    new: &str,
    take: &mut dyn FnMut(usize) -> Result<(), String>,
) -> Result<String, String> {
    let (mut made, mut end) = (String::new(), 0);
    let most = if count == 0 { usize::MAX } else { count };
    for captures in pattern.captures_iter(text).take(most) {
        let captures = captures.map_err(|_| TOO_LONG)?;
        let Some(whole) = captures.get(0) else { continue };
        let groups: usize = captures.iter().flatten().map(|group| group.as_str().len()).sum();
        // A replacement may name a group as often as it has room for its name.
        let named = new.matches('$').count();
        take(whole.end() - end + new.len() + named * groups)?;
        made.push_str(&text[end..whole.start()]);
        captures.expand(new, &mut made);
        end = whole.end();
    }
    made.push_str(&text[end..]);
    Ok(made)
}

/// What Python puts in the place of a match, in the words of the `regex` crate.
///
/// # Errors
/// A sign behind a backslash that means something else.
pub(super) fn replacement(text: &str) -> Result<String, String> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '$' => made.push_str("$$"),
            '\\' => match rest.next() {
                Some(digit @ '0'..='9') => made.push_str(&format!("${{{digit}}}")),
                Some('n') => made.push('\n'),
                Some('t') => made.push('\t'),
                Some('\\') => made.push('\\'),
                _ => return Err(format!("the replacement \"{}\" is not understood", short(text))),
            },
            c => made.push(c),
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_python() {
        let sub = |pattern: &str, new: &str, text: &str| {
            replaced(&compiled(pattern)?, text, 0, &replacement(new)?, &mut |_| Ok(()))
        };
        // By re.sub of Python 3.11.
        for (pattern, new, text, expected) in [
            (r"\.$", "", "a.b.", "a.b"),
            (r"\.$", "", "a.\n", "a\n"),
            (r"\.\Z", "", "a.\n", "a.\n"),
            (r"[$.]", "", "a$.", "a"),
            (r"\$(\d)", r"\1$", "$5", "5$"),
            (r"(a)(b)?", r"<\1\2>", "ac", "<a>c"),
            (r"(?i)TRUE(?=!)", "x", "true! True", "x! True"),
        ] {
            assert_eq!(sub(pattern, new, text).as_deref(), Ok(expected), "{pattern}");
        }
        assert!(compiled("(").is_err() && replacement(r"\g<x>").is_err());
        let slow = sub(r"(a|a)*(?=b)c", "", &"a".repeat(5000));
        assert!(slow.is_err() || slow == Ok("a".repeat(5000)));
    }
}

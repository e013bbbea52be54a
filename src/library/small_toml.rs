//! TOML from strangers, with memory in proportion to its size.

use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;

use crate::text::short;

/// The parser keeps 50 to 75 bytes for every token, however short: more tokens than this make no sense in the
/// files that people write.
const MAX_TOKENS: usize = 8_000;

/// Reads a small TOML file. The error is a reason on one line, with the line it is about.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    parse_up_to(MAX_TOKENS, bytes)
}

/// Held while a file with more tokens than [`MAX_TOKENS`] is read, so that many of them take the memory of one.
static LARGE: Mutex<()> = Mutex::new(());

/// [`parse`] of a file that a program writes and that may be long: every other byte may begin a token.
pub(super) fn parse_long<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    parse_up_to((bytes.len() / 2).max(MAX_TOKENS), bytes)
}

fn parse_up_to<T: DeserializeOwned>(most: usize, bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_string())?;
    let tokens = tokens(text);
    if tokens > most {
        return Err(format!("has {tokens} words and signs: at most {most} make sense"));
    }
    let _one = (tokens > MAX_TOKENS).then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
    toml::from_str(text).map_err(|error| located(&error, text))
}

/// Words, runs of spaces, and single signs.
fn tokens(text: &str) -> usize {
    let kind = |b: u8| match b {
        b' ' | b'\t' => 1,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | 128.. => 2,
        _ => 0,
    };
    let mut last = 0;
    text.bytes()
        .filter(|&b| {
            let begins = kind(b) == 0 || kind(b) != last;
            last = kind(b);
            begins
        })
        .count()
}

/// A TOML error on one line, with the line it is about.
fn located(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text.bytes().take(span.start).filter(|&b| b == b'\n').count() + 1);
    let message = short(&error.message().replace('\n', " "));
    match line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_signs_are_counted_and_bounded() {
        assert_eq!(tokens("a-b  = \"é x\"\n"), 10);
        assert_eq!(tokens(&"x".repeat(1000)), 1);
        let many = format!("x = [{}]", "1,".repeat(MAX_TOKENS));
        let error = parse::<toml::Table>(many.as_bytes()).unwrap_err();
        assert!(error.contains("words and signs"), "{error}");
        let table: toml::Table = parse(b"x = [1, 2]\n").unwrap();
        assert_eq!(table.len(), 1);
    }
}

//! Which prompts a calibration is made from.

use std::path::Path;

use serde::Deserialize;

use crate::outside::read_limited;
use crate::{Error, Result};

/// A file of prompts is not larger.
const LARGEST: u64 = 256 << 20;

/// The prompts that come with the program: several domains and languages.
const GENERAL: &str = include_str!("../../../assets/calibration/general.jsonl");

/// Prompts to calibrate with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalibrationPrompts {
    /// What they are, in a few words: `the 300 general prompts of this program`.
    pub source: String,
    /// The prompts.
    pub texts: Vec<CalibrationText>,
    /// By prompt: its line, from 1 on, where they are lines of a file; else empty.
    pub lines: Vec<usize>,
}

/// One prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum CalibrationText {
    /// An instruction and its input, for the library's template.
    Instruction(String, String),
    /// Token ids as they are.
    Tokens(Vec<u32>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    prompt: Option<String>,
    tokens: Option<Vec<u32>>,
}

/// The prompts that come with the program.
///
/// # Errors
/// Never, as a test sees to it.
pub fn general() -> Result<CalibrationPrompts> {
    let (lines, texts) = parse(GENERAL.as_bytes()).map_err(Error::msg)?;
    Ok(CalibrationPrompts {
        source: format!("{} general prompts of this program", texts.len()),
        texts,
        lines,
    })
}

/// Reads a file with lines `{"prompt": "…"}` or `{"tokens": [1, 2, …]}`.
///
/// # Errors
/// A file that cannot be read or has no prompts; the first line that is neither.
pub fn read_prompts(path: &Path) -> Result<CalibrationPrompts> {
    let bytes = read_limited(path, LARGEST).map_err(|e| Error::io(path, e))?;
    let (lines, texts) = parse(&bytes).map_err(|problem| Error::file(path, problem))?;
    let source = format!("{} of {}", crate::text::counted(texts.len(), "prompt"), path.display());
    Ok(CalibrationPrompts { source, texts, lines })
}

/// The prompts of a file, with the line of each.
fn parse(bytes: &[u8]) -> std::result::Result<(Vec<usize>, Vec<CalibrationText>), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_string())?;
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let mut texts = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let at = |problem: &str| format!("line {}: {problem}", number + 1);
        let expected = "a line is {\"prompt\": \"…\"} or {\"tokens\": [1, 2, …]}";
        let line: Line = serde_json::from_str(line).map_err(|_| at(&format!("is no prompt: {expected}")))?;
        let text = match (line.prompt, line.tokens) {
            (Some(prompt), None) if prompt.trim().is_empty() => return Err(at("the prompt is empty")),
            (Some(prompt), None) => CalibrationText::Instruction(prompt, String::new()),
            (None, Some(tokens)) if tokens.is_empty() => return Err(at("there are no tokens")),
            (None, Some(tokens)) => CalibrationText::Tokens(tokens),
            (None, None) | (Some(_), Some(_)) => return Err(at(expected)),
        };
        texts.push((number + 1, text));
    }
    if texts.is_empty() {
        return Err("has no prompts".into());
    }
    Ok(texts.into_iter().unzip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_prompts_or_tokens() {
        let good = "{\"prompt\": \"Hola\"}\n\n{\"tokens\": [1, 2]}\n";
        let (lines, texts) = parse(good.as_bytes()).unwrap();
        assert_eq!(lines, [1, 3]);
        assert_eq!(texts[0], CalibrationText::Instruction("Hola".into(), String::new()));
        assert_eq!(texts[1], CalibrationText::Tokens(vec![1, 2]));
        let error = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert_eq!(error("{\"prompt\": \" \"}"), "line 1: the prompt is empty");
        assert_eq!(error("{\"tokens\": []}"), "line 1: there are no tokens");
        for bad in [
            "{}",
            "{\"prompt\": 3}",
            "x",
            "{\"tokens\": [-1]}",
            "{\"prompt\":\"a\",\"tokens\":[1]}",
            "{\"text\":\"a\"}",
        ] {
            assert!(error(&format!("{good}{bad}")).starts_with("line 4: "), "{bad}");
        }
        assert_eq!(error("\n"), "has no prompts");
    }

    #[test]
    fn the_general_prompts_are_many_and_differ() {
        let general = general().unwrap();
        let mut texts: Vec<String> = general.texts.iter().map(|text| format!("{text:?}")).collect();
        assert!(texts.len() >= 280, "{}", texts.len());
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), general.texts.len());
    }
}

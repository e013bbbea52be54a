//! Examples as people have them: JSON Lines or a JSON array of `{"instruction","input","output"}`.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::example::{Example, Found};
use crate::outside::{io_reason, open_limited};
use crate::{Error, Result};

/// Largest file that is read: all examples are kept in memory.
const MAX_FILE: u64 = 16 << 30;
/// Longest example that is read; anything longer is no example of an instruction.
const MAX_EXAMPLE: usize = 1 << 20;
/// Bytes by which the kind of a file is known.
const FIRST: usize = 1 << 16;

/// Reads the examples of a file: one per line (JSON Lines), or all in one JSON array. A byte order mark, blank lines
/// and line ends of Windows are fine; `input` may be missing or null.
///
/// # Errors
/// I/O; the first broken example by its line and what is wrong with it; a file without examples.
pub fn read_examples(path: &Path) -> Result<Vec<Example>> {
    let examples = read_checked(path, &|_| Ok(()))?;
    if examples.is_empty() {
        return Err(Error::file(path, "has no examples"));
    }
    Ok(examples)
}

/// What is wrong with an example that is well-formed, if anything is.
pub(super) type Check<'a> = &'a dyn Fn(&Example) -> std::result::Result<(), String>;

/// As [`read_examples`], with a check of each example; a file without examples gives none.
///
/// # Errors
/// I/O; the first broken example, or the first that `check` refuses, by its line.
pub(super) fn read_checked(path: &Path, check: Check) -> Result<Vec<Example>> {
    let file = open_limited(path, MAX_FILE).map_err(|e| Error::file(path, io_reason(&e)))?;
    let mut reader = BufReader::with_capacity(FIRST, file);
    let start = reader.fill_buf().map_err(|e| Error::file(path, io_reason(&e)))?;
    if let Some(problem) = no_text(start) {
        return Err(Error::file(path, problem));
    }
    let mark = if start.starts_with(MARK) { MARK.len() } else { 0 };
    let is_array = start[mark..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    reader.consume(mark);
    let examples = if is_array { read_array(reader, check) } else { read_lines(reader, check) };
    examples.map_err(|problem| Error::file(path, problem))
}

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What a file is that is no text in UTF-8, by its first bytes.
fn no_text(start: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 7] = [
        (b"\xff\xfe", "is UTF-16 text: save it as UTF-8"),
        (b"\xfe\xff", "is UTF-16 text: save it as UTF-8"),
        (b"\x1f\x8b", "is compressed with gzip: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it first"),
        (b"PK\x03\x04", "is a zip archive: unpack it first"),
        (b"PAR1", "is a Parquet file: write its rows as JSON Lines"),
        (b"ARROW1", "is an Arrow file: write its rows as JSON Lines"),
    ];
    let known = KINDS.iter().find(|(first, _)| start.starts_with(first)).map(|(_, problem)| *problem);
    known.or_else(|| start.iter().take(64).any(|byte| *byte == 0).then_some("is no text: save it as UTF-8"))
}

fn read_lines(mut reader: impl BufRead, check: Check) -> std::result::Result<Vec<Example>, String> {
    let (mut examples, mut line, mut number) = (Vec::new(), Vec::new(), 0usize);
    loop {
        line.clear();
        number += 1;
        let mut limited = Read::take(&mut reader, MAX_EXAMPLE as u64 + 1);
        let read = limited.read_until(b'\n', &mut line).map_err(|e| io_reason(&e))?;
        if read == 0 {
            return Ok(examples);
        }
        let at = |problem: &str| format!("line {number}: {problem}");
        if read > MAX_EXAMPLE {
            return Err(at("is longer than 1 MiB"));
        }
        let text = std::str::from_utf8(&line).map_err(|e| {
            at(&format!("is not UTF-8 (byte {} of the line): save the file as UTF-8", e.valid_up_to() + 1))
        })?;
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let found: Found = serde_json::from_str(text).map_err(|e| at(&about_line(&e, text)))?;
        let example = found.example().map_err(|problem| at(&problem))?;
        check(&example).map_err(|problem| at(&problem))?;
        examples.push(example);
    }
}

/// What is wrong with one line's JSON: the parser counts lines too, but it has seen only this one.
fn about_line(error: &serde_json::Error, text: &str) -> String {
    let rest = error.column().checked_sub(1).and_then(|at| text.get(at..)).unwrap_or_default().trim_start();
    if error.is_eof() && text.starts_with('{') {
        return "the example does not end on its line: write one example per line, or all in one JSON array"
            .into();
    }
    if text.starts_with("{'") {
        return "is not valid JSON: names and texts need double quotes".into();
    }
    match rest.bytes().next() {
        Some(b',') if error.is_syntax() && rest.len() == 1 => {
            "ends with a comma: write one example per line without commas, or all in one JSON array".into()
        }
        Some(b'{') if error.is_syntax() && text.starts_with('{') => {
            "has more than one example: write one per line, or all in one JSON array".into()
        }
        _ => {
            let problem = error.to_string().replace(&format!("at line {} column", error.line()), "at column");
            format!("is not valid JSON: {problem}")
        }
    }
}

/// Counts lines, and bytes since an example began.
struct Counting<R> {
    inner: R,
    lines: Rc<Cell<usize>>,
    bytes: Rc<Cell<usize>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.lines.set(self.lines.get() + buffer[..read].iter().filter(|byte| **byte == b'\n').count());
        self.bytes.set(self.bytes.get() + read);
        if self.bytes.get() > MAX_EXAMPLE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "is longer than 1 MiB"));
        }
        Ok(read)
    }
}

/// Reads an array example by example.
fn read_array(reader: impl BufRead, check: Check) -> std::result::Result<Vec<Example>, String> {
    let (lines, bytes) = (Rc::new(Cell::new(1)), Rc::new(Cell::new(0)));
    let (counted_lines, counted_bytes) = (lines.clone(), bytes.clone());
    let mut array =
        Array { lines: counted_lines, bytes: counted_bytes, examples: Vec::new(), problem: None, check };
    let mut json =
        serde_json::Deserializer::from_reader(Counting { inner: reader, lines, bytes: bytes.clone() });
    let read = json.deserialize_seq(&mut array);
    bytes.set(0);
    let ended = read.and_then(|()| json.end());
    if let Some(problem) = array.problem {
        return Err(problem);
    }
    ended.map_err(|error| {
        let number = array.examples.len() + 1;
        let problem = match error.io_error_kind() {
            Some(io::ErrorKind::InvalidData) => "is longer than 1 MiB or not UTF-8".into(),
            Some(_) => return error.to_string(),
            None => format!("is not valid JSON: {error}"),
        };
        format!("line {}, example {number} of the array: {problem}", error.line().max(array.lines.get()))
    })?;
    Ok(array.examples)
}

struct Array<'a> {
    lines: Rc<Cell<usize>>,
    bytes: Rc<Cell<usize>>,
    examples: Vec<Example>,
    /// What is wrong with an example that is valid JSON.
    problem: Option<String>,
    check: Check<'a>,
}

impl<'de> Visitor<'de> for &mut Array<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of examples")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        loop {
            self.bytes.set(0);
            let Some(found) = seq.next_element::<Found>()? else { return Ok(()) };
            match found.example().and_then(|example| (self.check)(&example).map(|()| example)) {
                Ok(example) => self.examples.push(example),
                Err(problem) => {
                    let (line, number) = (self.lines.get(), self.examples.len() + 1);
                    let problem = format!("line {line}, example {number} of the array: {problem}");
                    self.problem = Some(problem);
                    return Err(de::Error::custom("stops here"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"instruction":"Add","input":"1 1","output":"2"}"#;

    fn bytes(bytes: &[u8]) -> Result<Vec<Example>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.jsonl");
        std::fs::write(&path, bytes).unwrap();
        read_examples(&path)
    }

    fn read(text: &str) -> Result<Vec<Example>> {
        bytes(text.as_bytes())
    }

    fn problem(text: &str) -> String {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("d.jsonl") && error.lines().count() == 1, "{error}");
        error
    }

    #[test]
    fn lines_and_arrays_give_the_same_examples() {
        let one = Example {
            instruction: "Add".into(),
            input: "1 1".into(),
            output: "2".into(),
            ..Example::default()
        };
        let texts = [
            format!("{GOOD}\n\n{GOOD}\n"),
            format!("{GOOD}\r\n{GOOD}"),
            format!("\u{feff}{GOOD}\n \t\n{GOOD}\n\n"),
            format!("[{GOOD},{GOOD}]"),
            format!("\u{feff}\n [\n{GOOD},\r\n  {GOOD}\n]\n\n"),
            format!("{GOOD}\n").repeat(2).replace("\"output\"", "\"id\": [1, {}], \"output\""),
        ];
        for text in texts {
            assert_eq!(read(&text).unwrap(), [one.clone(), one.clone()], "{text}");
        }
    }

    #[test]
    fn a_null_input_is_an_empty_one() {
        for text in
            [r#"{"instruction":"Hi","input":null,"output":"Ho"}"#, r#"{"instruction":"Hi","output":"Ho"}"#]
        {
            assert_eq!(read(text).unwrap()[0].input, "");
        }
        assert_eq!(read(r#"{"instruction":null,"input":"Hi","output":"Ho"}"#).unwrap()[0].instruction, "");
    }

    #[test]
    fn choices_and_further_references_are_read() {
        let text = r#"{"instruction":"Pick","choices":["a","b"],"answer":1,"references":["B"]}"#;
        let example = &read(text).unwrap()[0];
        assert_eq!((example.output.as_str(), example.answer), ("b", Some(1)));
        assert_eq!(example.right().collect::<Vec<_>>(), ["b", "B"]);
        // Without choices, `answer` is any other field.
        let other = GOOD.replace('}', ",\"answer\":\"two\",\"choices\":null,\"references\":[]}");
        let example = &read(&other).unwrap()[0];
        assert!(example.answer.is_none() && example.choices.is_empty() && example.references.is_empty());
    }

    #[test]
    fn a_broken_example_is_named_by_line_and_field() {
        for (text, expected) in [
            (format!("{GOOD}\n{{oops\n"), "line 2: is not valid JSON: key must be a string at column 2"),
            (r#"{"instruction":"Add"}"#.into(), "line 1: lacks \"output\""),
            (r#"{"prompt":"Add","completion":"x"}"#.into(), "it has \"prompt\", \"completion\""),
            (r#"{"instruction":"Add","output":""}"#.into(), "empty output"),
            (r#"{"instruction":"Add","output":null}"#.into(), "line 1: has no \"output\" (null)"),
            (r#"{"instruction":"","input":" ","output":"x"}"#.into(), "neither an instruction nor an input"),
            (
                format!("{GOOD}\n{}", GOOD.replace("\"2\"", "2")),
                "line 2: \"output\" is the number 2: write it as a text, \"2\"",
            ),
            (GOOD.replace("\"2\"", "true"), "\"output\" is true"),
            (GOOD.replace("\"2\"", "[\"2\"]"), "\"output\" is a list of 1 value, not a text"),
            (GOOD.replace("\"Add\"", "{}"), "\"instruction\" is an object, not a text"),
            (GOOD.replace("\"1 1\"", "1.5"), "\"input\" is the number 1.5"),
            (GOOD.replace("\"input\"", "\"output\""), "has \"output\" twice"),
            (GOOD.replace('}', ",\"references\":\"2\"}"), "\"references\" is not a list of texts"),
            (GOOD.replace('}', ",\"references\":[\"2\",2]}"), "\"references[1]\" is the number 2"),
            (GOOD.replace('}', ",\"references\":[\" \"]}"), "\"references[0]\" is empty"),
            (GOOD.replace('}', ",\"choices\":[\"1\",\"2\"]}"), "line 1: has \"choices\" without \"answer\""),
            (GOOD.replace('}', ",\"choices\":[\"2\"],\"answer\":0}"), "has a single choice"),
            (
                GOOD.replace('}', ",\"choices\":[\"1\",\"2\"],\"answer\":2}"),
                "\"answer\" is 2, not the number of a choice, from 0 to 1",
            ),
            (
                GOOD.replace('}', ",\"choices\":[\"1\",\"2\"],\"answer\":\"B\"}"),
                "\"answer\" is \"B\", not the number",
            ),
            (
                GOOD.replace('}', ",\"choices\":[\"1\",\"2\"],\"answer\":0}"),
                "\"output\" is \"2\", but \"answer\" says the choice \"1\"",
            ),
            (
                GOOD.replace('}', ",\"answer\":0,\"choices\":[\"2\",\"1\"],\"choices\":[]}"),
                "has \"choices\" twice",
            ),
            ("\"Add\"\n".into(), "line 1: is a text, not an object"),
            ("3\n".into(), "line 1: is a number"),
            ("null".into(), "line 1: is null"),
            (format!("{GOOD},\n{GOOD},\n"), "line 1: ends with a comma"),
            (format!("{GOOD}\r{GOOD}\r"), "line 1: has more than one example"),
            (format!("{GOOD} {GOOD}"), "line 1: has more than one example"),
            (GOOD.replace('{', "{\n"), "line 1: the example does not end on its line"),
            (GOOD.replace('"', "'"), "names and texts need double quotes"),
            (GOOD.replace("\"2\"", "NaN"), "line 1: is not valid JSON"),
            (GOOD.replace("1 1", "\\ud800"), "line 1: is not valid JSON"),
            (GOOD.replace("1 1", &"1".repeat(MAX_EXAMPLE)), "line 1: is longer than 1 MiB"),
            (String::new(), "has no examples"),
            ("\n\u{a0}\n".into(), "has no examples"),
            ("[]".into(), "has no examples"),
            ("[ \"Add\" ]".into(), "line 1, example 1 of the array: is a text"),
            ("[\"Add\",\"2\"]\n[\"Add\",\"3\"]\n".into(), "line 1, example 1 of the array: is a text"),
            (format!("[[{GOOD}]]"), "example 1 of the array: is an array"),
            (
                format!("[\n{GOOD},\n{}]", GOOD.replace("\"2\"", "2")),
                "line 3, example 2 of the array: \"output\" is the number 2",
            ),
            (format!("[{GOOD},\n{GOOD}"), "example 3 of the array: is not valid JSON: EOF"),
            (format!("[{GOOD}\n{GOOD}]"), "is not valid JSON: expected `,` or `]`"),
            (format!("[{GOOD}]\n{GOOD}"), "is not valid JSON: trailing characters"),
            (
                format!("[{GOOD},{}]", GOOD.replace("1 1", &"1".repeat(MAX_EXAMPLE))),
                "line 1, example 2 of the array: is longer than 1 MiB",
            ),
        ] {
            let found = problem(&text);
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }

    #[test]
    fn what_is_no_text_in_utf_8_is_named() {
        let utf_16: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let latin_1 = [GOOD.as_bytes(), b"\n", &GOOD.as_bytes()[..20], b"\xe9"].concat();
        for (file, expected) in [
            ([b"\xff\xfe".as_slice(), &utf_16].concat(), "is UTF-16 text: save it as UTF-8"),
            (utf_16, "is no text"),
            (latin_1, "line 2: is not UTF-8 (byte 21 of the line): save the file as UTF-8"),
            (b"\x1f\x8b\x08\x00".to_vec(), "gzip: unpack it first"),
            (b"PAR1\x15".to_vec(), "is a Parquet file"),
        ] {
            let found = bytes(&file).unwrap_err().to_string();
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }

    #[test]
    fn folders_and_missing_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_examples(dir.path()).unwrap_err().to_string().contains("not a regular file"));
        assert!(read_examples(&dir.path().join("x")).unwrap_err().to_string().contains("does not exist"));
    }
}

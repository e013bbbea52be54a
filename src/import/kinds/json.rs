//! JSON: one object per line, one array of objects, or an object that has such an array.

use std::borrow::Cow;
use std::cell::{Cell as StdCell, RefCell};
use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::rc::Rc;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::compressed::{self, Bounded};
use super::digits::{Digits, Watched, have_passed, may_lack};
use super::{Columns, FileKind, MAX_ROW, Take};
use crate::import::cell::{At, Cell};
use crate::import::splits::Split;
use crate::outside::io_reason;
use crate::text::short;
use crate::{Error, Result};

pub(super) const KIND: FileKind = FileKind {
    name: "json",
    help: "JSON: one object per line, one array of objects, or an object with such an array in a field `data`, \
           `examples`, `instances` or `rows`",
    endings: &["jsonl", "ndjson", "json"],
    firsts: &[],
    text: true,
    untyped: false,
    columns,
    read,
};

/// Fields of an object that have the rows.
const LISTS: [&str; 5] = ["data", "examples", "rows", "instances", "Instances"];
/// The field of such an object that all rows have in common, and the column that it is.
const DEFINITION_OF_ALL: &str = "Definition";
const DEFINITION: &str = "definition";
/// Rows by which the columns are known.
const LOOKED_AT: usize = 64;

/// How a file stores its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Array,
    Object,
}

/// Looks at the beginning of a file.
fn form(path: &Path) -> Result<Form> {
    let mut reader = compressed::open(path)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = read_line(&mut reader, &mut line).map_err(|problem| Error::file(path, problem))?;
        if read == 0 {
            return Err(Error::file(path, "has no rows"));
        }
        let trimmed = line.trim_ascii();
        match trimmed.first() {
            None => continue,
            Some(b'[') => return Ok(Form::Array),
            // The only line of the file may be all of it.
            Some(b'{') if read > MAX_ROW => return Ok(Form::Object),
            Some(b'{') => {
                let has_rows = |value: &Value| {
                    let list = LISTS.iter().find_map(|name| value.get(name)?.as_array());
                    // A list per split is no row, either, and is called what it is where it is read.
                    let is_split = |name: &String| Split::of_word(name).is_some();
                    let mut splits =
                        value.as_object().into_iter().flatten().filter(|(name, _)| is_split(name));
                    list.or_else(|| splits.find_map(|(_, value)| value.as_array()))
                        .is_some_and(|list| list.first().is_some_and(Value::is_object))
                };
                return Ok(match serde_json::from_slice::<Value>(trimmed) {
                    // Of several objects, each is a row, whatever lists it has.
                    Ok(value) if has_rows(&value) && !another_follows(path, &mut reader)? => Form::Object,
                    Err(error) if error.is_eof() => Form::Object,
                    _ => Form::Lines,
                });
            }
            Some(_) => return Ok(Form::Lines),
        }
    }
}

/// Whether another object begins on a line after the present one.
fn another_follows(path: &Path, reader: &mut dyn BufRead) -> Result<bool> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = read_line(reader, &mut line).map_err(|problem| Error::file(path, problem))?;
        match line.trim_ascii().first() {
            None if read > 0 => continue,
            first => return Ok(first == Some(&b'{')),
        }
    }
}

/// Reads a line, or a little more than a row may have; the error is a reason.
fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> std::result::Result<usize, String> {
    reader.take(MAX_ROW as u64 + 1).read_until(b'\n', line).map_err(|e| io_reason(&e))
}

/// Gets rows, and says whether it wants more.
type Rows<'t> = dyn FnMut(At, &mut Row<'_>) -> Result<bool> + 't;

fn columns(path: &Path) -> Result<Columns> {
    let (mut names, mut seen): (Vec<String>, usize) = (Vec::new(), 0);
    each(path, &[], &mut |_, row| {
        for name in row.keys.drain(..) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        seen += 1;
        Ok(seen < LOOKED_AT)
    })?;
    Ok(Columns { names, open: true, ..Columns::default() })
}

fn read(path: &Path, wanted: &[String], take: &mut Take<'_>) -> Result<()> {
    each(path, wanted, &mut |at, row| {
        take(at, &mut row.cells)?;
        Ok(true)
    })
}

fn each(path: &Path, wanted: &[String], rows: &mut Rows<'_>) -> Result<()> {
    match form(path)? {
        Form::Lines => each_line(path, wanted, rows),
        form => each_element(path, form, wanted, rows),
    }
}

fn each_line(path: &Path, wanted: &[String], rows: &mut Rows<'_>) -> Result<()> {
    let mut reader = compressed::open(path)?;
    let (mut line, mut number) = (Vec::new(), 0);
    let mut row = Row::new(wanted);
    // What is wrong with the first line, as long as no other is an object.
    let (mut first, mut any) = (None, false);
    loop {
        line.clear();
        number += 1;
        let at = At::Line(number);
        let broken = |problem: String| Error::file(path, format!("{at}: {problem}"));
        let read = read_line(&mut reader, &mut line).map_err(broken)?;
        if read == 0 {
            return first.filter(|_| !any).map_or(Ok(()), Err);
        }
        if read > MAX_ROW {
            return Err(broken("is longer than 16 MiB: no example is".into()));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        row.clear();
        match row.take_line(&line) {
            Ok(()) => any = true,
            // The other lines are what they are.
            Err(problem) => {
                if wanted.is_empty() {
                    first.get_or_insert_with(|| broken(problem));
                    continue;
                }
                row.clear();
                row.cells.fill(Cell::Bad(problem));
            }
        }
        if !rows(at, &mut row)? {
            return Ok(());
        }
    }
}

/// That a column has a whole number which would lose digits.
fn lacks_digits(name: &str) -> String {
    format!("\"{}\" has a whole number of more digits than are kept: write it as a text", short(name))
}

/// What is wrong with one line's JSON.
fn about_line(error: &serde_json::Error) -> String {
    let problem = error.to_string().replace(&format!(" at line {} column", error.line()), " at column");
    match error.is_eof() {
        true => format!(
            "is not valid JSON ({problem}): the row does not end on its line, or the file is truncated"
        ),
        false => format!("is not valid JSON ({problem}): correct or remove the line"),
    }
}

fn each_element(path: &Path, form: Form, wanted: &[String], rows: &mut Rows<'_>) -> Result<()> {
    let since = Rc::new(StdCell::new(0));
    let digits = Rc::new(RefCell::new(Digits::default()));
    let bounded = Bounded { inner: compressed::open(path)?, since: since.clone() };
    let reader = Watched { inner: bounded, digits: digits.clone() };
    let row = Row::new(wanted);
    let mut list = List { path, since, digits, row, rows, number: 0, end: None, found: false };
    // The reader is buffered, and bytes are taken from it one by one.
    let mut json = serde_json::Deserializer::from_reader(io::BufReader::new(reader));
    let read = match form {
        Form::Object => json.deserialize_map(Holder(&mut list)),
        _ => (&mut json).deserialize_seq(&mut list),
    };
    let (found, number, end) = (list.found, list.number, list.end.take());
    match end {
        Some(End::Enough) => return Ok(()),
        Some(End::Failed(error)) => return Err(error),
        None => {}
    }
    read.and_then(|()| json.end()).map_err(|error| {
        // An object is no list before its list has begun.
        let at = if found { format!("{}: ", At::Element(number + 1)) } else { String::new() };
        let problem = match error.io_error_kind() {
            Some(_) => format!("{at}{error}"),
            None if error.is_eof() => {
                format!("{at}the file ends within its JSON: it is truncated; get it again")
            }
            None => format!("{at}is not valid JSON ({error}): correct it"),
        };
        Error::file(path, problem)
    })?;
    if !found {
        let names = LISTS.join(", ");
        return Err(Error::file(
            path,
            format!(
                "is one JSON object, which has no list of rows as {names}: write one object per line or an array, and a \
                 file for each split"
            ),
        ));
    }
    Ok(())
}

/// Why a list is not read to its end.
enum End {
    Enough,
    Failed(Error),
}

/// Takes the elements of an array one by one.
struct List<'a, 'w, 't> {
    path: &'a Path,
    since: Rc<StdCell<usize>>,
    digits: Rc<RefCell<Digits>>,
    row: Row<'w>,
    rows: &'a mut Rows<'t>,
    number: u64,
    end: Option<End>,
    found: bool,
}

impl<'de> Visitor<'de> for &mut List<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        self.found = true;
        loop {
            self.since.set(0);
            self.row.clear();
            if seq.next_element_seed(&mut self.row)?.is_none() {
                return Ok(());
            }
            self.row.complete();
            self.number += 1;
            let at = At::Element(self.number);
            if let Some(name) = self.row.lacking.take().filter(|_| have_passed(&self.digits)) {
                self.row.problem = Some(lacks_digits(&name));
            }
            let more = match self.row.problem.take() {
                Some(problem) => Err(Error::file(self.path, format!("{at}: {problem}"))),
                None => (self.rows)(at, &mut self.row),
            };
            self.end = match more {
                Ok(true) => continue,
                Ok(false) => Some(End::Enough),
                Err(error) => Some(End::Failed(error)),
            };
            return Err(de::Error::custom("stops here"));
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut List<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

/// An object with a list of rows in it.
struct Holder<'l, 'a, 'w, 't>(&'l mut List<'a, 'w, 't>);

impl<'de> Visitor<'de> for Holder<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of rows")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.0.since.set(0);
            match name.as_str() {
                list if LISTS.contains(&list) && !self.0.found => map.next_value_seed(&mut *self.0)?,
                // Natural Instructions say once what all rows are asked.
                DEFINITION_OF_ALL => self.0.row.definition = text_in(&map.next_value::<Value>()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A text, or the lines of a list of texts.
fn text_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            Some(values.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join("\n"))
        }
        _ => None,
    }
}

/// One row: the cells that are wanted, in their order.
struct Row<'w> {
    wanted: &'w [String],
    cells: Vec<Cell<'static>>,
    /// The names of its fields, where no cells are wanted.
    keys: Vec<String>,
    problem: Option<String>,
    /// A column whose number may lack digits.
    lacking: Option<String>,
    /// What the file says of all rows, for the column [`DEFINITION`].
    definition: Option<String>,
}

impl<'w> Row<'w> {
    fn new(wanted: &'w [String]) -> Self {
        let (cells, keys) = (Vec::new(), Vec::new());
        Self { wanted, cells, keys, problem: None, lacking: None, definition: None }
    }

    /// Gives the row what the file says of all of them, where it does not say that itself.
    fn complete(&mut self) {
        let Some(definition) = &self.definition else { return };
        if self.wanted.is_empty() && !self.keys.iter().any(|key| key == DEFINITION) {
            self.keys.push(DEFINITION.into());
        }
        let place = self.wanted.iter().position(|wanted| wanted == DEFINITION);
        if let Some(cell @ Cell::Missing) = place.and_then(|place| self.cells.get_mut(place)) {
            *cell = Cell::Text(Cow::Owned(definition.clone()));
        }
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.cells.resize(self.wanted.len(), Cell::Missing);
        self.keys.clear();
        (self.lacking, self.problem) = (None, None);
    }

    /// Takes the object of a line; the error is a reason.
    fn take_line(&mut self, line: &[u8]) -> std::result::Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|e| {
            let byte = e.valid_up_to() + 1;
            format!("is not UTF-8 (byte {byte} of the line): save the file as UTF-8")
        })?;
        let mut json = serde_json::Deserializer::from_str(text);
        let read = self.deserialize(&mut json).and_then(|()| json.end());
        read.map_err(|error| about_line(&error))?;
        if let Some(name) = self.lacking.take().filter(|_| Digits::are_in(text)) {
            return Err(lacks_digits(&name));
        }
        self.problem.take().map_or(Ok(()), Err)
    }
}

impl<'de> DeserializeSeed<'de> for &mut Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl Row<'_> {
    fn is(&mut self, what: &str) {
        self.problem =
            Some(format!("is {what}, not an object with a field per column: correct or remove it"));
    }
}

impl<'de> Visitor<'de> for &mut Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let place = self.wanted.iter().position(|wanted| *wanted == name);
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                if self.wanted.is_empty() {
                    self.keys.push(name);
                }
                continue;
            };
            let value = map.next_value::<Value>()?;
            if may_lack(&value) {
                self.lacking = Some(name.clone());
            }
            let value = Cell::of(value);
            let before = self.cells.get_mut(place).map(|cell| std::mem::replace(cell, value));
            if before.is_some_and(|before| before != Cell::Missing) {
                self.problem =
                    Some(format!("has \"{}\" twice: which one is meant is not clear", short(&name)));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.is("a list");
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<(), E> {
        self.is("a text");
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<(), E> {
        self.is("true or false");
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<(), E> {
        self.is("a number");
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<(), E> {
        self.is("a number");
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<(), E> {
        self.is("a number");
        Ok(())
    }

    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        self.is("null");
        Ok(())
    }
}

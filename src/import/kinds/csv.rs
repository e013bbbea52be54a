//! Values with commas or tabs between them, under a line of names.

use std::borrow::Cow;
use std::cell::Cell as StdCell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use super::compressed::{self, Bounded};
use super::{Columns, FileKind, Take};
use crate::import::cell::{At, Cell};
use crate::outside::io_reason;
use crate::text::{counted, short};
use crate::{Error, Result};

pub(super) const CSV: FileKind = FileKind {
    name: "csv",
    help: "Comma-separated values under a line of names, quoted as RFC 4180 says; with semicolons or tabs, if the first \
           line has no comma",
    endings: &["csv"],
    firsts: &[],
    text: true,
    untyped: true,
    columns: |path| columns(path, b','),
    read: |path, wanted, take| read(path, b',', wanted, take),
};

pub(super) const TSV: FileKind = FileKind {
    name: "tsv",
    help: "The same with tabs in place of commas",
    endings: &["tsv"],
    firsts: &[],
    text: true,
    untyped: true,
    columns: |path| columns(path, b'\t'),
    read: |path, wanted, take| read(path, b'\t', wanted, take),
};

/// Where a value stands as to quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Its first byte comes.
    Start,
    /// It has no quotes around it.
    Plain,
    /// Behind the quote that it begins with.
    Quoted,
    /// Behind a quote within it: the last, or the first of two that stand for one.
    Closed,
}

/// Watches quotes: what begins with one ends with one, and nothing stands behind that.
struct Quotes<R> {
    inner: R,
    delimiter: u8,
    within: Within,
    /// Line ends before what comes.
    lines: u64,
    /// Whether a value is open.
    odd: Rc<StdCell<bool>>,
    /// The line, counted from 1, of the first value that goes on behind its closing quote.
    stray: Rc<StdCell<Option<u64>>>,
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for &byte in buffer.iter().take(read) {
            let ends = byte == self.delimiter || matches!(byte, b'\r' | b'\n');
            self.within = match (self.within, byte) {
                (Within::Start, b'"') => Within::Quoted,
                (Within::Quoted, b'"') => Within::Closed,
                (Within::Closed, b'"') => Within::Quoted,
                (Within::Quoted, _) => Within::Quoted,
                // A mark of the byte order stands before the first value.
                (Within::Start, b'\xef' | b'\xbb' | b'\xbf') if self.lines == 0 => Within::Start,
                (_, _) if ends => Within::Start,
                (Within::Closed, _) => {
                    self.stray.set(self.stray.get().or(Some(self.lines + 1)));
                    Within::Plain
                }
                (Within::Start | Within::Plain, _) => Within::Plain,
            };
            self.lines += u64::from(byte == b'\n');
        }
        self.odd.set(self.within == Within::Quoted);
        Ok(read)
    }
}

struct Table {
    rows: csv::Reader<Quotes<Bounded<Box<dyn io::BufRead>>>>,
    since: Rc<StdCell<usize>>,
    odd: Rc<StdCell<bool>>,
    stray: Rc<StdCell<Option<u64>>>,
    names: Vec<String>,
    /// Lines end as on old Macs.
    old_ends: bool,
}

/// Where a row begins. The reader counts no line ends of old Macs, but rows.
fn place(old_ends: bool, at: &csv::Position) -> At {
    if old_ends { At::Row(at.record()) } else { At::Line(at.line()) }
}

fn open(path: &Path, delimiter: u8) -> Result<Table> {
    let (since, odd) = (Rc::new(StdCell::new(0)), Rc::new(StdCell::new(false)));
    let stray = Rc::new(StdCell::new(None));
    let mut inner = compressed::open(path)?;
    let first = inner.fill_buf().map_err(|e| Error::file(path, io_reason(&e)))?;
    let delimiter = found(delimiter, first);
    let end = first.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let old_ends = end.is_some_and(|end| {
        first.get(end) == Some(&b'\r') && first.get(end + 1).is_some_and(|next| *next != b'\n')
    });
    let bounded = Bounded { inner, since: since.clone() };
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(true)
        .terminator(if old_ends { csv::Terminator::Any(b'\r') } else { csv::Terminator::CRLF })
        .from_reader(Quotes {
            inner: bounded,
            delimiter,
            within: Within::Start,
            lines: 0,
            odd: odd.clone(),
            stray: stray.clone(),
        });
    let header = rows.byte_headers().map_err(|e| broken(path, old_ends, &e))?;
    let mut names = Vec::with_capacity(header.len());
    for name in header {
        let name = std::str::from_utf8(name).map_err(|_| {
            Error::file(path, "line 1: the names of the columns are not UTF-8: save the file as UTF-8")
        })?;
        let name = name.trim().to_string();
        // Spreadsheets write columns without names behind the others.
        if !name.is_empty() && names.contains(&name) {
            let name = short(&name);
            return Err(Error::file(path, format!("line 1: two columns are named \"{name}\": rename one")));
        }
        names.push(name);
    }
    Ok(Table { rows, since, odd, stray, names, old_ends })
}

/// The separator of a file: what its kind says, else another that its first line has instead.
fn found(usual: u8, first: &[u8]) -> u8 {
    let line = first.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let has = |byte: u8| line.contains(&byte);
    [b';', b'\t', b','].into_iter().find(|other| !has(usual) && has(*other)).unwrap_or(usual)
}

/// An error of the reader, with its line.
fn broken(path: &Path, old_ends: bool, error: &csv::Error) -> Error {
    let line = error.position().map_or(String::new(), |at| format!("{}: ", place(old_ends, at)));
    let problem = match error.kind() {
        csv::ErrorKind::Io(e) => io_reason(e),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!(
            "has {} where line 1 names {}: quote values that have a separator or a quote in them",
            counted(usize::try_from(*len).unwrap_or(usize::MAX), "value"),
            counted(usize::try_from(*expected_len).unwrap_or(usize::MAX), "column"),
        ),
        other => format!("cannot be read ({other:?})"),
    };
    Error::file(path, format!("{line}{problem}"))
}

fn columns(path: &Path, delimiter: u8) -> Result<Columns> {
    let mut names = open(path, delimiter)?.names;
    let mut nameless = 0;
    names.retain(|name| {
        nameless += usize::from(name.is_empty());
        !name.is_empty() || nameless == 1
    });
    Ok(Columns { names, ..Columns::default() })
}

fn read(path: &Path, delimiter: u8, wanted: &[String], take: &mut Take<'_>) -> Result<()> {
    let mut table = open(path, delimiter)?;
    let column = |name: &String| table.names.iter().position(|other| other == name);
    let places: Vec<Option<usize>> = wanted.iter().map(column).collect();
    let (mut record, mut swallowed) = (csv::ByteRecord::new(), None);
    loop {
        table.since.set(0);
        let begins = place(table.old_ends, table.rows.position());
        let more = table.rows.read_byte_record(&mut record);
        if let Some(line) = table.stray.get() {
            let at = if table.old_ends { begins } else { At::Line(line) };
            return Err(stray(path, at));
        }
        let more = match more {
            Ok(more) => more,
            Err(error) => {
                let mut is_last = || matches!(table.rows.read_byte_record(&mut record), Ok(false));
                return Err(match error.kind() {
                    csv::ErrorKind::Io(e) => Error::file(path, format!("{begins}: {}", too_long(e))),
                    // What a quote that nothing closes took in lacks the other values of its row.
                    csv::ErrorKind::UnequalLengths { .. } if is_last() && table.odd.get() => {
                        let at = error.position().map_or(begins, |at| place(table.old_ends, at));
                        unclosed(path, at)
                    }
                    _ => broken(path, table.old_ends, &error),
                });
            }
        };
        if !more {
            // A quote that nothing closes took all that came after it into the last row.
            return match swallowed.filter(|_| table.odd.get()) {
                Some(at) => Err(unclosed(path, at)),
                None => Ok(()),
            };
        }
        let at = record.position().map_or(begins, |at| place(table.old_ends, at));
        swallowed = record.iter().next_back().is_some_and(|last| last.contains(&b'\n')).then_some(at);
        let mut cells = Vec::with_capacity(places.len());
        for (column, name) in places.iter().zip(wanted) {
            let Some(bytes) = column.and_then(|column| record.get(column)) else {
                cells.push(Cell::Missing);
                continue;
            };
            cells.push(match std::str::from_utf8(bytes) {
                Ok("") => Cell::Null,
                Ok(text) => Cell::Text(Cow::Borrowed(text)),
                Err(_) => Cell::Bad(format!("\"{}\" is not UTF-8: save the file as UTF-8", short(name))),
            });
        }
        take(at, &mut cells)?;
    }
}

/// That a value goes on behind its closing quote.
fn stray(path: &Path, at: At) -> Error {
    let problem =
        "a value goes on behind its closing quote: double quotes within values, which then stand in quotes";
    Error::file(path, format!("{at}: {problem}"))
}

/// That a row has a quote without an end.
fn unclosed(path: &Path, at: At) -> Error {
    let problem = "a quote that begins in this row is never closed: close it, or double quotes within values";
    Error::file(path, format!("{at}: {problem}"))
}

/// A row without an end is most often a quote without one.
fn too_long(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData if error.to_string().contains("longer than") => {
            format!("{}: is a quote not closed?", io_reason(error))
        }
        _ => io_reason(error),
    }
}

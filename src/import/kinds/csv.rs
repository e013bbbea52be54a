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

/// Counts quotes, of which a sound file has an even number.
struct Quotes<R> {
    inner: R,
    odd: Rc<StdCell<bool>>,
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let quotes = buffer.iter().take(read).filter(|byte| **byte == b'"').count();
        self.odd.set(self.odd.get() ^ (quotes % 2 == 1));
        Ok(read)
    }
}

struct Table {
    rows: csv::Reader<Quotes<Bounded<Box<dyn io::BufRead>>>>,
    since: Rc<StdCell<usize>>,
    odd: Rc<StdCell<bool>>,
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
        .from_reader(Quotes { inner: bounded, odd: odd.clone() });
    let header = rows.byte_headers().map_err(|e| broken(path, old_ends, &e))?;
    let mut names = Vec::with_capacity(header.len());
    for name in header {
        let name = std::str::from_utf8(name).map_err(|_| {
            Error::file(path, "line 1: the names of the columns are not UTF-8: save the file as UTF-8")
        })?;
        let name = name.trim().to_string();
        if names.contains(&name) {
            let name = short(&name);
            return Err(Error::file(path, format!("line 1: two columns are named \"{name}\": rename one")));
        }
        names.push(name);
    }
    Ok(Table { rows, since, odd, names, old_ends })
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
    Ok(Columns { names: open(path, delimiter)?.names, ..Columns::default() })
}

fn read(path: &Path, delimiter: u8, wanted: &[String], take: &mut Take<'_>) -> Result<()> {
    let mut table = open(path, delimiter)?;
    let column = |name: &String| table.names.iter().position(|other| other == name);
    let places: Vec<Option<usize>> = wanted.iter().map(column).collect();
    let (mut record, mut swallowed) = (csv::ByteRecord::new(), None);
    loop {
        table.since.set(0);
        let begins = place(table.old_ends, table.rows.position());
        let more = match table.rows.read_byte_record(&mut record) {
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
            let text = std::str::from_utf8(bytes).map_err(|_| {
                let name = short(name);
                Error::file(path, format!("{at}: \"{name}\" is not UTF-8: save the file as UTF-8"))
            })?;
            cells.push(if text.is_empty() { Cell::Null } else { Cell::Text(Cow::Borrowed(text)) });
        }
        take(at, &mut cells)?;
    }
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

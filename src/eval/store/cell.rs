//! The results of one method on one task: a file that lines are appended to.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::record::Record;
use crate::outside::own;
use crate::{Error, Result};

/// Largest file of results that is read.
const MAX_FILE: u64 = 8 << 30;

/// Everything that the results of one method on one task follow from, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin(Vec<(&'static str, String)>);

impl Origin {
    /// The same with one thing more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// As JSON, which names it too.
    pub(super) fn text(&self) -> String {
        let fields = self.0.iter().map(|(name, value)| ((*name).to_string(), value.clone().into()));
        serde_json::Value::Object(fields.collect()).to_string()
    }
}

/// What is known of an item, without its answer: there may be millions of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// 0 to 1, or a loss in nats.
    pub score: f64,
    /// Whether its answer was kept.
    pub is_answered: bool,
}

impl Known {
    fn of(record: &Record) -> Self {
        Self { score: record.score, is_answered: record.answer.is_some() }
    }
}

/// The results of one method on one task that are known. Several processes may append to the file at once: each
/// writes whole lines at its end, behind a line break, so that half a line of one that was killed stays alone and is
/// not read, for its checksum is wrong.
#[derive(Debug)]
pub struct Cell {
    path: PathBuf,
    /// What the file begins with, for people.
    origin: String,
    known: Vec<Option<Known>>,
}

/// Hands over every line of a file of results that is whole.
fn each_line(path: &Path, take: &mut dyn FnMut(usize, Record)) -> Result<()> {
    let Some(bytes) = own::read(path, MAX_FILE)? else { return Ok(()) };
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some((item, record)) = std::str::from_utf8(line).ok().and_then(Record::read) {
            take(item, record);
        }
    }
    Ok(())
}

impl Cell {
    /// Reads what is known of `items` items.
    ///
    /// # Errors
    /// What is in the place of the file.
    pub(super) fn read(path: PathBuf, origin: String, items: usize) -> Result<Self> {
        let mut cell = Self { path, origin, known: vec![None; items] };
        for (at, record) in cell.records()?.iter().enumerate() {
            cell.known[at] = record.as_ref().map(Known::of);
        }
        Ok(cell)
    }

    /// The name of its file, by which [`super::Store::kept`] finds it again.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What is known of the items.
    pub fn known(&self) -> &[Option<Known>] {
        &self.known
    }

    /// All that was kept of the items, answers too, read from the file: of several records of an item the last one, with
    /// the answer of one before it that has the same score.
    ///
    /// # Errors
    /// What is in the place of the file.
    pub fn records(&self) -> Result<Vec<Option<Record>>> {
        let mut records: Vec<Option<Record>> = vec![None; self.known.len()];
        each_line(&self.path, &mut |item, record| {
            let Some(place) = records.get_mut(item) else { return };
            let says_less = |old: &Record| {
                let same = old.score.total_cmp(&record.score).is_eq();
                same && old.answer.is_some() && record.answer.is_none()
            };
            if !place.as_ref().is_some_and(says_less) {
                *place = Some(record);
            }
        })?;
        Ok(records)
    }

    /// Forgets what was read: it is to be computed anew.
    pub fn forget(&mut self) {
        self.known.fill(None);
    }

    /// Adds results of items, at once.
    ///
    /// # Errors
    /// When they cannot be written; they are known all the same.
    pub fn append(&mut self, new: Vec<(usize, Record)>) -> Result<()> {
        let mut file = own::append(&self.path)?;
        let is_new = file.file().metadata().is_ok_and(|metadata| metadata.len() == 0);
        let mut text = if is_new { format!("# {}", self.origin) } else { String::new() };
        for (item, record) in new {
            text.push('\n');
            text.push_str(&record.line(item));
            if let Some(place) = self.known.get_mut(item) {
                *place = Some(Known::of(&record));
            }
        }
        text.push('\n');
        // In one call, which puts all of it behind what others have written meanwhile.
        file.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }
}

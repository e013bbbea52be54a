//! The results of one method on one task: a file that lines are appended to.

use std::io::Write;
use std::path::PathBuf;

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

/// The results of one method on one task that are known. Several processes may append to the file at once: each
/// writes whole lines at its end, behind a line break, so that half a line of one that was killed stays alone and is
/// not read, for its checksum is wrong.
#[derive(Debug)]
pub struct Cell {
    path: PathBuf,
    /// What the file begins with, for people.
    origin: String,
    records: Vec<Option<Record>>,
}

impl Cell {
    /// Reads what is known of `items` items.
    ///
    /// # Errors
    /// What is in the place of the file.
    pub(super) fn read(path: PathBuf, origin: String, items: usize) -> Result<Self> {
        let mut records = vec![None; items];
        if let Some(bytes) = own::read(&path, MAX_FILE)? {
            for line in bytes.split(|byte| *byte == b'\n') {
                let known = std::str::from_utf8(line).ok().and_then(Record::read);
                if let Some((item, record)) = known
                    && let Some(place) = records.get_mut(item)
                {
                    // Of several the last one that says most.
                    let says_less = |old: &Record| old.answer.is_some() && record.answer.is_none();
                    if !place.as_ref().is_some_and(says_less) {
                        *place = Some(record);
                    }
                }
            }
        }
        Ok(Self { path, origin, records })
    }

    /// What is known of the items.
    pub fn records(&self) -> &[Option<Record>] {
        &self.records
    }

    /// Forgets what was read: it is to be computed anew.
    pub fn forget(&mut self) {
        self.records.fill(None);
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
            if let Some(place) = self.records.get_mut(item) {
                *place = Some(record);
            }
        }
        text.push('\n');
        // In one call, which puts all of it behind what others have written meanwhile.
        file.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }
}

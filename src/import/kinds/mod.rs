//! Kinds of files that rows are read from: a file each and a table of them.

mod arrays;
mod arrow;
mod compressed;
mod csv;
mod digits;
mod json;
mod pages;
mod parquet;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::cell::{At, Cell};
use crate::named::{Named, by_name};
use crate::outside::{io_reason, open_regular};
use crate::{Error, Result};

/// Longest row of a text file, in bytes.
const MAX_ROW: usize = 16 << 20;
/// Rows that are decoded at a time, where they are small.
const BATCH: usize = 10_000;

/// A kind of file.
#[derive(Clone, Copy)]
pub struct FileKind {
    /// One word.
    pub name: &'static str,
    /// What it is, for the documentation.
    pub help: &'static str,
    /// How names of such files end.
    pub endings: &'static [&'static str],
    /// What such files begin with, where that is certain.
    firsts: &'static [&'static [u8]],
    /// Whether it may be compressed with gzip or zstd as a whole.
    pub text: bool,
    /// Whether all of its cells are texts, numbers too.
    pub untyped: bool,
    columns: fn(&Path) -> Result<Columns>,
    read: fn(&Path, &[String], &mut Take<'_>) -> Result<()>,
}

/// The columns of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// Their names, in order.
    pub names: Vec<String>,
    /// Rows may have fields that none of the first rows has.
    pub open: bool,
    /// Names of classes by column, where its numbers stand for them (`ClassLabel` of the datasets library).
    pub classes: HashMap<String, Vec<String>>,
}

/// Gets each row: where it stands, and the wanted cells in their order.
pub type Take<'t> = dyn FnMut(At, &mut [Cell<'_>]) -> Result<()> + 't;

/// Every kind of file.
pub static KINDS: &[FileKind] = &[parquet::KIND, arrow::KIND, json::KIND, csv::CSV, csv::TSV];

impl Named for FileKind {
    const KIND: &'static str = "kind of file";

    fn all() -> &'static [Self] {
        KINDS
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}
by_name!(FileKind);

impl std::fmt::Debug for FileKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl FileKind {
    /// The kind that a file's name promises, without what says how it is compressed.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        let name = name.to_lowercase();
        let (inner, packed) = compressed::without_ending(&name);
        KINDS.iter().find(|kind| {
            (kind.text || !packed) && kind.endings.iter().any(|end| inner.ends_with(&format!(".{end}")))
        })
    }

    /// The kind of a file, by its first bytes, else by its name.
    ///
    /// # Errors
    /// A file that cannot be opened, and one that is of no kind.
    pub fn of(path: &Path) -> Result<&'static Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut first = [0; 16];
        let (mut file, _) = open_regular(path).map_err(|e| Error::file(path, io_reason(&e)))?;
        let read = file.read(&mut first).map_err(|e| Error::io(path, e))?;
        let known = KINDS.iter().find(|kind| {
            kind.firsts.iter().any(|start| first.get(..read).is_some_and(|b| b.starts_with(start)))
        });
        known.or_else(|| Self::by_name(&name)).ok_or_else(|| {
            let endings: Vec<&str> = KINDS.iter().flat_map(|kind| kind.endings).copied().collect();
            let packed =
                if first.starts_with(b"PK\x03\x04") { " (it is a zip archive: unpack it)" } else { "" };
            Error::file(
                path,
                format!("is of no kind that is read{packed}: give one of {}", endings.join(", ")),
            )
        })
    }

    /// The columns of a file of this kind.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn columns(&self, path: &Path) -> Result<Columns> {
        (self.columns)(path)
    }

    /// Reads the wanted columns of all rows.
    ///
    /// # Errors
    /// What is wrong with the file, with the row; what `take` returns.
    pub fn read(&self, path: &Path, wanted: &[String], take: &mut Take<'_>) -> Result<()> {
        (self.read)(path, wanted, take)
    }
}

/// The names of classes in what the datasets library writes beside a schema:
/// `{"info": {"features": {COLUMN: {"names": […], "_type": "ClassLabel"}}}}`.
fn classes(text: &str) -> HashMap<String, Vec<String>> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return HashMap::new() };
    let Some(features) = value.pointer("/info/features").and_then(|f| f.as_object()) else {
        return HashMap::new();
    };
    let of = |feature: &serde_json::Value| -> Option<Vec<String>> {
        let names = feature.get("names")?.as_array()?;
        (feature.get("_type")?.as_str()? == "ClassLabel").then_some(())?;
        names.iter().map(|name| name.as_str().map(String::from)).collect()
    };
    features.iter().filter_map(|(name, feature)| Some((name.clone(), of(feature)?))).collect()
}

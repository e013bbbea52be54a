//! The kinds of adapter files that open as experts. Each is translated into PEFT's names and shapes; what
//! becomes of them is the same for all.

mod format;
mod gguf;
mod heads;
pub(super) mod keys;
mod mlx;
mod mttl;
mod opened;
pub(super) mod peft;
#[cfg(test)]
mod tests;
mod torch;
mod view;

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Serialize, Serializer};

use self::format::{AdapterFile, AdapterFormat};
pub(super) use gguf::linear_layers;
pub use heads::{BaseTraits, Heads};
pub(super) use opened::{Files, Opened, file_name, has_extension};
pub use peft::config::Selection;
pub use peft::variants::variants_table;
pub(super) use peft::{CONFIG, WEIGHTS};
pub(super) use view::View;

/// The formats. Where several may be meant, the first that opens a folder has it; of those that cannot, the last
/// that knows it for its own says why.
pub static FORMATS: &[Format] = &[
    Format(&peft::FORMAT),
    Format(&peft::BIN_FORMAT),
    Format(&mlx::FORMAT),
    Format(&mttl::FORMAT),
    Format(&gguf::FORMAT),
];

/// How an expert is stored: one of [`FORMATS`].
#[derive(Clone, Copy)]
pub struct Format(&'static AdapterFormat);

impl Format {
    /// By the path alone; opening it may show another.
    pub(super) fn expected(path: &Path) -> Self {
        let found = match path.is_dir() {
            true => FORMATS.iter().find(|format| format.marks(path)),
            false => Self::of_file(path),
        };
        found.copied().unwrap_or_default()
    }

    /// The format whose single files have this file's extension.
    pub(super) fn of_file(path: &Path) -> Option<&'static Self> {
        let has = |file: &AdapterFile| has_extension(path, file.extension);
        FORMATS.iter().find(|format| format.0.file.as_ref().is_some_and(has))
    }

    /// Whether a folder has the entries that mark this format, even as broken links.
    fn marks(self, folder: &Path) -> bool {
        let has = |name: &&str| fs::symlink_metadata(folder.join(name)).is_ok();
        !self.0.marks.is_empty() && self.0.marks.iter().all(has)
    }

    /// Name in JSON: `peft-bin`.
    pub fn id(self) -> &'static str {
        self.0.id
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        self.0.name
    }
}

/// PEFT's, in which experts are written here.
impl Default for Format {
    fn default() -> Self {
        Self(&peft::FORMAT)
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id)
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.id)
    }
}

/// Opens the expert at `path`, a folder or a file: configuration and headers, never the weights. `base` is
/// what matters of the base model, where that is known.
///
/// The error is a reason that starts with a file's name.
pub(super) fn open(path: &Path, base: Option<&BaseTraits>) -> Result<(Format, Opened), String> {
    if fs::metadata(path).is_ok_and(|found| found.is_file()) {
        let format = Format::of_file(path).copied().unwrap_or_default();
        let file = format.0.file.as_ref().ok_or_else(|| format!("{} is no adapter", file_name(path)))?;
        return (file.open)(path, base).map(|opened| (format, opened));
    }
    let mut problem = format!("has no {WEIGHTS}");
    for format in FORMATS.iter().filter(|format| format.marks(path)) {
        match (format.0.open_folder)(path, base) {
            Some(Ok(opened)) => return Ok((*format, opened)),
            Some(Err(reason)) => problem = reason,
            None => {}
        }
    }
    Err(problem)
}

/// Whether a folder is an adapter: it has the entries that mark one of the formats.
pub(super) fn is_expert(folder: &Path) -> bool {
    FORMATS.iter().any(|format| format.marks(folder))
}

/// Whether a single file is an adapter: some formats share their extension with whole models. The error is a reason
/// without the file's name.
pub(super) fn is_expert_file(path: &Path) -> Result<bool, String> {
    match Format::of_file(path).and_then(|format| format.0.file.as_ref()) {
        Some(file) => (file.is_adapter)(path),
        None => Ok(false),
    }
}

/// Files in an adapter's folder whose change changes the expert, beside [`is_shard`]'s.
pub(super) fn watched() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().flat_map(|format| format.0.watched.iter().copied()).chain([super::Provenance::FILE])
}

/// Whether a folder has a file of weights beside which no others are read.
pub(super) fn has_weights(folder: &Path) -> bool {
    FORMATS.iter().filter_map(|format| format.0.weights).any(|name| folder.join(name).exists())
}

/// Whether a file in an adapter's folder may contain weights without having a fixed name.
pub(super) fn is_shard(path: &Path) -> bool {
    FORMATS.iter().flat_map(|format| format.0.shards).any(|extension| has_extension(path, extension))
}

/// The extension of a file beside a single file, whose change changes the expert too.
pub(super) fn companion(path: &Path) -> Option<&'static str> {
    Format::of_file(path)?.0.file.as_ref()?.companion
}

/// The formats as a Markdown table, for docs/adapters.md.
pub fn formats_table() -> String {
    let mut table = String::from("| written by | files | notes |\n|---|---|---|\n");
    for [written_by, files, notes] in FORMATS.iter().flat_map(|format| format.0.docs) {
        table += &format!("| {written_by} | {files} | {notes} |\n");
    }
    table
}

//! What a kind of adapter files says about itself.

use std::path::Path;

use super::heads::BaseTraits;
use super::opened::Opened;

/// A kind of adapter files: how to recognise it, what to watch, how to open it. Reasons start with a file's name.
pub(in crate::library) struct AdapterFormat {
    /// In JSON.
    pub id: &'static str,
    /// For people.
    pub name: &'static str,
    /// Rows of the table in docs/adapters.md: written by, files, notes.
    pub docs: &'static [[&'static str; 3]],
    /// A folder with all of these entries may be an adapter of this format; never, where none are listed.
    pub marks: &'static [&'static str],
    /// Opens such a folder; `None` where it is one of another format after all.
    pub open_folder: fn(&Path, Option<&BaseTraits>) -> Option<Result<Opened, String>>,
    /// Files of a folder whose change changes the expert.
    pub watched: &'static [&'static str],
    /// A file of weights beside which no others of the folder are read.
    pub weights: Option<&'static str>,
    /// Extensions of files of weights without fixed names, watched where there are no such weights.
    pub shards: &'static [&'static str],
    /// How single files are adapters.
    pub file: Option<AdapterFile>,
}

/// Single files that are adapters.
pub(in crate::library) struct AdapterFile {
    pub extension: &'static str,
    /// Extension of a file beside it whose change changes the expert too.
    pub companion: Option<&'static str>,
    /// Whether a file with the extension is an adapter; the reason does not name the file.
    pub is_adapter: fn(&Path) -> Result<bool, String>,
    pub open: fn(&Path, Option<&BaseTraits>) -> Result<Opened, String>,
}

impl AdapterFormat {
    /// A format without files, to start from.
    pub const fn new(id: &'static str, name: &'static str) -> Self {
        Self {
            id,
            name,
            docs: &[],
            marks: &[],
            open_folder: |_, _| None,
            watched: &[],
            weights: None,
            shards: &[],
            file: None,
        }
    }
}

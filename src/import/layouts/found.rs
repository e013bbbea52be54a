//! What was found in a source.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::import::kinds::FileKind;
use crate::import::splits::Split;

/// A file of rows.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where it is.
    pub path: PathBuf,
    /// Its kind.
    pub kind: &'static FileKind,
    /// The configuration of the dataset that it belongs to.
    pub config: Option<String>,
    /// Its split, where its place says one.
    pub split: Option<Split>,
    /// What that is called there, the whole name first: `validation_matched`, `validation`.
    pub split_names: Vec<String>,
    /// Names of classes by column, where the dataset says that its numbers stand for them, and the file need not.
    pub classes: HashMap<String, Vec<String>>,
    /// All else that its place says: the name of a task, where there are several.
    pub group: Option<String>,
}

/// The files of a source.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Name of the dataset.
    pub name: String,
    /// Where it comes from, for `task.toml`: repository and revision, where that is known.
    pub origin: Option<String>,
    /// Its licence, where it says one.
    pub licence: Option<String>,
    /// Its files, in order.
    pub pieces: Vec<Piece>,
    /// What is there and is not read, each with why.
    pub unread: Vec<String>,
    /// Names of splits that it says it has, and that have no rows.
    pub empty: Vec<String>,
}

/// The name of a file or folder without endings.
pub(super) fn name_of(path: &Path) -> String {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if real.is_file() { super::walk::stem(&name).to_string() } else { name }
}

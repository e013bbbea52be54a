//! Files below a folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::import::kinds::{FileKind, KINDS};
use crate::outside::io_reason;
use crate::text::{natural, printable};
use crate::{Error, Result};

/// Deepest folder that is looked into.
const MAX_DEPTH: usize = 8;
/// Most files and folders.
const MAX_ENTRIES: usize = 100_000;
/// Files of JSON that describe datasets and have no rows.
const DESCRIPTIONS: [&str; 6] = [
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
    "package.json",
    "croissant.json",
];

/// Endings of files that may have rows, packed or in tables, and are of no kind that is read.
const OTHER_ENDINGS: [&str; 25] = [
    "bz2", "xz", "lzma", "lz4", "br", "zip", "7z", "rar", "tar", "tgz", "gz", "zst", "xlsx", "xls", "ods",
    "orc", "avro", "pkl", "pickle", "npz", "h5", "hdf5", "db", "sqlite", "sqlite3",
];

/// Why a folder is left out.
const TWICE: &str = "is a folder that is read under another name";

/// A file of rows below a folder.
#[derive(Clone, Debug)]
pub(super) struct Below {
    pub path: PathBuf,
    /// The names of the folders above it, from the one that was walked.
    pub folders: Vec<String>,
    /// Its name.
    pub name: String,
    pub kind: &'static FileKind,
}

impl Below {
    /// Its path from the folder, with slashes.
    pub fn relative(&self) -> String {
        self.folders.iter().map(String::as_str).chain([self.name.as_str()]).collect::<Vec<_>>().join("/")
    }
}

/// What is below a folder.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Files whose names say that they have rows, in natural order of their paths.
    pub files: Vec<Below>,
    /// What may have rows and is not read, each with why, in the same order.
    pub unread: Vec<String>,
}

/// What is below a folder. Links are followed, since caches of the hub are made of them, but a folder is read once,
/// however many links lead to it.
///
/// # Errors
/// A folder that cannot be read; a link that leads nowhere, as in a cache that was cleaned up: rows are missing there.
pub(super) fn walk(root: &Path) -> Result<Walked> {
    let real = std::fs::canonicalize(root).map_err(|e| Error::io(root, e))?;
    let mut walk = Walk { left: MAX_ENTRIES, seen: HashSet::from([real.clone()]), ..Walk::default() };
    walk.visit(root, &mut Vec::new())?;
    // Links come after all folders that are there themselves, so that these keep their names.
    let mut done = 0;
    while let Some((path, mut above, target)) = walk.links.get(done).cloned() {
        done += 1;
        // A folder above has everything, and what is beside the folder that was named.
        match real.starts_with(&target) || !walk.seen.insert(target) {
            true => walk.unread(&path, TWICE),
            false => walk.visit(&path, &mut above)?,
        }
    }
    walk.leave_out_copies()?;
    let Walk { mut files, mut unread, .. } = walk;
    files.sort_by(|a, b| natural(&a.relative(), &b.relative()));
    unread.sort_by(|a, b| natural(a, b));
    Ok(Walked { files, unread })
}

#[derive(Default)]
struct Walk {
    /// How many more files and folders may be there.
    left: usize,
    /// Folders that are read, by their real paths.
    seen: HashSet<PathBuf>,
    /// Links to folders, the names of the folders from the root to them, and where they lead.
    links: Vec<(PathBuf, Vec<String>, PathBuf)>,
    files: Vec<Below>,
    unread: Vec<String>,
}

impl Walk {
    fn visit(&mut self, folder: &Path, above: &mut Vec<String>) -> Result<()> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
            paths.push(entry.map_err(|e| Error::io(folder, e))?.path());
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || name.starts_with("__") {
                continue;
            }
            self.left = self.left.checked_sub(1).ok_or_else(|| {
                Error::file(
                    folder,
                    format!("has more than {MAX_ENTRIES} files around it: name a folder further down"),
                )
            })?;
            let is_link = path.is_symlink();
            let metadata = std::fs::metadata(&path).map_err(|e| match is_link {
                true => Error::file(
                    &path,
                    format!(
                        "is a link that leads nowhere ({}): get its file again, or remove it",
                        io_reason(&e)
                    ),
                ),
                false => Error::io(&path, e),
            })?;
            let has_rows = metadata.is_file() && may_have_rows(&name);
            if (has_rows || metadata.is_dir()) && path.to_str().is_none() {
                self.unread(&path, "its name is not UTF-8: rename it");
            } else if metadata.is_dir() && above.len() >= MAX_DEPTH {
                self.unread(
                    &path,
                    &format!("is more than {MAX_DEPTH} folders down: name a folder further down"),
                );
            } else if metadata.is_dir() {
                above.push(name);
                match is_link {
                    true => {
                        let target = std::fs::canonicalize(&path).map_err(|e| Error::io(&path, e))?;
                        self.links.push((path, above.clone(), target));
                    }
                    false => {
                        let real = std::fs::canonicalize(&path).map_err(|e| Error::io(&path, e))?;
                        // Below a link, another one may have led here before.
                        match self.seen.insert(real) {
                            true => self.visit(&path, above)?,
                            false => self.unread(&path, TWICE),
                        }
                    }
                }
                above.pop();
            } else if has_rows {
                match FileKind::by_name(&name) {
                    Some(kind) => self.files.push(Below { path, folders: above.clone(), name, kind }),
                    None => {
                        self.unread(&path, "is of a kind that is not read: unpack it, or write it as another")
                    }
                }
            }
        }
        Ok(())
    }

    /// Leaves out links to files that are read themselves. In the hub's cache, all are links to files elsewhere.
    fn leave_out_copies(&mut self) -> Result<()> {
        let (links, mut kept): (Vec<Below>, Vec<Below>) =
            std::mem::take(&mut self.files).into_iter().partition(|file| file.path.is_symlink());
        let real = |file: &Below| std::fs::canonicalize(&file.path).map_err(|e| Error::io(&file.path, e));
        let read = match links.is_empty() {
            true => HashSet::new(),
            false => kept.iter().map(real).collect::<Result<HashSet<PathBuf>>>()?,
        };
        for link in links {
            let target = real(&link)?;
            match read.contains(&target) {
                true => self.unread(&link.path, "is a link to a file that is read under its own name"),
                false => kept.push(link),
            }
        }
        self.files = kept;
        Ok(())
    }

    fn unread(&mut self, path: &Path, why: &str) {
        self.unread.push(format!("not read: {}: {why}", printable(&path.to_string_lossy())));
    }
}

/// Whether the name of a file says that it has rows, also such as are not read.
fn may_have_rows(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    let is_other = ending.is_some_and(|ending| OTHER_ENDINGS.contains(&ending.as_str()));
    !DESCRIPTIONS.contains(&name) && (is_other || FileKind::by_name(name).is_some())
}

/// The name of a file without the endings of its kind and of its compression.
pub(super) fn stem(name: &str) -> &str {
    let lower = name.to_lowercase();
    let mut length = name.len();
    for end in
        ["gz", "gzip", "zst", "zstd"].into_iter().chain(KINDS.iter().flat_map(|kind| kind.endings).copied())
    {
        let ending = format!(".{end}");
        if lower.len() == name.len() && lower.get(..length).is_some_and(|rest| rest.ends_with(&ending)) {
            length -= ending.len();
        }
    }
    name.get(..length).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_taken_off() {
        for (name, expected) in [
            ("a.jsonl.gz", "a"),
            ("train-0.parquet", "train-0"),
            ("a.b.csv.zst", "a.b"),
            ("README", "README"),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }
}

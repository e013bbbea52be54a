//! Files below a folder.

use std::path::{Path, PathBuf};

use crate::import::kinds::{FileKind, KINDS};
use crate::text::natural;
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

/// Files whose names say that they have rows, in natural order of their paths. Links are followed: caches of the hub
/// are made of them.
pub(super) fn files(root: &Path) -> Result<Vec<Below>> {
    let mut left = MAX_ENTRIES;
    let mut found = Vec::new();
    visit(root, &mut Vec::new(), &mut left, &mut found)?;
    found.sort_by(|a: &Below, b: &Below| natural(&a.relative(), &b.relative()));
    Ok(found)
}

fn visit(folder: &Path, above: &mut Vec<String>, left: &mut usize, found: &mut Vec<Below>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(String::from) else { continue };
        if name.starts_with('.') || name.starts_with("__") {
            continue;
        }
        *left = left.checked_sub(1).ok_or_else(|| {
            Error::file(
                folder,
                format!("has more than {MAX_ENTRIES} files around it: name a folder further down"),
            )
        })?;
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if metadata.is_dir() && above.len() < MAX_DEPTH {
            above.push(name);
            visit(&path, above, left, found)?;
            above.pop();
        } else if metadata.is_file()
            && !DESCRIPTIONS.contains(&name.as_str())
            && let Some(kind) = FileKind::by_name(&name)
        {
            found.push(Below { path, folders: above.clone(), name, kind });
        }
    }
    Ok(())
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

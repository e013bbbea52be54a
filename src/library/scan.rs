//! Finding the experts below a folder.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;

use super::inspect::{CONFIG, WEIGHTS, inspect};
use super::{Expert, Manifest, Provenance};
use crate::{Error, Result};

/// Experts lie at most this many folders below the library.
const MAX_DEPTH: usize = 3;

/// A folder still to be looked at: its path, its name below the library and the real paths above it.
struct Folder {
    path: PathBuf,
    name: String,
}

enum Found {
    Expert(Box<Expert>),
    Folders(Vec<Folder>),
    /// A folder below the library that cannot be listed.
    Unreadable(String),
}

/// What a walk found: experts sorted by the bytes of their names, and warnings.
pub(super) struct Scan {
    pub experts: Vec<Expert>,
    pub warnings: Vec<String>,
}

/// Looks for experts at depth ≤ 3. Hidden folders, and links that lead back above themselves, are left out.
pub(super) fn scan(root: &Path) -> Result<Scan> {
    check_root(root)?;
    if is_expert(root) {
        return Ok(Scan {
            experts: vec![inspect(root.to_path_buf(), root_name(root))],
            warnings: Vec::new(),
        });
    }
    let mut scan = Scan { experts: Vec::new(), warnings: Vec::new() };
    let mut level = subfolders(&Folder { path: root.to_path_buf(), name: String::new() })
        .map_err(|e| Error::io(root, e))?;
    for depth in 1..=MAX_DEPTH {
        let found: Vec<Found> = level.into_par_iter().map(|folder| look(folder, depth < MAX_DEPTH)).collect();
        level = Vec::new();
        for found in found {
            match found {
                Found::Expert(expert) => scan.experts.push(*expert),
                Found::Folders(folders) => level.extend(folders),
                Found::Unreadable(warning) => scan.warnings.push(warning),
            }
        }
    }
    scan.experts.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(scan)
}

fn check_root(root: &Path) -> Result<()> {
    let metadata = fs::metadata(root).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(root, "there is no such folder"),
        _ => Error::io(root, e),
    })?;
    if !metadata.is_dir() {
        return Err(Error::file(root, "is not a folder: a library is a folder of adapters"));
    }
    Ok(())
}

fn root_name(root: &Path) -> String {
    let real = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    real.file_name().map_or_else(|| "adapter".into(), |name| name.to_string_lossy().into_owned())
}

/// Whether a folder is an adapter: it has an entry of the configuration's name, even a broken link.
pub(super) fn is_expert(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(CONFIG)).is_ok()
}

fn look(folder: Folder, deeper: bool) -> Found {
    if is_expert(&folder.path) {
        return Found::Expert(Box::new(inspect(folder.path, folder.name)));
    }
    if !deeper {
        return Found::Folders(Vec::new());
    }
    match subfolders(&folder) {
        Ok(folders) => Found::Folders(folders),
        Err(e) => {
            Found::Unreadable(format!("{} was not looked at: {}", folder.name, super::files::io_reason(&e)))
        }
    }
}

/// The visible folders in a folder, sorted, links followed unless they lead to a folder above.
fn subfolders(folder: &Folder) -> std::io::Result<Vec<Folder>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(&folder.path)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let name = file_name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type()?;
        let wanted = kind.is_dir() || kind.is_symlink() && path.is_dir() && !leads_up(&path);
        if wanted {
            let name = match folder.name.as_str() {
                "" => name.into_owned(),
                above => format!("{above}/{name}"),
            };
            folders.push(Folder { path, name });
        }
    }
    folders.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(folders)
}

/// Whether a link points at one of the folders it lies in.
fn leads_up(link: &Path) -> bool {
    match (fs::canonicalize(link), link.parent().map(fs::canonicalize)) {
        (Ok(target), Some(Ok(folder))) => folder.starts_with(target),
        _ => true,
    }
}

/// A number that changes when something about the experts or the manifest changes on disk: names,
/// sizes and times of the files. Reads no content.
pub(super) fn fingerprint(root: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    stamp(&root.join(Manifest::FILE)).hash(&mut hasher);
    let mut level = vec![Folder { path: root.to_path_buf(), name: String::new() }];
    for depth in 0..=MAX_DEPTH {
        let mut next = Vec::new();
        for folder in level {
            folder.name.hash(&mut hasher);
            if is_expert(&folder.path) {
                for file in [CONFIG, WEIGHTS, Provenance::FILE] {
                    stamp(&folder.path.join(file)).hash(&mut hasher);
                }
            } else if depth < MAX_DEPTH {
                match subfolders(&folder) {
                    Ok(folders) => next.extend(folders),
                    Err(e) => e.kind().hash(&mut hasher),
                }
            }
        }
        level = next;
    }
    hasher.finish()
}

/// Size and modification time in nanoseconds; `None` when there is no such file.
fn stamp(path: &Path) -> Option<(u64, u128)> {
    let metadata = fs::metadata(path).ok()?;
    let time = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), time.as_nanos()))
}

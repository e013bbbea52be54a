//! A dataset in the hub's cache: `datasets--OWNER--NAME` with `snapshots/REVISION` of links into `blobs`.

use std::path::{Path, PathBuf};

use super::found::Found;
use super::{Layout, in_folder};
use crate::outside::read_text_of;
use crate::{Error, Result};

pub(super) const LAYOUT: Layout = Layout {
    name: "hub cache",
    help: "`datasets--OWNER--NAME` of the Hugging Face cache: the snapshot that `refs/main` names, else the only one",
    is: |folder| folder.join("snapshots").is_dir(),
    find,
};

/// What names of folders of datasets begin with.
const PREFIX: &str = "datasets--";
/// Longest name of a revision.
const MAX_REVISION: u64 = 4096;

fn find(folder: &Path, configs: &[String]) -> Result<Found> {
    let snapshot = snapshot(folder)?;
    if snapshot.join("snapshots").is_dir() {
        return Err(Error::file(&snapshot, "is a cache within a cache: name the folder of the dataset"));
    }
    let mut found = in_folder(&snapshot, configs)?;
    let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let named = named(&real, &snapshot);
    (found.name, found.origin) = (named.name, Some(named.origin));
    Ok(found)
}

/// What a snapshot is called.
pub(super) struct Named {
    /// Of the dataset.
    pub name: String,
    /// Repository and revision.
    pub origin: String,
}

/// What a snapshot of a dataset's folder is called.
fn named(folder: &Path, snapshot: &Path) -> Named {
    let last = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (name, revision) = (last(folder), last(snapshot));
    let id = name.strip_prefix(PREFIX).unwrap_or(&name).replace("--", "/");
    Named { name: id.rsplit('/').next().unwrap_or(&id).to_string(), origin: format!("{id}@{revision}") }
}

/// What a source is called that is a snapshot, or in one, and was named without its cache: `hf download` prints such
/// paths. The second is whether it is all of the snapshot.
pub(super) fn snapshot_of(source: &Path) -> Option<(Named, bool)> {
    let path = std::path::absolute(source).ok()?;
    path.ancestors().find_map(|snapshot| {
        let snapshots = snapshot.parent().filter(|above| above.ends_with("snapshots"))?;
        let folder = snapshots.parent()?;
        let is_cache = folder.file_name()?.to_string_lossy().starts_with(PREFIX);
        is_cache.then(|| (named(folder, snapshot), snapshot == path))
    })
}

pub(super) fn snapshot(folder: &Path) -> Result<PathBuf> {
    let snapshots = folder.join("snapshots");
    let main = folder.join("refs/main");
    if main.is_file() {
        let revision = read_text_of(&main, MAX_REVISION)?;
        let revision = revision.trim();
        let plain = !revision.is_empty() && revision.bytes().all(|b| b.is_ascii_alphanumeric());
        let named = snapshots.join(revision);
        if plain && named.is_dir() {
            return Ok(named);
        }
    }
    let entries = std::fs::read_dir(&snapshots).map_err(|e| Error::io(&snapshots, e))?;
    let mut all: Vec<PathBuf> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_dir()).collect();
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(Error::file(&snapshots, "has no snapshot: download the dataset again")),
        _ => Err(Error::file(
            &snapshots,
            "has several snapshots, and refs/main names none of them: name one of its folders",
        )),
    }
}

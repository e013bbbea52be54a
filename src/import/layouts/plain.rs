//! A file, or a folder of files whose names and folders say what they are.

use std::collections::HashMap;
use std::path::Path;

use super::found::{Found, Piece, name_of};
use super::{Layout, walk};
use crate::Result;
use crate::import::kinds::FileKind;
use crate::import::names::said;

pub(super) const LAYOUT: Layout = Layout {
    name: "plain",
    help: "Files in folders: a name or folder like `train`, `dev`, `test` is a split, every other name a task",
    is: Path::is_dir,
    find,
};

fn find(folder: &Path, _configs: &[String]) -> Result<Found> {
    let walked = walk::walk(folder)?;
    let pieces = walked.files.iter().map(piece).collect::<Result<_>>()?;
    Ok(Found { name: name_of(folder), pieces, unread: walked.unread, ..Found::default() })
}

/// A file as its place says.
pub(super) fn piece(file: &walk::Below) -> Result<Piece> {
    let folders: Vec<&str> = file.folders.iter().map(String::as_str).collect();
    let said = said(&folders, walk::stem(&file.name));
    // What a file is shows in its first bytes, whatever its name says.
    let kind = if file.kind.text { FileKind::of(&file.path)? } else { file.kind };
    Ok(Piece {
        path: file.path.clone(),
        kind,
        config: None,
        split: said.split,
        split_names: said.split_names,
        group: said.group,
        classes: HashMap::new(),
    })
}

/// One file. Where its name says no more than a split, it is named after the folder that it is in.
pub(super) fn one(path: &Path) -> Result<Found> {
    // A link is called what it is called itself: in the hub's cache, it leads to a number.
    let path_name = path.file_name().unwrap_or_default().to_string_lossy();
    let own = walk::stem(&path_name).to_string();
    let said = said(&[], &own);
    let above = || {
        let folder = std::path::absolute(path).ok()?;
        let in_snapshot = super::cache::snapshot_of(path).is_some();
        let names = folder.ancestors().skip(1).map(name_of);
        names.filter(|_| !in_snapshot).find(|name| name != "data")
    };
    let name = match (&said.group, said.split) {
        (Some(group), Some(_)) => group.clone(),
        (None, Some(_)) => above().unwrap_or_default(),
        (_, None) => own,
    };
    let kind = FileKind::of(path)?;
    let piece = Piece {
        path: path.into(),
        kind,
        config: None,
        split: said.split,
        split_names: said.split_names,
        group: None,
        classes: HashMap::new(),
    };
    Ok(Found { name, pieces: vec![piece], ..Found::default() })
}

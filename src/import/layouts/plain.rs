//! A file, or a folder of files whose names and folders say what they are.

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
    let pieces = walk::files(folder)?.iter().map(piece).collect::<Result<_>>()?;
    Ok(Found { name: name_of(folder), pieces, ..Found::default() })
}

/// A file as its place says.
pub(super) fn piece(file: &walk::Below) -> Result<Piece> {
    let folders: Vec<&str> = file.folders.iter().map(String::as_str).collect();
    let said = said(&folders, walk::stem(&file.name));
    // What a file is shows in its first bytes, whatever its name says.
    let kind = if file.kind.text { FileKind::of(&file.path)? } else { file.kind };
    Ok(Piece { path: file.path.clone(), kind, config: None, split: said.split, group: said.group })
}

/// One file.
pub(super) fn one(path: &Path) -> Result<Found> {
    let name = name_of(path);
    let said = said(&[], &name);
    let kind = FileKind::of(path)?;
    let piece = Piece { path: path.into(), kind, config: None, split: None, group: None };
    Ok(Found {
        name: said.group.filter(|_| said.split.is_some()).unwrap_or(name),
        pieces: vec![piece],
        ..Found::default()
    })
}

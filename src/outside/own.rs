//! Files that the program itself names. No link is followed, and nothing but regular files is opened.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::output::Output;
pub use super::place::STATE_DIR;
use super::place::{Access, Place};
use super::read::read_open;
use super::unfinished::{TEMPORARY, Unfinished, fresh_name};
use super::write;
use crate::{Error, Result};

/// Opens a file for reading, `None` when there is none.
///
/// # Errors
/// Links, pipes, devices and folders; what the system says.
pub fn open(path: &Path) -> Result<Option<File>> {
    found(path, Place::own(path).and_then(|place| place.open(Access::Read)))
}

/// The whole of a file of at most `limit` bytes, `None` when there is none.
///
/// # Errors
/// As [`open`]; a larger file.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let read = file.metadata().and_then(|metadata| read_open(file, metadata.len(), limit));
    read.map(Some).map_err(|e| Error::io(path, e))
}

fn found<T>(path: &Path, result: io::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path, e)),
    }
}

/// Opens a file to append to it; makes it where it is missing.
///
/// # Errors
/// As [`open`].
pub fn append(path: &Path) -> Result<Output> {
    let file = Place::own(path).and_then(|place| place.open(Access::Append));
    file.map(Output::new).map_err(|e| Error::io(path, e))
}

/// [`create`] for what only the user may read. It appears whole.
///
/// # Errors
/// As there.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<()> {
    appear(path, bytes, Access::Private)
}

/// [`create`] for what appears whole.
///
/// # Errors
/// As there.
pub fn create_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    appear(path, bytes, Access::New)
}

fn appear(path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    let work = || {
        let target = Place::own(path)?;
        let temporary = target.beside(&fresh_name(TEMPORARY))?;
        let mut output = Output::new(temporary.open(access)?);
        let done =
            output.write_all(bytes).and_then(|()| output.sync()).and_then(|()| temporary.rename_new(&target));
        if done.is_err() {
            let _ = temporary.remove();
        }
        done
    };
    work().map_err(|e| Error::io(path, e))
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// What is there; as [`open`].
pub fn create(path: &Path, bytes: &[u8]) -> Result<()> {
    let made = Place::own(path).and_then(|place| place.open(Access::New));
    made.and_then(|file| Output::new(file).write_all(bytes)).map_err(|e| Error::io(path, e))
}

/// Makes an empty file, unless something has the name already.
///
/// # Errors
/// As [`open`].
pub fn mark(path: &Path) -> Result<()> {
    match Place::own(path).and_then(|place| place.open(Access::New)) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(Error::io(path, e)),
        _ => Ok(()),
    }
}

/// Writes a file as a whole or not at all: temporary file in the same folder, fsync, rename. A file or link that has
/// the name is replaced.
///
/// # Errors
/// What the file system says; the old file is then intact.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// [`replace`] for content that is made while it is written.
///
/// # Errors
/// As there; what `write` returns.
pub fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&mut Output>) -> io::Result<()>,
) -> Result<()> {
    Place::own(path).and_then(|place| write::replace(place, write)).map_err(|e| Error::io(path, e))
}

/// [`replace`] for what can be made again: it does not wait for the disk, so that a power cut may leave a damaged file
/// under the name.
///
/// # Errors
/// As there.
pub fn replace_unsynced(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_unsynced_with(path, |file| file.write_all(bytes))
}

/// [`replace_unsynced`] for content that is made while it is written.
///
/// # Errors
/// As there; what `write` returns.
pub fn replace_unsynced_with(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&mut Output>) -> io::Result<()>,
) -> Result<()> {
    let work = || {
        let mut temporary = Unfinished::new(path, TEMPORARY)?;
        write::through(temporary.output(), write)?;
        temporary.finish_unsynced()
    };
    work().map_err(|e| Error::io(path, e))
}

/// Removes a file or link; `false` where there was none.
///
/// # Errors
/// What the file system says.
pub fn remove(path: &Path) -> Result<bool> {
    found(path, Place::own(path).and_then(|place| place.remove())).map(|removed| removed.is_some())
}

/// Removes a folder that the program made, with all that is in it; `false` where there was none. No link is followed.
///
/// # Errors
/// What the file system says; something else than a folder of this name.
pub fn remove_folder(path: &Path) -> Result<bool> {
    match path.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(path, e)),
        Ok(found) if !found.is_dir() => Err(Error::io(path, io::ErrorKind::NotADirectory.into())),
        Ok(_) => std::fs::remove_dir_all(path).map(|()| true).map_err(|e| Error::io(path, e)),
    }
}

/// Gives what the program made another name, which nothing may have.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where something has it; what the file system says.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    Place::own(from)?.rename_new(&Place::own(to)?)
}

/// Whether anything has the name, a link too.
pub fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

//! Writing what people named, and what all writers share.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::output::Output;
use super::place::{self, Access, Place};
use super::unfinished::{TEMPORARY, Unfinished};
use crate::{Error, Result};

/// Writes a file that a person named, as a whole or not at all: temporary file in the same folder, fsync, rename.
/// An existing file is replaced; a link is followed first, since it was named; a pipe or device is written into.
///
/// # Errors
/// Whatever the file system says (no such folder, no permission, disk full); the old file is then intact.
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_write_with(path, |file| file.write_all(bytes))
}

/// [`atomic_write`] for content that is made while it is written.
///
/// # Errors
/// As there; what `write` returns.
pub fn atomic_write_with(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&mut Output>) -> io::Result<()>,
) -> Result<()> {
    // A link that leads nowhere has no real path: it is replaced itself.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let work = || match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        // Renaming over a pipe or a device would replace it by a file and not reach its reader.
        // Opened under the given name: the real path of a pipe behind /dev/stdout cannot be opened.
        Ok(found) if !found.is_file() => through(&mut into(path)?, write),
        _ => replace(Place::named(&target)?, write),
    };
    work().map_err(|e| Error::io(path, e))
}

/// A file that a person named, to be written line by line: a new one, or an old one whose content is discarded. A
/// link is followed, since it was named; a pipe or device is written into.
///
/// # Errors
/// Whatever the file system says; a pipe that nobody reads.
pub fn create_named(path: &Path) -> io::Result<Output> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => into(path),
        _ => {
            let file = place::open_through_links(path, Access::Open)?;
            file.set_len(0)?;
            Ok(Output::new(file))
        }
    }
}

/// A file that a person named, to be written to at its end.
///
/// # Errors
/// As [`create_named`].
pub fn append_named(path: &Path) -> io::Result<Output> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => into(path),
        _ => place::open_through_links(path, Access::Append).map(Output::new),
    }
}

/// A pipe or device, whose writer waits as usual once it is open.
fn into(path: &Path) -> io::Result<Output> {
    let file = place::open_through_links(path, Access::Write)?;
    #[cfg(unix)]
    {
        let flags = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::NONBLOCK)?;
    }
    Ok(Output::new(file))
}

pub(super) fn through(
    file: &mut Output,
    write: impl FnOnce(&mut io::BufWriter<&mut Output>) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = io::BufWriter::new(file);
    write(&mut writer)?;
    writer.flush()
}

pub(super) fn replace(
    target: Place,
    write: impl FnOnce(&mut io::BufWriter<&mut Output>) -> io::Result<()>,
) -> io::Result<()> {
    let mut temporary = Unfinished::at(target, TEMPORARY)?;
    through(temporary.output(), write)?;
    temporary.finish()
}

/// Makes a folder and those above it. No folder from `.lora-tui` on may be a link.
///
/// # Errors
/// What the file system says; a link below `.lora-tui`.
pub fn make_folders(path: &Path) -> Result<()> {
    place::make_folders(path).map_err(|e| Error::io(path, e))
}

/// What takes everything and gives nothing; `None` where there is no such thing.
pub fn null_device() -> Option<File> {
    place::open_through_links(Path::new("/dev/null"), Access::ReadWrite).ok()
}

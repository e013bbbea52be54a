//! Reading what people named and what libraries contain, through links.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::place::{self, Access};
use super::{counts, fault};
use crate::error::system_reason;
use crate::{Error, Result};

/// Opens a regular file for reading, through links. Pipes and devices are refused: opening or reading them could
/// block for ever.
///
/// # Errors
/// No such file, no permission, or something else than a regular file.
pub fn open_regular(path: &Path) -> io::Result<(File, fs::Metadata)> {
    // Before it is opened: opening a device can have effects.
    if !fs::metadata(path)?.is_file() {
        return Err(not_regular());
    }
    let file = place::open_through_links(path, Access::Read)?;
    counts::opened(path);
    let metadata = file.metadata()?;
    // What lay there may have been replaced meanwhile; it was opened so that nothing blocks.
    if metadata.is_file() { Ok((file, metadata)) } else { Err(not_regular()) }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file")
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open_regular`]; a larger file.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open_regular(path)?;
    read_open(file, metadata.len(), limit)
}

/// Opens a regular file of at most `limit` bytes, to be read in pieces.
///
/// # Errors
/// As [`read_limited`].
pub fn open_limited(path: &Path, limit: u64) -> io::Result<io::Take<File>> {
    let (file, metadata) = open_regular(path)?;
    match metadata.len() > limit {
        true => Err(too_large(&format!("{} bytes", metadata.len()), limit)),
        false => Ok(file.take(limit)),
    }
}

/// Text of a file of at most `limit` bytes.
///
/// # Errors
/// As [`read_limited`]; bytes that are no UTF-8.
pub fn read_text_of(path: &Path, limit: u64) -> Result<String> {
    let bytes = read_limited(path, limit).map_err(|e| Error::file(path, io_reason(&e)))?;
    String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8 text"))
}

/// All of an open file that says it has `length` bytes: at most `limit`.
pub(super) fn read_open(file: File, length: u64, limit: u64) -> io::Result<Vec<u8>> {
    if length > limit {
        return Err(too_large(&format!("{length} bytes"), limit));
    }
    loop {
        match fault::look() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => break done?,
        }
    }
    counts::read(&file, length as usize);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length as usize)?;
    // A file that grows meanwhile, and those of /proc, have more than they say.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(too_large("it grows", limit)),
        false => Ok(bytes),
    }
}

fn too_large(size: &str, limit: u64) -> io::Error {
    let problem = format!("is too large ({size}, at most {limit} make sense)");
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Fills `buffer` from `offset`, without moving a shared cursor.
///
/// # Errors
/// Whatever the system says; a file that ends before.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    counts::read(file, buffer.len());
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            match std::os::windows::fs::FileExt::seek_read(file, &mut buffer[done..], at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}

/// The reason in an I/O error in few words, without the operating system's error number.
pub fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".into(),
        io::ErrorKind::PermissionDenied => "may not be read (permission denied)".into(),
        _ => system_reason(error),
    }
}

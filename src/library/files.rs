//! Reading and writing files so that neither a strange file nor a crash can hurt.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Fills `buffer` from `offset`, without moving a shared cursor.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
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

/// Text of a file of at most `limit` bytes.
pub(crate) fn read_text_of(path: &Path, limit: u64) -> Result<String> {
    let (file, _) = open_regular(path).map_err(|e| Error::file(path, io_reason(&e)))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Error::file(path, io_reason(&e)))?;
    if bytes.len() as u64 > limit {
        return Err(Error::file(path, format!("is larger than the {limit} bytes that make sense")));
    }
    String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8 text"))
}

/// Opens a regular file. Pipes and devices are refused: opening or reading them could block for ever.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, fs::Metadata)> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open_regular(path)?;
    if metadata.len() > limit {
        let problem = format!("is too large ({} bytes, at most {limit} make sense)", metadata.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The reason in an I/O error in few words, without the operating system's error number.
pub(crate) fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".into(),
        io::ErrorKind::PermissionDenied => "may not be read (permission denied)".into(),
        _ => error.to_string(),
    }
}

/// Permissions of what we create: the umask decides, not the private mode of temporary files.
#[cfg(unix)]
pub(super) fn builder(prefix: &str, mode: u32) -> tempfile::Builder<'_, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    builder.permissions(fs::Permissions::from_mode(mode));
    builder
}

/// Permissions of what we create are the platform's defaults.
#[cfg(not(unix))]
pub(super) fn builder(prefix: &str, _mode: u32) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    builder
}

/// Makes a rename in `directory` last through a power cut, where the platform can.
pub(super) fn sync_directory(directory: &Path) {
    if cfg!(unix)
        && let Ok(directory) = File::open(directory)
    {
        // Some file systems cannot sync directories; the rename itself has happened.
        let _ = directory.sync_all();
    }
}

/// The folder a path lies in; `.` for a bare file name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a file as a whole or not at all: temporary file in the same folder, fsync, rename.
/// An existing file is replaced; a link is followed first; a pipe or device is written into.
///
/// # Errors
/// Whatever the file system says (no such folder, no permission, disk full); the old file is then intact.
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_write_with(path, |file| file.write_all(bytes))
}

/// [`atomic_write`] for content that is made while it is written.
pub fn atomic_write_with(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&mut File>) -> io::Result<()>,
) -> Result<()> {
    // A link that leads nowhere has no real path: it is replaced itself.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let work = || match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        // Renaming over a pipe or a device would replace it by a file and not reach its reader.
        // Opened under the given name: the real path of a pipe behind /dev/stdout cannot be opened.
        Ok(found) if !found.is_file() => through(fs::OpenOptions::new().write(true).open(path)?, write),
        _ => replace(&target, write),
    };
    work().map_err(|e| Error::io(path, plain(e)))
}

/// [`atomic_write`] for what can be made again: it does not wait for the disk, so that a power cut may leave
/// a damaged file under the name.
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = builder(".tmp-", 0o666).tempfile_in(parent(path))?;
    temporary.write_all(bytes)?;
    temporary.persist(path).map_err(|e| e.error)?;
    Ok(())
}

fn through(
    mut file: File,
    write: impl FnOnce(&mut io::BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = io::BufWriter::new(&mut file);
    write(&mut writer)?;
    writer.flush()
}

fn replace(
    target: &Path,
    write: impl FnOnce(&mut io::BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = parent(target);
    let mut temporary = builder(".tmp-", 0o666).tempfile_in(folder)?;
    let mut writer = io::BufWriter::new(temporary.as_file_mut());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(target).map_err(|e| e.error)?;
    sync_directory(folder);
    Ok(())
}

/// The operating system's reason alone: errors about temporary files name those, which mean nothing to the user.
fn plain(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((reason, _)) if error.raw_os_error().is_none() => io::Error::new(error.kind(), reason),
        _ => error,
    }
}

/// SHA-256 of a file as lower-case hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let (mut file, _) = open_regular(path).map_err(|e| Error::io(path, e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(|e| Error::io(path, e))? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn devices_are_written_into_and_links_followed() {
        atomic_write(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());

        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        symlink(&real, &link).unwrap();
        atomic_write(&link, b"new").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn errors_name_the_target_only() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("missing").join("file");
        let message = atomic_write(&target, b"x").unwrap_err().to_string();
        assert!(message.contains("missing/file: No such file") && !message.contains(".tmp-"), "{message}");
        assert!(atomic_write(folder.path(), b"x").unwrap_err().to_string().contains("directory"));
    }
}

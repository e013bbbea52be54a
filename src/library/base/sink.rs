//! A download in progress: a temporary file that is checked before it gets its name.

use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::cache;
use crate::library::files::{builder, hex, parent, sync_directory};
use crate::{Cancel, Error, Result};

/// Beginning of the names of unfinished files.
pub(super) const UNFINISHED: &str = ".part-";

/// A download in progress: a temporary file beside its final place, hashed while it is written.
pub(super) struct Sink {
    file: tempfile::NamedTempFile,
    hasher: Sha256,
    expected: String,
    /// Bytes so far.
    pub written: u64,
}

impl Sink {
    pub fn new(target: &Path, expected: &str) -> Result<Self> {
        let file =
            builder(UNFINISHED, 0o666).tempfile_in(parent(target)).map_err(|e| Error::io(target, e))?;
        Ok(Self { file, hasher: Sha256::new(), expected: expected.to_string(), written: 0 })
    }

    /// A folder on the same disk, removed when dropped.
    pub fn temporary_folder(&self) -> Result<tempfile::TempDir> {
        let folder = parent(self.file.path());
        builder(UNFINISHED, 0o700).tempdir_in(folder).map_err(|e| Error::io(folder, e))
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        let path = self.file.path().to_path_buf();
        self.file.write_all(bytes).map_err(|e| Error::io(path, e))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Copies at most `limit` bytes, reporting and looking at `cancel` on the way.
    pub fn copy(
        &mut self,
        from: &mut impl Read,
        limit: u64,
        cancel: &Cancel,
        mut report: impl FnMut(u64),
    ) -> Result<()> {
        let mut buffer = vec![0u8; 1 << 18];
        let mut done = 0u64;
        loop {
            cancel.check()?;
            let n = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::msg(format!("cannot be unpacked: {e}"))),
            };
            done += n as u64;
            if done > limit {
                return Err(Error::msg("is larger than it says"));
            }
            self.write(&buffer[..n])?;
            report(done);
        }
    }

    /// Checks the digest; only then the file gets its name.
    pub fn finish(self, target: &Path) -> Result<()> {
        let actual = hex(&self.hasher.finalize());
        if !actual.eq_ignore_ascii_case(&self.expected) {
            return Err(Error::msg(format!(
                "the file is not the expected one (SHA-256 {actual}) and was thrown away"
            )));
        }
        self.file.as_file().sync_all().map_err(|e| Error::io(target, e))?;
        self.file.persist(target).map_err(|e| Error::io(target, e.error))?;
        sync_directory(parent(target));
        // So that the next start need not read it again.
        let _ = cache::verified_sha256(target);
        Ok(())
    }
}

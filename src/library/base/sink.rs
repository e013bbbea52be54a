//! A download in progress: a temporary file that is checked before it gets its name.

use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::cache;
use crate::outside::{Unfinished, UnfinishedFolder, hex};
use crate::{Cancel, Error, Result};

/// Beginning of the names of unfinished files.
const UNFINISHED: &str = ".part-";

/// A download in progress: a temporary file beside its final place, hashed while it is written.
pub(super) struct Sink {
    file: Unfinished,
    hasher: Sha256,
    expected: String,
    /// Bytes so far.
    pub written: u64,
}

impl Sink {
    pub fn new(target: &Path, expected: &str) -> Result<Self> {
        let file = Unfinished::new(target, UNFINISHED).map_err(|e| Error::io(target, e))?;
        Ok(Self { file, hasher: Sha256::new(), expected: expected.to_string(), written: 0 })
    }

    /// A folder on the same disk, removed when dropped.
    pub fn temporary_folder(&self) -> Result<UnfinishedFolder> {
        let folder = self.file.path().parent().unwrap_or(Path::new("."));
        UnfinishedFolder::new_in(folder, UNFINISHED).map_err(|e| Error::io(folder, e))
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.file.output().write_all(bytes).map_err(|e| Error::io(self.file.path(), e))?;
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
        self.file.finish().map_err(|e| Error::io(target, e))?;
        // So that the next start need not read it again.
        let _ = cache::verified_sha256(target);
        Ok(())
    }
}

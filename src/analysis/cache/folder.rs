//! A folder of a library's cache.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::library::{Library, existing_state_dir, state_dir};
use crate::outside::{Output, TEMPORARY, make_folders, own, sweep};

/// All files of a folder together; the oldest go first.
const MOST_BYTES: u64 = 1 << 30;
/// Files of a folder.
const MOST_FILES: usize = 512;
/// Bytes of the checksum at a file's end.
pub(in crate::analysis) const CHECKSUM: usize = 32;

/// A folder below `.lora-tui/cache` of a library, or wherever its derived data are. Files in it end in the SHA-256 of
/// what stands before.
#[derive(Debug)]
pub(in crate::analysis) struct CacheFolder {
    library: PathBuf,
    name: &'static str,
    found: OnceLock<Option<PathBuf>>,
}

/// Writes and adds up a checksum.
pub(in crate::analysis) struct Summing<'a, 'b> {
    to: &'a mut io::BufWriter<&'b mut Output>,
    hash: Sha256,
}

impl Write for Summing<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl CacheFolder {
    /// The folder `name` of `library`'s cache.
    pub fn of(library: &Library, name: &'static str) -> Self {
        Self { library: library.root.clone(), name, found: OnceLock::new() }
    }

    /// Where it is, if anything was kept yet: looking creates nothing.
    pub fn there(&self) -> Option<PathBuf> {
        let known = self.found.get().cloned();
        known.unwrap_or_else(|| Some(existing_state_dir(&self.library)?.join("cache").join(self.name)))
    }

    /// Where it is, if there can be one.
    fn path(&self) -> Option<&Path> {
        let find = || Some(state_dir(&self.library).ok()?.join("cache").join(self.name));
        self.found.get_or_init(find).as_deref()
    }

    /// The content of a file, if it is whole and at most `limit` bytes.
    pub fn read(&self, name: &str, limit: usize) -> Option<Vec<u8>> {
        let limit = limit.checked_add(CHECKSUM)?;
        let mut bytes = own::read(&self.there()?.join(name), limit as u64).ok()??;
        let content = bytes.len().checked_sub(CHECKSUM)?;
        if Sha256::digest(&bytes[..content])[..] != bytes[content..] {
            return None;
        }
        bytes.truncate(content);
        Some(bytes)
    }

    /// Writes a file as a whole or not at all; says whether it could.
    pub fn write(&self, name: &str, content: &[u8]) -> bool {
        self.write_with(name, |to| to.write_all(content))
    }

    /// [`Self::write`] for content that is made while it is written.
    pub fn write_with(&self, name: &str, write: impl FnOnce(&mut Summing<'_, '_>) -> io::Result<()>) -> bool {
        let Some(folder) = self.path() else { return false };
        let all = |to: &mut io::BufWriter<&mut Output>| {
            let mut summing = Summing { to, hash: Sha256::new() };
            write(&mut summing)?;
            let Summing { to, hash } = summing;
            to.write_all(&hash.finalize())
        };
        let written =
            make_folders(folder).is_ok() && own::replace_unsynced_with(&folder.join(name), all).is_ok();
        if written {
            self.tidy(name);
        }
        written
    }

    /// The names of the files that begin so, newest first.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let mut found: Vec<(SystemTime, String)> = Vec::new();
        for (name, modified, _) in self.entries() {
            if name.starts_with(prefix) {
                found.push((modified, name));
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, name)| name).collect()
    }

    /// Removes a file that has been replaced.
    pub fn remove(&self, name: &str) {
        if let Some(folder) = self.there() {
            let _ = own::remove(&folder.join(name));
        }
    }

    fn entries(&self) -> Vec<(String, SystemTime, u64)> {
        let Some(entries) = self.there().and_then(|folder| fs::read_dir(folder).ok()) else {
            return Vec::new();
        };
        let found = entries.flatten().filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((entry.file_name().into_string().ok()?, metadata.modified().ok()?, metadata.len()))
        });
        found.collect()
    }

    /// Keeps the folder within its bounds; `written` stays.
    fn tidy(&self, written: &str) {
        // What writers that were killed left behind.
        self.path().into_iter().for_each(sweep);
        let mut entries = self.entries();
        entries.retain(|(name, ..)| !name.starts_with(TEMPORARY));
        entries.sort_by(|a, b| (b.0 == written).cmp(&(a.0 == written)).then(b.1.cmp(&a.1)));
        let mut bytes = 0u64;
        for (at, (name, _, length)) in entries.iter().enumerate() {
            bytes = bytes.saturating_add(*length);
            if at > 0 && (at >= MOST_FILES || bytes > MOST_BYTES) {
                self.remove(name);
            }
        }
    }
}

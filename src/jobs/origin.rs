//! Whether a job was started by this user on this machine, or came along with a library.
//!
//! What a job reads and writes is in its `spec.json`, which anybody can put into a library. So whoever starts a job
//! leaves a mark beside it that nobody else can make: a digest of the spec with a key that is in the user's state
//! directory and readable by the user alone.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::layout::{ORIGIN, SPEC};
use crate::outside::{hex, make_folders, own};

const MAX_SPEC: u64 = 1 << 20;
const KEY_SIZE: u64 = 64;

/// The library in whose `.lora-tui` a job's directory lies; `None` where it lies elsewhere.
pub fn library_of(job: &Path) -> Option<PathBuf> {
    let state = job.parent()?.parent()?;
    let inside = state.file_name().is_some_and(|name| name == own::STATE_DIR);
    state.parent().filter(|_| inside)?.canonicalize().ok()
}

/// Whether the job is this user's: it has the mark, or lies where nobody else writes.
pub fn is_ours(job: &Path) -> bool {
    if library_of(job).is_none() {
        return true;
    }
    let mark = own::read(&job.join(ORIGIN), 2 * KEY_SIZE).ok().flatten();
    mark.is_some() && mark.as_deref() == of(job).as_ref().map(String::as_bytes)
}

/// Leaves the mark. Without a place for the key there is none, and the job counts as somebody else's.
pub fn mark(job: &Path) {
    if let Some(mark) = of(job) {
        let _ = own::replace(&job.join(ORIGIN), mark.as_bytes());
    }
}

/// The mark of the job as its spec is.
fn of(job: &Path) -> Option<String> {
    let spec = own::read(&job.join(SPEC), MAX_SPEC).ok().flatten()?;
    Some(digest(&key()?, &spec))
}

/// The key goes in twice, so that nobody can lengthen a spec whose mark is known.
fn digest(key: &[u8], spec: &[u8]) -> String {
    let inner = Sha256::new_with_prefix(key).chain_update(spec).finalize();
    hex(&Sha256::new_with_prefix(key).chain_update(inner).finalize())
}

/// The user's key, made when it is first needed.
fn key() -> Option<Vec<u8>> {
    let directories = directories::ProjectDirs::from("", "", "lora-tui")?;
    let folder = directories.state_dir().unwrap_or_else(|| directories.data_local_dir());
    let path = folder.join("key");
    if !own::is_taken(&path) {
        make_folders(folder).ok()?;
        let random: [u8; 32] = rand::random();
        // Somebody else may have made it meanwhile.
        let _ = own::create_private(&path, hex(&random).as_bytes());
    }
    own::read(&path, KEY_SIZE).ok().flatten().filter(|key| key.len() as u64 == KEY_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_spec() {
        let dir = tempfile::tempdir().unwrap();
        let job = dir.path().join(".lora-tui/jobs/id");
        std::fs::create_dir_all(&job).unwrap();
        std::fs::write(job.join(SPEC), "{}").unwrap();
        assert!(!is_ours(&job));
        if key().is_none() {
            println!("skipped: no place for a key here");
            return;
        }
        mark(&job);
        assert!(is_ours(&job));
        std::fs::write(job.join(SPEC), "{ }").unwrap();
        assert!(!is_ours(&job));
        std::fs::write(job.join(ORIGIN), "").unwrap();
        assert!(!is_ours(&job));
        assert_eq!(library_of(&job), Some(dir.path().canonicalize().unwrap()));
        // In a directory of the user's own.
        let other = dir.path().join("jobs/id");
        std::fs::create_dir_all(&other).unwrap();
        assert!(is_ours(&other) && library_of(&other).is_none());
        assert_ne!(digest(b"key", b"spec"), digest(b"other", b"spec"));
    }
}

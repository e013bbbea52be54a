//! Where derived data of a library lives: caches, jobs, claims.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{builder, hex};
use crate::{Error, Result};

/// Folder for derived data inside a library.
pub(crate) const STATE_DIR: &str = ".lora-tui";

/// Where derived data and jobs of the library at `root` live: `.lora-tui` in the library, or, when the library
/// cannot be written, a folder of its own under the user's state directory. Created when missing; nothing else
/// of the library is looked at.
///
/// # Errors
/// When neither can be created.
pub fn state_dir(root: &Path) -> Result<PathBuf> {
    let inside = root.join(STATE_DIR);
    if fs::create_dir_all(&inside).is_ok() && can_write(&inside) {
        // Derived data has no place in version control. Without the file all else works.
        let ignore = inside.join(".gitignore");
        if !ignore.exists() {
            let _ = fs::write(&ignore, "*\n");
        }
        return Ok(inside);
    }
    let directories = directories::ProjectDirs::from("", "", "lora-tui").ok_or_else(|| {
        Error::file(root, "cannot be written, and there is no home directory to keep jobs and caches in")
    })?;
    let state = directories.state_dir().unwrap_or_else(|| directories.data_local_dir());
    let real = fs::canonicalize(root).map_err(|e| Error::io(root, e))?;
    let mut key = {
        use sha2::{Digest, Sha256};
        hex(&Sha256::digest(real.as_os_str().as_encoded_bytes()))
    };
    key.truncate(16);
    let folder = state.join("libraries").join(key);
    fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
    Ok(folder)
}

/// Whether files can be made in a folder.
pub(super) fn can_write(folder: &Path) -> bool {
    builder(".tmp-", 0o600).tempfile_in(folder).is_ok()
}

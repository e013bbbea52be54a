//! Where derived data of a library lives: caches, jobs, claims.

use std::fs;
use std::path::{Path, PathBuf};

use crate::outside::{TEMPORARY, Unfinished, hex, make_folders, own};
use crate::{Error, Result};

/// Where derived data and jobs of the library at `root` live: `.lora-tui` in the library, or a folder of its own under
/// the user's state directory where that cannot be used: when it cannot be written, when it is a link, which may lead
/// anywhere, or when its storage cannot lock files. Created when missing; nothing else of the library is looked at.
///
/// # Errors
/// When neither can be created.
pub fn state_dir(root: &Path) -> Result<PathBuf> {
    let inside = root.join(own::STATE_DIR);
    if make_folders(&inside).is_ok() && is_usable(&inside) {
        // Derived data has no place in version control. Without the file all else works.
        let ignore = inside.join(".gitignore");
        if !own::is_taken(&ignore) {
            let _ = own::create(&ignore, b"*\n");
        }
        return Ok(inside);
    }
    let folder = elsewhere(root)?;
    make_folders(&folder)?;
    Ok(folder)
}

/// [`state_dir`] for those who only look: nothing is created, and nothing is there where nothing was kept yet.
pub(crate) fn existing_state_dir(root: &Path) -> Option<PathBuf> {
    let inside = root.join(own::STATE_DIR);
    let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let elsewhere = elsewhere(root).ok().filter(|folder| is_folder(folder));
    match (is_folder(&inside), elsewhere) {
        // Which of them is in use shows by trying.
        (true, Some(_)) => state_dir(root).ok(),
        (true, None) => Some(inside),
        (false, elsewhere) => elsewhere,
    }
}

/// The folder for a library in which nothing can be kept.
fn elsewhere(root: &Path) -> Result<PathBuf> {
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
    Ok(state.join("libraries").join(key))
}

/// Whether files can be made and locked in a folder.
fn is_usable(folder: &Path) -> bool {
    probe(folder).is_ok_and(|probe| probe.locks)
}

/// Whether files can be made in a folder.
pub(super) fn can_write(folder: &Path) -> bool {
    probe(folder).is_ok()
}

fn probe(folder: &Path) -> std::io::Result<Unfinished> {
    Unfinished::new(&folder.join("probe"), TEMPORARY)
}

//! Where derived data of a library lives: caches, jobs, claims.

use std::fs;
use std::path::{Path, PathBuf};

use crate::outside::{TEMPORARY, Unfinished, hex, make_folders, own};
use crate::{Error, Result};

/// Where derived data and jobs of a library live, and why there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePlace {
    /// The folder.
    pub folder: PathBuf,
    /// Why it is not, or had better not be, the library's own, in words that follow "since"; `None` where all is well.
    pub why: Option<String>,
    /// Whether files can be locked there.
    pub locks: bool,
}

impl StatePlace {
    /// Jobs of the library at `root` that lie where they cannot be used from here, and why; `None` where there are none.
    pub fn left_behind(&self, root: &Path) -> Option<(PathBuf, &str)> {
        let inside = root.join(own::STATE_DIR);
        let jobs = inside.join("jobs");
        let has_some = || fs::read_dir(&jobs).is_ok_and(|mut entries| entries.next().is_some());
        (self.folder != inside && has_some()).then_some((jobs, self.why.as_deref()?))
    }
}

/// Where derived data and jobs of the library at `root` live: `.lora-tui` in the library, or a folder of its own under
/// the user's state directory where that cannot be used: when it cannot be written, when it is a link, which may lead
/// anywhere, or when its storage cannot lock files and the other can. Created when missing; nothing else of the library is
/// looked at.
///
/// # Errors
/// When neither can be created.
pub fn state_dir(root: &Path) -> Result<PathBuf> {
    state_place(root).map(|place| place.folder)
}

/// [`state_dir`] with its reason.
///
/// # Errors
/// As there.
pub fn state_place(root: &Path) -> Result<StatePlace> {
    let inside = root.join(own::STATE_DIR);
    let mine = make_folders(&inside).and_then(|()| probe(&inside).map_err(|e| Error::io(&inside, e)));
    let why = match &mine {
        Ok(probe) if probe.locks => None,
        Ok(_) => Some("the library's storage cannot lock files".to_string()),
        Err(error) => Some(format!("the library's own cannot be used ({error})")),
    };
    let is_mine = |why, locks| {
        // Derived data has no place in version control. Without the file all else works.
        let ignore = inside.join(".gitignore");
        if !own::is_taken(&ignore) {
            let _ = own::create(&ignore, b"*\n");
        }
        StatePlace { folder: inside.clone(), why, locks }
    };
    if why.is_none() {
        return Ok(is_mine(None, true));
    }
    let other = elsewhere(root).and_then(|folder| make_folders(&folder).map(|()| folder));
    let locks = |folder: &PathBuf| probe(folder).is_ok_and(|probe| probe.locks);
    match (mine.is_ok(), other) {
        (_, Ok(folder)) if locks(&folder) => Ok(StatePlace { folder, why, locks: true }),
        // Nowhere are locks: then all that see the library had better see its jobs.
        (true, _) => Ok(is_mine(why, false)),
        (false, other) => Ok(StatePlace { folder: other?, why, locks: false }),
    }
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

/// Whether files can be made in a folder.
pub(super) fn can_write(folder: &Path) -> bool {
    probe(folder).is_ok()
}

fn probe(folder: &Path) -> std::io::Result<Unfinished> {
    Unfinished::new(&folder.join("probe"), TEMPORARY)
}

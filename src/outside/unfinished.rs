//! Files and folders that are being written: under a temporary name, locked, removed when nobody finishes them.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::lock::{Attempt, attempt};
use super::output::Output;
use super::place::{self, Access, Place};

/// Beginning of the names of files and folders that are being written.
pub const TEMPORARY: &str = ".tmp-";
/// All such beginnings: of what is written, downloaded, and of new jobs.
const PREFIXES: [&str; 3] = [TEMPORARY, ".part-", ".new-"];
/// Digits behind the beginning.
const DIGITS: usize = 12;
/// After this time nobody writes to what cannot be asked by its lock.
const ABANDONED: Duration = Duration::from_secs(86_400);

/// A file that is being written. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub struct Unfinished {
    output: Output,
    place: Place,
    target: Place,
    finished: bool,
    /// Whether its storage can lock files.
    pub locks: bool,
}

impl Unfinished {
    /// A file that will get the name `target`, which a person named or the program did.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new(target: &Path, prefix: &str) -> io::Result<Self> {
        Self::at(Place::own(target)?, prefix)
    }

    pub(super) fn at(mut target: Place, prefix: &str) -> io::Result<Self> {
        loop {
            let place = target.beside(&fresh_name(prefix))?;
            let file = match place.open(Access::New) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            let mut made = Self { output: Output::new(file), place, target, finished: false, locks: true };
            // From here on the lock says that somebody writes.
            match attempt(made.output.file(), made.place.path())? {
                Attempt::Taken if made.place.is(made.output.file()) => return Ok(made),
                Attempt::Unsupported => {
                    made.locks = false;
                    return Ok(made);
                }
                // Whoever tidied up came between, and removes it.
                Attempt::Taken | Attempt::Busy => {
                    made.finished = true;
                    target = made.target.again()?;
                }
            }
        }
    }

    /// Takes room for so many bytes from the disk, so that there is some when they are written, or when this file is
    /// dropped for another.
    ///
    /// # Errors
    /// A disk or a quota that has no room.
    pub fn reserve(&self, bytes: u64) -> io::Result<()> {
        place::reserve(self.output.file(), bytes)
    }

    /// To write to.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Its temporary path.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Waits for the disk and gives the file its name, in place of what had it.
    ///
    /// # Errors
    /// What the file system says; the file is then removed, and what had the name is intact.
    pub fn finish(mut self) -> io::Result<()> {
        self.output.sync()?;
        self.rename()?;
        self.target.sync_folder();
        Ok(())
    }

    /// [`Self::finish`] without waiting for the disk: a power cut may leave a damaged file under the name.
    ///
    /// # Errors
    /// As there.
    pub fn finish_unsynced(mut self) -> io::Result<()> {
        self.rename()
    }

    fn rename(&mut self) -> io::Result<()> {
        self.place.rename(&self.target)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.place.remove();
        }
    }
}

/// A folder that is being filled. Dropped before it has its name, it is removed with all that is in it.
#[derive(Debug)]
pub struct UnfinishedFolder {
    place: Place,
    /// Locked while it is filled, where that can be.
    lock: Option<File>,
    finished: bool,
}

impl UnfinishedFolder {
    /// A new, empty folder in `folder`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new_in(folder: &Path, prefix: &str) -> io::Result<Self> {
        loop {
            let place = Place::own(&folder.join(fresh_name(prefix)))?;
            match place.make_folder() {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let mut made = Self { place, lock: None, finished: false };
            let Ok(lock) = made.place.open_folder() else {
                // Somebody tidied up between, or folders cannot be opened here.
                if made.place.is_taken()? {
                    return Ok(made);
                }
                continue;
            };
            match attempt(&lock, made.place.path()) {
                Ok(Attempt::Taken) if made.place.is(&lock) => made.lock = Some(lock),
                Ok(Attempt::Taken | Attempt::Busy) => {
                    made.finished = true;
                    continue;
                }
                Ok(Attempt::Unsupported) | Err(_) => {}
            }
            return Ok(made);
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Gives the folder its name, which nothing may have.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] or [`io::ErrorKind::DirectoryNotEmpty`] where something has it; what the file
    /// system says. The folder then stays what it was.
    pub fn finish(&mut self, target: &Path) -> io::Result<()> {
        let target = Place::own(target)?;
        self.place.rename_new(&target)?;
        self.finished = true;
        self.lock = None;
        target.sync_folder();
        Ok(())
    }
}

impl Drop for UnfinishedFolder {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_dir_all(self.place.path());
        }
    }
}

/// `.tmp-0123456789ab`.
pub(super) fn fresh_name(prefix: &str) -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    let digits = format!("{random:016x}");
    format!("{prefix}{}", digits.get(..DIGITS).unwrap_or(&digits))
}

/// How old something of this name has to be to be nobody's: not at all, where its lock says so.
fn least_age(name: &str) -> Option<Duration> {
    let rest = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let hexadecimal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    match rest.len() {
        DIGITS if rest.bytes().all(hexadecimal) => Some(Duration::ZERO),
        // Of earlier versions, which did not lock them.
        6 if rest.bytes().all(|b| b.is_ascii_alphanumeric()) => Some(ABANDONED),
        _ => None,
    }
}

/// Removes a folder that the program made, with all that is in it: in one step nobody finds it any more. Whoever is killed
/// before the rest is done leaves what [`sweep`] removes.
///
/// # Errors
/// What the file system says; the folder then stays.
pub fn remove_whole(folder: &Path) -> io::Result<()> {
    let place = Place::own(folder)?;
    loop {
        let gone = place.beside(&fresh_name(TEMPORARY))?;
        match place.rename_new(&gone) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                ) => {}
            // Where there is no room for another name, what makes room comes first.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                return fs::remove_dir_all(place.path());
            }
            done => {
                done?;
                place.sync_folder();
                // What cannot be removed now, whoever tidies up tries again.
                let _ = fs::remove_dir_all(gone.path());
                return Ok(());
            }
        }
    }
}

/// Removes what writers that were killed left in `folder`: files and folders under our temporary names that nobody
/// has locked. Where that cannot be asked, those that are a day old. Failing is fine: they are only in the way.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if let Some(age) = entry.file_name().to_str().and_then(least_age) {
            remove_abandoned(&entry.path(), age);
        }
    }
}

fn remove_abandoned(path: &Path, mut least: Duration) -> Option<()> {
    let place = Place::own(path).ok()?;
    let metadata = path.symlink_metadata().ok()?;
    // No link is ours.
    let is_folder = metadata.is_dir();
    let lock = match is_folder {
        true => place.open_folder().ok(),
        false => Some(place.open(Access::ReadWrite).ok()?),
    };
    match lock.as_ref().map(|lock| attempt(lock, path)) {
        Some(Ok(Attempt::Taken)) => {}
        Some(Ok(Attempt::Busy)) => return None,
        Some(Ok(Attempt::Unsupported) | Err(_)) | None => least = ABANDONED,
    }
    let age = SystemTime::now().duration_since(metadata.modified().ok()?).unwrap_or_default();
    if age >= least {
        let _ = if is_folder { fs::remove_dir_all(path) } else { place.remove() };
    }
    Some(())
}

/// Our temporary names in `folder`, for tests.
#[cfg(test)]
pub(super) fn leftovers(folder: &Path) -> Vec<std::path::PathBuf> {
    let ours =
        |path: &std::path::PathBuf| path.file_name().and_then(|name| least_age(name.to_str()?)).is_some();
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(ours).collect()
}

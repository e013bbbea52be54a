//! Locks: a process holds one while it lives, and no longer.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::fault;
use super::place::{Access, Place};
use crate::{Error, Result};

/// Why there is no lock, where the storage has none, and what to do.
pub const NO_LOCKS: &str = "this storage cannot lock files, which jobs and trainings need: mount it with locks \
     (NFS with local_lock=flock, Lustre with -o flock), or keep the library on another disk";

/// The exclusive lock of a file; given back when dropped, also by the end of the process. The file is made where it is
/// missing, and never truncated.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// What came of one attempt.
pub(super) enum Attempt {
    Taken,
    Busy,
    /// The storage has no locks.
    Unsupported,
}

/// Tries to lock `file`.
pub(super) fn attempt(file: &File) -> io::Result<Attempt> {
    loop {
        let done = fault::lock().map_err(TryLockError::Error).and_then(|()| file.try_lock());
        return match done {
            Ok(()) => Ok(Attempt::Taken),
            Err(TryLockError::WouldBlock) => Ok(Attempt::Busy),
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(TryLockError::Error(e)) if is_unsupported(&e) => Ok(Attempt::Unsupported),
            Err(TryLockError::Error(e)) => Err(e),
        };
    }
}

/// Whether an error says that there are no locks here, in one of the ways in which file systems do.
fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let known = [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOLCK, Errno::INVAL, Errno::BADF];
        Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
    }
    #[cfg(not(unix))]
    {
        error.kind() == io::ErrorKind::Unsupported
    }
}

impl Lock {
    /// Opens the file of a lock, making it where it is missing.
    fn open(path: &Path, access: Access) -> io::Result<Self> {
        let file = Place::own(path)?.open(access)?;
        Ok(Self { file, path: path.into() })
    }

    /// Takes the lock if nobody has it.
    ///
    /// # Errors
    /// A file that cannot be opened or is not regular; storage without locks.
    pub fn take(path: &Path) -> Result<Option<Self>> {
        let lock = Self::open(path, Access::Open).map_err(|e| Error::io(path, e))?;
        Ok(lock.try_again()?.then_some(lock))
    }

    /// Makes the file, which must not be there, and takes its lock.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn new(path: &Path) -> Result<Self> {
        let lock = Self::open(path, Access::New).map_err(|e| Error::io(path, e))?;
        lock.try_again()?;
        Ok(lock)
    }

    /// Takes the lock of a file that is there, after `patience` at the latest; `None` while another has it.
    ///
    /// # Errors
    /// As [`Self::take`]; a file that is missing.
    pub fn take_existing(path: &Path, patience: Duration) -> Result<Option<Self>> {
        let lock = Self::open(path, Access::ReadWrite).map_err(|e| Error::io(path, e))?;
        lock.within(patience)
    }

    /// The lock of an open file that was inherited, after `patience` at the latest; `None` while another has it.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn inherited(file: File, path: &Path, patience: Duration) -> Result<Option<Self>> {
        Self { file, path: path.into() }.within(patience)
    }

    /// Waits for the lock for as long as it takes.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn wait(path: &Path) -> Result<Self> {
        let lock = Self::open(path, Access::Open).map_err(|e| Error::io(path, e))?;
        loop {
            match lock.file.lock() {
                Ok(()) => return Ok(lock),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_unsupported(&e) => return Err(Error::file(path, NO_LOCKS)),
                Err(e) => return Err(Error::io(path, e)),
            }
        }
    }

    fn within(self, patience: Duration) -> Result<Option<Self>> {
        let began = Instant::now();
        // Those who only look take a lock for a moment.
        while !self.try_again()? {
            if began.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(self))
    }

    fn try_again(&self) -> Result<bool> {
        match attempt(&self.file).map_err(|e| Error::io(&self.path, e))? {
            Attempt::Taken => Ok(true),
            Attempt::Busy => Ok(false),
            Attempt::Unsupported => Err(Error::file(&self.path, NO_LOCKS)),
        }
    }

    /// Whether somebody has the lock of this file. Looking takes a shared lock for a moment.
    pub fn is_taken(path: &Path) -> bool {
        match Self::open(path, Access::Read) {
            Ok(lock) => matches!(lock.file.try_lock_shared(), Err(TryLockError::WouldBlock)),
            Err(_) => false,
        }
    }

    /// The locked file. Whoever keeps a duplicate of it open keeps the lock.
    pub fn file(&self) -> &File {
        &self.file
    }
}

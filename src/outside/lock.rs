//! Locks: a process holds one while it lives, and no longer.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::fault;
use super::place::{Access, Place};
use crate::{Error, Result};

/// Why there is no lock, where the storage has none, and what to do.
pub const NO_LOCKS: &str = "this storage cannot lock files, which jobs on this machine need: mount it with locks (NFS \
     with local_lock=flock, Lustre with -o flock), keep the library on another disk, or set XDG_STATE_HOME to a folder \
     on one";

/// How long somebody may have a lock who does no work under it: those who only look take it, and a process that was just
/// started shares the locks of the one that starts it until it runs its own program.
const MOMENT: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(20);

/// The exclusive lock of a file; given back when dropped, also by the end of the process. The file is made where it is
/// missing, and never truncated.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Who has the lock of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Some process.
    Somebody,
    /// None: it is free, or there is no such file.
    Nobody,
    /// The storage has no locks.
    Unknown,
}

/// What came of one attempt.
pub(super) enum Attempt {
    Taken,
    Busy,
    /// The storage has no locks.
    Unsupported,
}

/// Tries to lock `file`, which is at `path`.
pub(super) fn attempt(file: &File, path: &Path) -> io::Result<Attempt> {
    attempt_with(path, || file.try_lock())
}

fn attempt_with(path: &Path, lock: impl Fn() -> Result<(), TryLockError>) -> io::Result<Attempt> {
    loop {
        let done = fault::lock(path).map_err(TryLockError::Error).and_then(|()| lock());
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

    /// [`Self::take`] for what goes wrong in no bad way without: where the storage has no locks, whoever asks gets one
    /// that keeps nobody out.
    ///
    /// # Errors
    /// A file that cannot be opened or is not regular.
    pub fn take_where_possible(path: &Path) -> Result<Option<Self>> {
        let lock = Self::open(path, Access::Open).map_err(|e| Error::io(path, e))?;
        let began = Instant::now();
        while let Attempt::Busy = lock.attempt()? {
            if began.elapsed() >= MOMENT {
                return Ok(None);
            }
            std::thread::sleep(BETWEEN);
        }
        Ok(Some(lock))
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

    /// [`Self::new`]; where the storage has no locks, one that keeps nobody out.
    ///
    /// # Errors
    /// As [`Self::take_where_possible`].
    pub fn new_where_possible(path: &Path) -> Result<Self> {
        let lock = Self::open(path, Access::New).map_err(|e| Error::io(path, e))?;
        lock.attempt()?;
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
        match lock.waited()? {
            true => Ok(lock),
            false => Err(Error::file(path, NO_LOCKS)),
        }
    }

    /// [`Self::wait`]; where the storage has no locks, one that keeps nobody out.
    ///
    /// # Errors
    /// As [`Self::take_where_possible`].
    pub fn wait_where_possible(path: &Path) -> Result<Self> {
        let lock = Self::open(path, Access::Open).map_err(|e| Error::io(path, e))?;
        lock.waited()?;
        Ok(lock)
    }

    /// Waits for it; whether there are locks here.
    fn waited(&self) -> Result<bool> {
        let wait = || self.file.lock().map_err(TryLockError::Error);
        match attempt_with(&self.path, wait).map_err(|e| Error::io(&self.path, e))? {
            Attempt::Taken | Attempt::Busy => Ok(true),
            Attempt::Unsupported => Ok(false),
        }
    }

    fn within(self, patience: Duration) -> Result<Option<Self>> {
        let began = Instant::now();
        while !self.try_again()? {
            if began.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(BETWEEN);
        }
        Ok(Some(self))
    }

    fn attempt(&self) -> Result<Attempt> {
        attempt(&self.file, &self.path).map_err(|e| Error::io(&self.path, e))
    }

    fn try_again(&self) -> Result<bool> {
        match self.attempt()? {
            Attempt::Taken => Ok(true),
            Attempt::Busy => Ok(false),
            Attempt::Unsupported => Err(Error::file(&self.path, NO_LOCKS)),
        }
    }

    /// Who has the lock of this file. Looking takes a shared lock for a moment.
    pub fn holder(path: &Path) -> Holder {
        let Ok(lock) = Self::open(path, Access::Read) else { return Holder::Nobody };
        match attempt_with(path, || lock.file.try_lock_shared()) {
            Ok(Attempt::Busy) => Holder::Somebody,
            Ok(Attempt::Unsupported) => Holder::Unknown,
            Ok(Attempt::Taken) | Err(_) => Holder::Nobody,
        }
    }

    /// Whether somebody is known to have the lock of this file.
    pub fn is_taken(path: &Path) -> bool {
        Self::holder(path) == Holder::Somebody
    }

    /// The locked file. Whoever keeps a duplicate of it open keeps the lock.
    pub fn file(&self) -> &File {
        &self.file
    }
}

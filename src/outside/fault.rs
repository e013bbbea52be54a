//! Points at which the crate's own tests let the disk fail, or end the process. Outside of them they are nothing.

/// Something on the disk is about to be looked at.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn look() -> std::io::Result<()> {
    Ok(())
}

/// Something on the disk is about to be made or changed.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn change() -> std::io::Result<()> {
    Ok(())
}

/// A lock is about to be tried.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn lock(_path: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

/// How many of `length` bytes are about to be written.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn write(length: usize) -> std::io::Result<usize> {
    Ok(length)
}

#[cfg(test)]
pub(super) use testing::{change, lock, look, write};

#[cfg(test)]
pub(crate) mod testing {
    //! One fault a process: `LORA_TUI_FAULT=KIND:NUMBER[:COUNT[:FOLDER]]`, at the operation with that number, or at so
    //! many of those from there on that it can happen to; locks fail below that folder only, where one is named.

    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Names the fault.
    pub const VARIABLE: &str = "LORA_TUI_FAULT";

    static DONE: AtomicU64 = AtomicU64::new(0);

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum What {
        /// The process ends, as by SIGKILL.
        Kill,
        /// It ends after half of a write.
        Torn,
        /// Half of a write is made, and so it says.
        Short,
        /// Any operation fails with this error of the system.
        Fails(i32),
        /// What takes room fails.
        Full(i32),
        /// Locks fail, as on storage without them.
        NoLocks,
    }

    fn plan() -> Option<&'static (What, u64, u64, PathBuf)> {
        static PLAN: OnceLock<Option<(What, u64, u64, PathBuf)>> = OnceLock::new();
        let plan = PLAN.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let mut parts = text.splitn(4, ':');
            let what = match parts.next()? {
                "kill" => What::Kill,
                "torn" => What::Torn,
                "short" => What::Short,
                "ENOSPC" => What::Full(libc::ENOSPC),
                "EDQUOT" => What::Full(libc::EDQUOT),
                "nolocks" => What::NoLocks,
                "EIO" => What::Fails(libc::EIO),
                "EINTR" => What::Fails(libc::EINTR),
                other => panic!("{VARIABLE} names the unknown fault {other}"),
            };
            let first = parts.next()?.parse().unwrap();
            let count = parts.next().map_or(1, |count| count.parse().unwrap());
            Some((what, first, count, parts.next().unwrap_or("/").into()))
        });
        plan.as_ref()
    }

    fn due() -> Option<What> {
        let number = DONE.fetch_add(1, Ordering::Relaxed);
        let (what, first, count, _) = plan()?;
        (*first..first.saturating_add(*count)).contains(&number).then_some(*what)
    }

    /// Operations so far.
    pub fn operations() -> u64 {
        DONE.load(Ordering::Relaxed)
    }

    pub(in crate::outside) fn look() -> io::Result<()> {
        match due() {
            Some(What::Kill | What::Torn) => end(),
            Some(What::Fails(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(What::Short | What::Full(_) | What::NoLocks) | None => Ok(()),
        }
    }

    pub(in crate::outside) fn lock(path: &Path) -> io::Result<()> {
        let is_below = plan().is_none_or(|(.., folder)| path.starts_with(folder) || path.is_relative());
        match due() {
            Some(What::NoLocks) if !is_below => Ok(()),
            Some(What::NoLocks) => Err(io::Error::from_raw_os_error(libc::ENOLCK)),
            Some(What::Kill | What::Torn) => end(),
            Some(What::Fails(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(What::Short | What::Full(_)) | None => Ok(()),
        }
    }

    pub(in crate::outside) fn change() -> io::Result<()> {
        match due() {
            Some(What::Kill | What::Torn) => end(),
            Some(What::Fails(number) | What::Full(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(What::Short | What::NoLocks) | None => Ok(()),
        }
    }

    pub(in crate::outside) fn write(length: usize) -> io::Result<usize> {
        match due() {
            Some(What::Kill) => end(),
            Some(What::Fails(number) | What::Full(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(What::Torn) => Ok(HALF | (length / 2)),
            Some(What::Short) => Ok((length / 2).max(1).min(length)),
            Some(What::NoLocks) | None => Ok(length),
        }
    }

    /// Marks a length after which the process ends.
    pub(in crate::outside) const HALF: usize = 1 << (usize::BITS - 1);

    pub(in crate::outside) fn end() -> ! {
        // As the kernel does it: nothing is cleaned up, no buffer is written.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

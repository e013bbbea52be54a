//! Points at which the crate's own tests let the disk fail, or end the process. Outside of them they are nothing.

/// One operation on the disk is about to happen.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn point() -> std::io::Result<()> {
    Ok(())
}

/// How many of `length` bytes are about to be written.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn write(length: usize) -> std::io::Result<usize> {
    Ok(length)
}

#[cfg(test)]
pub(super) use testing::{point, write};

#[cfg(test)]
pub(crate) mod testing {
    //! One fault a process: `LORA_TUI_FAULT=KIND:NUMBER`, at the operation with that number.

    use std::io;
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
        /// An error of the system: its number.
        Fails(i32),
    }

    /// What happens, at which operation, and at how many of those from there on.
    fn plan() -> Option<(What, u64, u64)> {
        static PLAN: OnceLock<Option<(What, u64, u64)>> = OnceLock::new();
        *PLAN.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let mut parts = text.split(':');
            let what = match parts.next()? {
                "kill" => What::Kill,
                "torn" => What::Torn,
                "short" => What::Short,
                "ENOSPC" => What::Fails(libc::ENOSPC),
                "EDQUOT" => What::Fails(libc::EDQUOT),
                "EIO" => What::Fails(libc::EIO),
                "EINTR" => What::Fails(libc::EINTR),
                other => panic!("{VARIABLE} names the unknown fault {other}"),
            };
            let first = parts.next()?.parse().unwrap();
            let count = parts.next().map_or(1, |count| count.parse().unwrap());
            Some((what, first, count))
        })
    }

    fn due() -> Option<What> {
        let number = DONE.fetch_add(1, Ordering::Relaxed);
        let (what, first, count) = plan()?;
        (first..first.saturating_add(count)).contains(&number).then_some(what)
    }

    pub(in crate::outside) fn point() -> io::Result<()> {
        match due() {
            Some(What::Kill | What::Torn) => end(),
            Some(What::Fails(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(What::Short) | None => Ok(()),
        }
    }

    pub(in crate::outside) fn write(length: usize) -> io::Result<usize> {
        match due() {
            Some(What::Kill) => end(),
            Some(What::Fails(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(What::Torn) => Ok(HALF | (length / 2)),
            Some(What::Short) => Ok((length / 2).max(1).min(length)),
            None => Ok(length),
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

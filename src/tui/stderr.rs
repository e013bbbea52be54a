//! Keeps what libraries print to stderr off the screen while it is ours.

use std::path::Path;

use crate::outside::{Output, null_device, own};

/// While it lives, file descriptor 2 goes to a file; dropping it (or [`restore`]) gives it back.
#[derive(Debug)]
pub struct StderrGuard(());

#[cfg(unix)]
mod imp {
    use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
    use std::sync::atomic::{AtomicI32, Ordering};

    /// The terminal's stderr, while it is redirected; else -1. No lock: handlers of signals give it back, too.
    static SAVED: AtomicI32 = AtomicI32::new(-1);

    pub fn redirect(file: &std::fs::File) -> std::io::Result<()> {
        let saved = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
        rustix::stdio::dup2_stderr(file)?;
        drop(taken(SAVED.swap(saved.into_raw_fd(), Ordering::SeqCst)));
        Ok(())
    }

    pub fn restore() {
        if let Some(saved) = taken(SAVED.swap(-1, Ordering::SeqCst)) {
            let _ = rustix::stdio::dup2_stderr(&saved);
        }
    }

    fn taken(saved: i32) -> Option<OwnedFd> {
        // SAFETY: whoever swaps it out of `SAVED` owns it alone.
        (saved >= 0).then(|| unsafe { OwnedFd::from_raw_fd(saved) })
    }
}

#[cfg(not(unix))]
mod imp {
    pub fn redirect(_file: &std::fs::File) -> std::io::Result<()> {
        Ok(())
    }

    pub fn restore() {}
}

impl StderrGuard {
    /// Sends stderr to the end of `log`; to nowhere without one or when it cannot be written, for the screen
    /// matters more.
    pub fn redirect(log: Option<&Path>) -> Self {
        let open = |log| own::append(log).ok().map(Output::into_file);
        let file = log.and_then(open).or_else(null_device);
        if let Some(file) = file {
            let _ = imp::redirect(&file);
        }
        Self(())
    }
}

impl Drop for StderrGuard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives stderr back; does nothing when it was not taken. Safe to call from a panic hook and from a handler of signals.
pub fn restore() {
    imp::restore();
}

//! Keeps what libraries print to stderr off the screen while it is ours.

use std::path::Path;

use crate::outside::{Output, null_device, own};

/// While it lives, file descriptor 2 goes to a file; dropping it (or [`restore`]) gives it back.
#[derive(Debug)]
pub struct StderrGuard(());

#[cfg(unix)]
mod imp {
    use std::os::fd::OwnedFd;
    use std::sync::Mutex;

    /// The terminal's stderr, while it is redirected.
    static SAVED: Mutex<Option<OwnedFd>> = Mutex::new(None);

    pub fn redirect(file: &std::fs::File) -> std::io::Result<()> {
        let saved = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
        rustix::stdio::dup2_stderr(file)?;
        *SAVED.lock().unwrap_or_else(|e| e.into_inner()) = Some(saved);
        Ok(())
    }

    pub fn restore() {
        if let Some(saved) = SAVED.lock().unwrap_or_else(|e| e.into_inner()).take() {
            let _ = rustix::stdio::dup2_stderr(&saved);
        }
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

/// Gives stderr back; does nothing when it was not taken. Safe to call from a panic hook.
pub fn restore() {
    imp::restore();
}

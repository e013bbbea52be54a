//! Whether the terminal is ours now. Process-wide, as the terminal is.

use std::sync::atomic::{AtomicBool, Ordering};

static OURS: AtomicBool = AtomicBool::new(false);

/// From now on the terminal has to be given back.
pub fn take() {
    OURS.store(true, Ordering::SeqCst);
}

/// Whether it has to be given back still.
pub fn is_ours() -> bool {
    OURS.load(Ordering::SeqCst)
}

/// Whether the terminal was ours until now, so that whoever asks has to give it back. Safe in a handler of signals.
pub fn release() -> bool {
    OURS.swap(false, Ordering::SeqCst)
}

//! A flag that asks long work to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::{Error, Result};

/// Cloneable flag; every clone sees the same request. Long loops look at it between steps
/// (layers, batches, blocks) and return [`Error::Cancelled`].
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that nobody has raised yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a stop. May be called from any thread, any number of times.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `Err(Error::Cancelled)` once a stop was asked for.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// The signal that asked this process to end; 0 while none did.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Remembers which signal asked the process to end, for its last words and its exit status.
pub fn remember_signal(number: i32) {
    SIGNAL.store(number, Ordering::Relaxed);
}

/// How a process that was asked to end says so, and its exit status: 128 and the signal's number.
pub fn end_of_cancelled() -> (&'static str, u8) {
    const HANG_UP: i32 = 1;
    const TERMINATE: i32 = 15;
    match SIGNAL.load(Ordering::Relaxed) {
        HANG_UP => ("the terminal went away", 129),
        TERMINATE => ("terminated", 143),
        _ => ("interrupted", 130),
    }
}

//! Signals that reach this process: one listener, and how a process that was asked to end says so.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// What reaches the process from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// INT, or Ctrl-C.
    Interrupt,
    /// TERM.
    Terminate,
    /// HUP: the terminal went away.
    HangUp,
    /// TSTP: the process should stop until it is continued.
    Stop,
    /// CONT.
    Continue,
    /// WINCH: the terminal has another size.
    Resize,
    /// USR1: whoever started the process will end it soon.
    Warning,
}

/// The number of the signal that asked this process to end; 0 while none did.
static ASKED: AtomicI32 = AtomicI32::new(0);

impl Signal {
    /// Its number on this system.
    pub const fn number(self) -> i32 {
        #[cfg(unix)]
        {
            use rustix::process::Signal as Raw;
            let raw = match self {
                Self::Interrupt => Raw::INT,
                Self::Terminate => Raw::TERM,
                Self::HangUp => Raw::HUP,
                Self::Stop => Raw::TSTP,
                Self::Continue => Raw::CONT,
                Self::Resize => Raw::WINCH,
                Self::Warning => Raw::USR1,
            };
            raw.as_raw()
        }
        #[cfg(not(unix))]
        match self {
            Self::Interrupt => 2,
            Self::Terminate => 15,
            Self::HangUp => 1,
            // On the clusters that send it.
            Self::Warning => 10,
            Self::Stop | Self::Continue | Self::Resize => 0,
        }
    }

    /// Whether it asks the process to end.
    pub fn ends(self) -> bool {
        matches!(self, Self::Interrupt | Self::Terminate | Self::HangUp)
    }

    /// Whether whoever started this process had it ignore the signal.
    #[cfg(unix)]
    fn is_ignored(self) -> bool {
        let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: without a new action the call changes nothing and writes the present one; it is read only where the
        // call says that it has done so.
        unsafe {
            libc::sigaction(self.number(), std::ptr::null(), now.as_mut_ptr()) == 0
                && now.assume_init().sa_sigaction == libc::SIG_IGN
        }
    }

    /// Remembers that this signal asked the process to end, for [`end_of_cancelled`].
    pub fn remember(self) {
        ASKED.store(self.number(), Ordering::Relaxed);
    }
}

/// How long a process that was asked to end may wait for a terminal that reads nothing.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a terminal that output goes to takes nothing more now, so that whoever writes there waits.
pub fn terminal_is_stuck() -> bool {
    #[cfg(unix)]
    {
        use crate::streams::{Ready, wait};
        use std::io::IsTerminal;
        use std::os::fd::AsFd;
        let now = Some(Duration::ZERO);
        let (out, err) = (io::stdout(), io::stderr());
        let stuck = |fd| matches!(wait(fd, Ready::ToWrite, now), Ok(false));
        out.is_terminal() && stuck(out.as_fd()) || err.is_terminal() && stuck(err.as_fd())
    }
    #[cfg(not(unix))]
    false
}

/// Ends the process at once, as one that was asked to end: nothing is waited for, flushed or dropped.
pub fn end_now() -> ! {
    let status = i32::from(end_of_cancelled().1);
    #[cfg(unix)]
    // SAFETY: takes no locks and runs nothing of this program.
    unsafe {
        libc::_exit(status)
    }
    #[cfg(not(unix))]
    std::process::exit(status)
}

/// How a process that was asked to end says so, and its exit status: 128 and the signal's number.
pub fn end_of_cancelled() -> (&'static str, u8) {
    let asked = ASKED.load(Ordering::Relaxed);
    let ends = [(Signal::HangUp, "the terminal went away", 129), (Signal::Terminate, "terminated", 143)];
    let found = ends.into_iter().find(|(signal, ..)| signal.number() == asked);
    found.map_or(("interrupted", 130), |(_, words, status)| (words, status))
}

/// Listens to signals. From [`Signals::listen`] on these no longer end or stop the process by themselves, not even
/// after this value is gone.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    heard: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Listens to `signals`; to be called inside a tokio runtime. Where there are no such signals, Ctrl-C is
    /// [`Signal::Interrupt`].
    ///
    /// # Errors
    /// Where the system does not let it.
    pub fn listen(signals: &[Signal]) -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let listen = |&kind: &Signal| Ok((kind, signal(SignalKind::from_raw(kind.number()))?));
            // What `nohup` had ignored stays ignored.
            let wanted = signals.iter().filter(|kind| **kind != Signal::HangUp || !kind.is_ignored());
            Ok(Self { heard: wanted.map(listen).collect::<io::Result<_>>()? })
        }
        #[cfg(not(unix))]
        {
            let _ = signals;
            Ok(Self {})
        }
    }

    /// Waits for the next signal. None is lost when the wait is dropped.
    pub async fn next(&mut self) -> Signal {
        #[cfg(unix)]
        {
            use std::task::Poll;
            std::future::poll_fn(|context| {
                // All are asked, so that each of them wakes the task.
                for (kind, signal) in &mut self.heard {
                    if signal.poll_recv(context).is_ready() {
                        return Poll::Ready(*kind);
                    }
                }
                Poll::Pending
            })
            .await
        }
        #[cfg(not(unix))]
        {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Signal::Interrupt
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_listened_to_has_its_name() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let heard = runtime.block_on(async {
            let mut signals = Signals::listen(&[Signal::HangUp, Signal::Continue]).unwrap();
            // The one that does nothing to whoever does not listen.
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::CONT).unwrap();
            signals.next().await
        });
        assert_eq!(heard, Signal::Continue);
    }
}

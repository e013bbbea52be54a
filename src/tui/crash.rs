//! The terminal given back where nothing else of the program can run: before a fatal signal ends it, and when it is
//! ended because the terminal reads nothing.
//!
//! Everything here may be called from a handler of signals: system calls alone, no locks, no memory.

use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{owned, stderr};
use crate::streams::{Ready, wait};

/// Abort (a failed allocation, too), bad memory, bad instructions and numbers.
const FATAL: [libc::c_int; 5] = [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// What is written wherever the terminal is given back: the end of a synchronised update, plain pastes, the main
/// screen, the cursor.
const RESTORE: &[u8] = b"\x1b[?2026l\x1b[?1004l\x1b[?2004l\x1b[?1049l\x1b[0m\x1b[?25h";

/// The modes of the terminal before it was ours.
static MODES: OnceLock<libc::termios> = OnceLock::new();
/// The thread that draws; it lives as long as the process.
static OWNER: OnceLock<libc::pthread_t> = OnceLock::new();
/// What was done about each of [`FATAL`] before.
static EARLIER: OnceLock<[libc::sigaction; FATAL.len()]> = OnceLock::new();
/// Whether a fatal signal is being handled.
static CRASHED: AtomicBool = AtomicBool::new(false);

/// Keeps the modes that the terminal has now, the first time, and which thread draws there.
pub fn remember() {
    // SAFETY: has no conditions.
    OWNER.get_or_init(|| unsafe { libc::pthread_self() });
    MODES.get_or_init(|| {
        let mut modes = std::mem::MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: `modes` has room for what the call writes; all zeros are a value of it where it fails, which
        // setting them does as well.
        unsafe {
            libc::tcgetattr(libc::STDIN_FILENO, modes.as_mut_ptr());
            modes.assume_init()
        }
    });
}

/// From now on the terminal is given back before a fatal signal ends the process.
pub fn restore_before_fatal_signals() {
    EARLIER.get_or_init(|| {
        FATAL.map(|signal| {
            // SAFETY: both are structures of the C library for which zeros are a value, and they live until the
            // calls return; the handler is async-signal-safe.
            unsafe {
                let (mut new, mut old): (libc::sigaction, libc::sigaction) = std::mem::zeroed();
                new.sa_sigaction = on_fatal_signal as *const () as usize;
                new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(signal, &raw const new, &raw mut old);
                old
            }
        })
    });
}

/// Gives the terminal back, says that the program failed, and leaves the signal to whoever handled it before: the
/// runtime of the language, which reports a stack that is too small, or the system, which ends the process.
extern "C" fn on_fatal_signal(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    if !CRASHED.swap(true, Ordering::SeqCst) && give_back() {
        stderr::restore();
        const WORDS: &[u8] =
            b"lora-tui: ended by a fault or for want of memory; stderr.log in the state folder \
                               (`lora-tui doctor LIBRARY` names it) may say more\n";
        write_at_once(libc::STDERR_FILENO, WORDS);
    }
    let place = FATAL.iter().position(|&fatal| fatal == signal);
    // SAFETY: zeros are the default action; the structures live until the calls return. `info` is what the system
    // passes to every handler with SA_SIGINFO.
    unsafe {
        // A fault comes again where it came; what was sent does not, and is nothing that a handler could explain.
        let sent = info.is_null() || (*info).si_code <= 0;
        let earlier = EARLIER.get().zip(place).filter(|_| !sent).map(|(all, at)| &all[at]);
        let default: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::from_ref(earlier.unwrap_or(&default)), std::ptr::null_mut());
        if sent {
            libc::raise(signal);
        }
    }
}

/// Throws away what a terminal that reads nothing has not taken, and wakes the thread that waits there to write more: it
/// continues, hears that it should end, and gives the terminal back.
pub fn make_room() {
    if !owned::is_ours() {
        return;
    }
    // SAFETY: a system call with a descriptor, and a signal, which the runtime handles, to a thread that exists.
    unsafe {
        libc::tcflush(libc::STDOUT_FILENO, libc::TCOFLUSH);
        if let Some(&owner) = OWNER.get() {
            libc::pthread_kill(owner, libc::SIGWINCH);
        }
    }
}

/// Gives the terminal back without waiting for it. False when it was not ours.
pub fn give_back() -> bool {
    if !owned::release() {
        return false;
    }
    // SAFETY: system calls with descriptors, a path and a structure that live as long as the program.
    let terminal = unsafe {
        // What the thread that draws still writes goes nowhere.
        let terminal = libc::dup(libc::STDOUT_FILENO);
        let nowhere = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if terminal >= 0 && nowhere >= 0 {
            libc::dup2(nowhere, libc::STDOUT_FILENO);
        }
        let terminal = if terminal >= 0 { terminal } else { libc::STDOUT_FILENO };
        // What the terminal has not read by now is half a frame.
        libc::tcflush(terminal, libc::TCOFLUSH);
        terminal
    };
    // Before the modes: an echo of what is being typed would take the room, and come between.
    write_at_once(terminal, RESTORE);
    if let Some(modes) = MODES.get() {
        // SAFETY: a system call with a descriptor and a structure that lives as long as the program.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, modes) };
    }
    true
}

fn write_at_once(stream: libc::c_int, bytes: &[u8]) {
    // SAFETY: nobody closes the descriptor meanwhile; a closed one would make the calls fail.
    unsafe {
        if wait(BorrowedFd::borrow_raw(stream), Ready::ToWrite, Some(Duration::ZERO)).is_ok_and(|ready| ready)
        {
            libc::write(stream, bytes.as_ptr().cast(), bytes.len());
        }
    }
}

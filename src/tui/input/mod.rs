//! What comes from the terminal: keys, pastes, and its answers to questions.
//!
//! The bytes are parsed here and not by crossterm, whose reader takes an answer that it does not know for keys
//! and waits without limit for the end of a sequence.

mod decoder;
mod keys;

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossterm::event::KeyEvent;
use tokio::sync::mpsc::{self, UnboundedReceiver};

#[cfg(test)]
pub use decoder::Decoder;

/// Something that the terminal sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key press or its repetition.
    Key(KeyEvent),
    /// Text that was pasted, untrusted.
    Paste(String),
    /// The terminal's window has got the focus, or lost it; terminals that do not report it say nothing.
    Focus(bool),
    /// The colour of the ground, 8-bit sRGB: the answer to [`ASK_FOR_GROUND`].
    Ground([u8; 3]),
}

/// Asks the terminal for its background colour (OSC 11). Terminals that do not know the question say nothing.
pub const ASK_FOR_GROUND: &str = "\x1b]11;?\x1b\\";

/// Whether the terminal is read by somebody else now, and who waits for the end of that.
static PAUSED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

fn paused() -> MutexGuard<'static, bool> {
    PAUSED.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on nothing is read, until [`go_on`]: another program has the terminal.
pub fn pause() {
    *paused() = true;
}

/// Reads the terminal again.
pub fn go_on() {
    *paused() = false;
    PAUSED.1.notify_all();
}

/// Reads the terminal on a thread of its own; after an error, or where the terminal ends, there is no more.
pub fn listen() -> io::Result<UnboundedReceiver<Input>> {
    let (send, receive) = mpsc::unbounded_channel();
    // The thread's end is not waited for: reading blocks until a key is pressed.
    std::thread::Builder::new().name("input".into()).spawn(move || read(&send))?;
    Ok(receive)
}

/// Passes on what comes, until there is no terminal or nobody who listens.
#[cfg(unix)]
fn read(send: &mpsc::UnboundedSender<Input>) {
    use crate::streams::{Ready, wait};
    use rustix::io::Errno;

    let terminal = rustix::stdio::stdin();
    let mut decoder = decoder::Decoder::default();
    let mut bytes = [0; 4096];
    let mut found = Vec::new();
    loop {
        match wait(terminal, Ready::ToRead, decoder.patience()) {
            Ok(false) => decoder.pause(&mut found),
            Ok(true) => {
                let mut held = paused();
                if *held {
                    // What came was for another program.
                    while *held {
                        held = PAUSED.1.wait(held).unwrap_or_else(PoisonError::into_inner);
                    }
                    continue;
                }
                match rustix::io::read(terminal, &mut bytes) {
                    // While the process was stopped, the terminal's own line mode made an end of input of Ctrl-D; by
                    // now the mode may be ours again.
                    Ok(0) if is_there(terminal) => {}
                    Ok(0) => return,
                    Ok(count) => decoder.read(&bytes[..count], &mut found),
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => return,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
        if found.drain(..).any(|input| send.send(input).is_err()) {
            return;
        }
    }
}

/// Whether there is still a terminal: one that hung up has no modes.
#[cfg(unix)]
fn is_there(terminal: std::os::fd::BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetattr(terminal).is_ok()
}

/// Where terminals are no streams of bytes, crossterm reads them.
#[cfg(not(unix))]
fn read(send: &mpsc::UnboundedSender<Input>) {
    use crossterm::event::{Event, KeyEventKind, read};
    while let Ok(event) = read() {
        let input = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Input::Key(key),
            Event::Paste(text) => Input::Paste(text),
            Event::FocusGained => Input::Focus(true),
            Event::FocusLost => Input::Focus(false),
            _ => continue,
        };
        if send.send(input).is_err() {
            return;
        }
    }
}

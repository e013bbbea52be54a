//! Takes the terminal and gives it back, whatever happens.

use std::io::{self, Stdout, Write};
use std::thread::{self, ThreadId};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use super::rows::Rows;
use super::{App, Theme, input, owned, stderr};

/// The terminal while it is ours; dropping it gives it back.
pub struct TerminalGuard {
    terminal: Terminal<Rows<CrosstermBackend<Stdout>>>,
    /// Continued in the background: the terminal belongs to the shell, nothing is drawn.
    away: bool,
}

impl TerminalGuard {
    /// Raw mode, alternate screen, bracketed paste; and what gives all of it back before a panic of this thread is
    /// printed, and before a fatal signal ends the process. Panics of other threads leave the screen alone.
    pub fn enter() -> io::Result<Self> {
        restore_before_panics_of(thread::current().id());
        #[cfg(unix)]
        super::crash::restore_before_fatal_signals();
        if let Err(error) = take() {
            restore();
            return Err(error);
        }
        match Terminal::new(Rows::new(CrosstermBackend::new(io::stdout()))) {
            Ok(terminal) => Ok(Self { terminal, away: false }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Asks for the colour of the ground, which comes as [`input::Input::Ground`] or not at all.
    pub fn ask_for_ground(&self) -> io::Result<()> {
        // The console of Linux would show the question.
        if std::env::var_os("TERM").is_some_and(|term| term == "linux") {
            return Ok(());
        }
        execute!(io::stdout(), Print(input::ASK_FOR_GROUND))
    }

    /// Draws a frame; terminals that know synchronised output show it in one piece.
    pub fn draw(&mut self, app: &App, theme: &Theme) -> io::Result<()> {
        if self.away {
            return Ok(());
        }
        // Where one types, the cursor is shown; not where it is while the cells are written.
        queue!(io::stdout(), BeginSynchronizedUpdate, Hide)?;
        let drawn = self.terminal.draw(|frame| app.view(frame, theme)).map(|_| ());
        execute!(io::stdout(), EndSynchronizedUpdate)?;
        drawn
    }

    /// Writes what the terminal does not show as text.
    pub fn write(&mut self, sequence: &str) -> io::Result<()> {
        if self.away || sequence.is_empty() {
            return Ok(());
        }
        execute!(io::stdout(), Print(sequence))
    }

    /// Forgets what the screen shows, so that the next frame writes all of it.
    pub fn redraw(&mut self) -> io::Result<()> {
        // Not `clear`, which asks the terminal where its cursor is.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Stops this process's group, as a shell's Ctrl-Z does, with the terminal given back meanwhile.
    /// Returns when it is continued, the screen taken again and to be drawn anew.
    #[cfg(unix)]
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        // STOP rather than TSTP: the latter is handled by the runtime, which brought us here.
        rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
        self.resume()
    }

    /// Gives the terminal to `work`, a program of the person's, and takes it again, the screen to be drawn anew.
    pub fn lend<T>(&mut self, work: impl FnOnce() -> T) -> io::Result<T> {
        input::pause();
        restore();
        let done = work();
        let taken = self.resume();
        input::go_on();
        taken.map(|()| done)
    }

    /// Takes the terminal again after the process was stopped and continued; not yet when it was continued in
    /// the background: the shell continues it once more when it brings it to the front.
    pub fn resume(&mut self) -> io::Result<()> {
        self.away = !in_foreground();
        if self.away {
            return Ok(());
        }
        take()?;
        self.redraw()
    }
}

/// Whether the terminal takes this process for the one that people talk to.
#[cfg(unix)]
fn in_foreground() -> bool {
    // Without a controlling terminal no other process can have it.
    rustix::termios::tcgetpgrp(rustix::stdio::stdin())
        .map_or(true, |group| group == rustix::process::getpgrp())
}

#[cfg(not(unix))]
fn in_foreground() -> bool {
    true
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        restore();
    }
}

fn take() -> io::Result<()> {
    #[cfg(unix)]
    super::crash::remember();
    owned::take();
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, Hide)
}

/// Gives the terminal back; every step is tried, and a second call does nothing.
pub fn restore() {
    if !owned::release() {
        return;
    }
    let mut out = io::stdout();
    let _ = queue!(out, EndSynchronizedUpdate);
    let _ = queue!(out, DisableFocusChange);
    let _ = queue!(out, DisableBracketedPaste);
    let _ = queue!(out, LeaveAlternateScreen);
    let _ = queue!(out, Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

fn restore_before_panics_of(owner: ThreadId) {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == owner {
            restore();
            stderr::restore();
        }
        previous(info);
    }));
}

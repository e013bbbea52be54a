//! The binary in a pseudo-terminal.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use super::BINARY;

/// For a machine that does many other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// The interface in a terminal that answers no questions.
pub struct Session {
    screen: Arc<Mutex<vt100::Parser>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    /// Configuration and state of the test's own.
    home: Arc<tempfile::TempDir>,
}

impl Session {
    pub fn open(library: &Path) -> Self {
        Self::open_with(library, &[])
    }

    pub fn open_with(library: &Path, arguments: &[&std::ffi::OsStr]) -> Self {
        Self::open_in(Some("xterm-256color"), library, arguments)
    }

    /// `term` is what the terminal says that it is.
    pub fn open_in(term: Option<&str>, library: &Path, arguments: &[&std::ffi::OsStr]) -> Self {
        Self::of(Arc::new(tempfile::tempdir().unwrap()), term, library, arguments)
    }

    /// Another session of the same person.
    pub fn again(&self, library: &Path) -> Self {
        Self::of(self.home.clone(), Some("xterm-256color"), library, &[])
    }

    fn of(
        home: Arc<tempfile::TempDir>,
        term: Option<&str>,
        library: &Path,
        arguments: &[&std::ffi::OsStr],
    ) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(BINARY);
        command.arg(library);
        command.args(arguments);
        command.env("HOME", home.path());
        match term {
            Some(term) => command.env("TERM", term),
            None => command.env_remove("TERM"),
        }
        for variable in ["NO_COLOR", "COLORTERM", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(variable);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, 80, 0)));
        let (mut output, parser) = (pair.master.try_clone_reader().unwrap(), screen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                parser.lock().unwrap().process(&bytes[..n]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { screen, keys, child, master: pair.master, home }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Whether the screen of its own is shown.
    pub fn is_alternate(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Waits until the screen shows `text`.
    pub fn see(&self, text: &str) {
        self.until(text, || self.text().contains(text));
    }

    pub fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < PATIENCE, "waited for {what:?} in vain:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for the end.
    pub fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "does not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The terminal is as it was: main screen, cursor shown, plain pastes, lines and echo.
    pub fn assert_restored(&self) {
        self.until("the main screen in line mode with echo", || {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            let modes = format!("{:?}", self.master.get_termios().expect("terminal modes").local_flags);
            let lines = modes.contains("ICANON") && modes.contains("ECHO");
            lines && !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

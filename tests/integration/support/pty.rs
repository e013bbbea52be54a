//! The binary in a pseudo-terminal.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::{BINARY, PATIENCE};

/// The interface in a terminal that answers no questions.
pub struct Session {
    screen: Arc<Mutex<vt100::Parser>>,
    /// Locked while the terminal reads nothing.
    reading: Arc<Mutex<()>>,
    /// Written by a thread, for nobody may read them.
    keys: mpsc::Sender<Vec<u8>>,
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
        Self::open_where(&[("TERM", term)], library, arguments)
    }

    /// With these variables set or not.
    pub fn open_where(
        variables: &[(&str, Option<&str>)],
        library: &Path,
        arguments: &[&std::ffi::OsStr],
    ) -> Self {
        Self::of(Arc::new(tempfile::tempdir().unwrap()), variables, library, arguments)
    }

    /// Another session of the same person.
    pub fn again(&self, library: &Path) -> Self {
        Self::of(self.home.clone(), &[], library, &[])
    }

    fn of(
        home: Arc<tempfile::TempDir>,
        variables: &[(&str, Option<&str>)],
        library: &Path,
        arguments: &[&std::ffi::OsStr],
    ) -> Self {
        let pair = native_pty_system().openpty(size(80, 24)).unwrap();
        let command = command(variables, library, arguments, home.path());
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, 80, 0)));
        let reading = Arc::new(Mutex::new(()));
        let (mut output, parser) = (pair.master.try_clone_reader().unwrap(), screen.clone());
        let turn = reading.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                drop(turn.lock());
                let Ok(n @ 1..) = output.read(&mut bytes) else { return };
                parser.lock().unwrap().process(&bytes[..n]);
            }
        });
        let (keys, typed) = mpsc::channel::<Vec<u8>>();
        let mut input = pair.master.take_writer().unwrap();
        std::thread::spawn(move || {
            while let Ok(bytes) = typed.recv() {
                if input.write_all(&bytes).is_err() {
                    return;
                }
            }
        });
        Self { screen, reading, keys, child, master: pair.master, home }
    }

    /// Opens the interface and hangs up as soon as it shows `text`: its exit status.
    pub fn hang_up_at(text: &str, library: &Path) -> ExitStatus {
        let pair = native_pty_system().openpty(size(80, 24)).unwrap();
        let home = tempfile::tempdir().unwrap();
        let command = command(&[("TERM", Some("xterm-256color"))], library, &[], home.path());
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut screen = vt100::Parser::new(24, 80, 0);
        let mut output = pair.master.try_clone_reader().unwrap();
        let mut bytes = [0; 4096];
        while !screen.screen().contents().contains(text) {
            let n = output.read(&mut bytes).unwrap();
            screen.process(&bytes[..n]);
        }
        drop((output, pair.master));
        wait(&mut *child, || "the terminal is gone".into())
    }

    /// Another size of the terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut screen = self.screen.lock().unwrap();
        // The parser fails where what was written for a larger screen comes after it has shrunk: it never does.
        let (most_rows, most_columns) = screen.screen().size();
        screen.screen_mut().set_size(rows.max(most_rows), columns.max(most_columns));
        drop(screen);
        self.master.resize(size(columns, rows)).unwrap();
    }

    /// While this is locked, the terminal reads nothing.
    pub fn reading(&self) -> Arc<Mutex<()>> {
        self.reading.clone()
    }

    /// Where the cursor is, by column and row; `None` while it is hidden.
    pub fn cursor(&self) -> Option<(u16, u16)> {
        let parser = self.screen.lock().unwrap();
        let (row, column) = parser.screen().cursor_position();
        (!parser.screen().hide_cursor()).then_some((column, row))
    }

    /// The first cell of a text, by column and row.
    pub fn find(&self, text: &str) -> Option<(u16, u16)> {
        let parser = self.screen.lock().unwrap();
        let columns = parser.screen().size().1;
        let mut rows = parser.screen().rows(0, columns).enumerate();
        rows.find_map(|(row, line)| {
            let before = &line[..line.find(text)?];
            Some((unicode_width::UnicodeWidthStr::width(before) as u16, row as u16))
        })
    }

    /// Colours of a cell: of its text and of its ground.
    pub fn colours(&self, (column, row): (u16, u16)) -> (vt100::Color, vt100::Color) {
        let parser = self.screen.lock().unwrap();
        let cell = parser.screen().cell(row, column).expect("a cell of the screen");
        (cell.fgcolor(), cell.bgcolor())
    }

    /// The process of the interface.
    pub fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap()).unwrap()
    }

    pub fn press(&mut self, keys: &str) {
        self.send(keys.as_bytes());
    }

    /// Bytes as they are; lost where the other end is gone.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.keys.send(bytes.to_vec());
    }

    /// As [`Session::signal`], where the process may have ended.
    pub fn try_signal(&self, signal: Signal) {
        let _ = kill_process(self.process(), signal);
    }

    /// Waits until the process is stopped.
    pub fn assert_stopped(&self) {
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        self.until("a stop", || matches!(waitid(WaitId::Pid(self.process()), stopped), Ok(Some(_))));
    }

    /// As [`Session::end`], of a process that may have been stopped.
    pub fn end_continuing(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            self.try_signal(Signal::CONT);
            std::thread::sleep(Duration::from_millis(10));
        }
        self.end()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
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
        kill_process(self.process(), signal).unwrap();
    }

    /// Waits for the end.
    pub fn end(&mut self) -> ExitStatus {
        let screen = self.screen.clone();
        wait(&mut *self.child, || screen.lock().unwrap().screen().contents())
    }

    /// The terminal is as it was: main screen, cursor shown, plain pastes, no mouse, lines and echo.
    pub fn assert_restored(&self) {
        self.until("the main screen in line mode with echo", || {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            let modes = format!("{:?}", self.master.get_termios().expect("terminal modes").local_flags);
            let lines = modes.contains("ICANON") && modes.contains("ECHO");
            let mouse = screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
            let ours = screen.alternate_screen() || screen.hide_cursor() || screen.bracketed_paste() || mouse;
            lines && !ours
        });
    }
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

/// The interface on a library, in an environment of the test's own.
fn command(
    variables: &[(&str, Option<&str>)],
    library: &Path,
    arguments: &[&std::ffi::OsStr],
    home: &Path,
) -> CommandBuilder {
    let mut command = CommandBuilder::new(BINARY);
    command.arg(library);
    command.args(arguments);
    command.env("HOME", home);
    command.env("TERM", "xterm-256color");
    for variable in
        ["NO_COLOR", "FORCE_COLOR", "COLORTERM", "LORA_TUI_THEME", "XDG_STATE_HOME", "XDG_CACHE_HOME"]
    {
        command.env_remove(variable);
    }
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        }
    }
    command
}

/// Waits for the end of a process; where there is none, `seen` says what was seen last.
fn wait(child: &mut dyn Child, seen: impl Fn() -> String) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "does not end:\n{}", seen());
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

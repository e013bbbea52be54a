//! What a command prints: results on stdout, everything else on stderr.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::eval::StudyEvent;
use crate::library::{Library, NamedTensor, read_header, write_safetensors};
use crate::outside::open_regular;
use crate::routing::CalibrationStep;
use crate::signals::{self, Signal, Signals, end_of_cancelled};
use crate::text::{printable, printable_json};
use crate::{Cancel, Error, Result};

/// Name under which errors of writing to stdout are reported.
const STDOUT: &str = "standard output";

/// How this run prints, and how it is interrupted.
#[derive(Debug, Default)]
pub struct Output {
    json: bool,
    cancel: OnceLock<Cancel>,
    /// Notes that are shown once.
    shown: Mutex<BTreeSet<String>>,
}

impl Output {
    /// Prints one JSON document instead of text when `json`.
    pub fn new(json: bool) -> Self {
        Self { json, ..Self::default() }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result as it is: make untrusted parts printable before.
    ///
    /// # Errors
    /// When stdout cannot be written. A closed pipe is an error too, so that work stops; it ends the
    /// process quietly and with success.
    pub fn text(&self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|e| Error::io(STDOUT, e))
    }

    /// Prints one line of a result.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn line(&self, line: &str) -> Result<()> {
        self.text(&format!("{line}\n"))
    }

    /// Prints the one JSON document of a command.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn document(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::msg(e.to_string()))?;
        self.line(&printable_json(&text))
    }

    /// Writes a note for the person to stderr.
    pub fn note(&self, text: &str) {
        // Without stderr there is nowhere left to report to.
        let _ = writeln!(io::stderr().lock(), "{}", printable(text));
    }

    /// [`Self::note`], unless it was shown before.
    pub fn note_once(&self, text: &str) {
        if self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_string()) {
            self.note(text);
        }
    }

    /// Says that a file was written, in one line on stderr.
    pub fn wrote(&self, path: &Path, what: &str) {
        self.note(&format!("wrote {}: {what}", path.display()));
    }

    /// Says which names a figure shows by number, because its font cannot show them.
    pub fn numbered(&self, names: &[(String, String)]) {
        let pairs: Vec<String> = names.iter().map(|(number, name)| format!("{number} {name}")).collect();
        if !pairs.is_empty() {
            self.note(&format!(
                "names that the figure's font lacks are numbered there: {}",
                pairs.join(", ")
            ));
        }
    }

    /// A flag that Ctrl-C, TERM and HUP raise from now on; a second one ends the process at once, and so does a
    /// terminal that reads nothing.
    pub fn cancel(&self) -> &Cancel {
        self.cancel.get_or_init(|| {
            let cancel = Cancel::new();
            let raised = cancel.clone();
            let (ready, installed) = std::sync::mpsc::channel();
            // Without the thread (no more threads to be had) the signals end the process as usual.
            let _ = std::thread::Builder::new()
                .name("signals".into())
                .spawn(move || watch_signals(&raised, ready));
            // From here on a signal is a request; an end of the thread ends the wait, too.
            let _ = installed.recv();
            cancel
        })
    }

    /// A line on stderr that shows how far long work is.
    pub fn progress(&self) -> Progress {
        Progress::new()
    }

    /// Tells on stderr what is odd about a library: its warnings and the experts left out.
    pub fn library_notes(&self, library: &Library) {
        for warning in &library.warnings {
            self.note(&format!("warning: {warning}"));
        }
        if !self.json {
            for skipped in library.bad() {
                self.note(&format!("skipped {skipped}"));
            }
        }
    }
}

/// Writes the tensors of a result for `--save`: f32, with the experts' names as JSON in the metadata.
///
/// # Errors
/// When the file cannot be written or a value is not finite.
pub fn save_tensors(path: &Path, tensors: &[NamedTensor<'_>], experts: &[String]) -> Result<()> {
    let names = serde_json::to_string(experts).map_err(|e| Error::msg(e.to_string()))?;
    write_safetensors(path, tensors, candle_core::DType::F32, &[("experts", &names)])
}

/// Whether `--save` may write a file: to be known before the work. What is there has to be such a file itself, so that no
/// expert's weights are replaced.
///
/// # Errors
/// A folder; a place in an expert's folder; a file that [`save_tensors`] did not write.
pub(super) fn check_save(path: &Path, library: &Library) -> Result<()> {
    if path.is_dir() {
        return Err(Error::file(path, "is a folder: name a file in it"));
    }
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let own = |folder: &Path| {
        library.experts.iter().find(|e| real(&e.path).is_some_and(|own| folder.starts_with(own)))
    };
    if let Some(expert) = real(path).or_else(|| real(parent)).and_then(|place| own(&place)) {
        let problem =
            format!("is in the folder of the expert {}: save it elsewhere", printable(&expert.name));
        return Err(Error::file(path, problem));
    }
    // A device or a pipe keeps nothing that could be lost.
    if path.is_file() && !is_saved(path) {
        return Err(Error::file(
            path,
            "is there already, and was not written by --save: name another file, or move it away",
        ));
    }
    Ok(())
}

/// Whether a file is one that [`save_tensors`] wrote.
fn is_saved(path: &Path) -> bool {
    let header = || {
        let (file, metadata) = open_regular(path).ok()?;
        let header = read_header(&file, metadata.len()).ok()?;
        serde_json::from_slice::<serde_json::Value>(&header).ok()
    };
    header().is_some_and(|header| header["__metadata__"]["experts"].is_string())
}

/// Ends a command: prints its error, if any, and gives the exit status.
pub(super) fn finish(result: Result<()>) -> ExitCode {
    let error = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    let (status, text) = match &error {
        Error::Io { path, source }
            if source.kind() == io::ErrorKind::BrokenPipe && path == Path::new(STDOUT) =>
        {
            return ExitCode::SUCCESS;
        }
        Error::Usage(_) => (2, error.to_string()),
        Error::Cancelled => {
            let (word, status) = end_of_cancelled();
            (status, word.to_string())
        }
        _ => (1, error.to_string()),
    };
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "lora-tui: {text}");
    for line in error.details() {
        let _ = writeln!(stderr, "  {line}");
    }
    ExitCode::from(status)
}

/// Raises `cancel` at the first signal and ends the process at the second. `ready` hears when the handlers
/// stand.
fn watch_signals(cancel: &Cancel, ready: std::sync::mpsc::Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let Ok(mut heard) = Signals::listen(&[Signal::Interrupt, Signal::Terminate, Signal::HangUp]) else {
            return;
        };
        let _ = ready.send(());
        heard.next().await.remember();
        cancel.cancel();
        loop {
            match tokio::time::timeout(signals::PATIENCE, heard.next()).await {
                Ok(again) => {
                    again.remember();
                    std::process::exit(i32::from(end_of_cancelled().1));
                }
                // Nobody would learn that the work has ended, if it can: it waits there, too.
                Err(_) if signals::terminal_is_stuck() => signals::end_now(),
                Err(_) => {}
            }
        }
    });
}

/// One line on stderr that is overwritten on a terminal; elsewhere only its stages are printed.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    stage: String,
    drawn: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        let terminal = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        Self { terminal, stage: String::new(), drawn: None }
    }

    /// What is being done now; shown once.
    pub fn stage(&mut self, text: &str) {
        if self.stage == text {
            return;
        }
        self.stage = text.to_string();
        if self.terminal {
            self.draw(text);
        } else {
            let _ = writeln!(io::stderr().lock(), "{}", printable(text));
        }
    }

    /// How far it is; on a terminal only, ten times a second at most.
    pub fn update(&mut self, text: &str) {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= Duration::from_millis(100));
        if self.terminal && due {
            self.draw(text);
        }
    }

    /// How far a study of routers is.
    pub fn show(&mut self, event: StudyEvent) {
        match event {
            StudyEvent::Stage(line) => self.stage(&line),
            StudyEvent::Step(line) => self.update(&line),
        }
    }

    /// How far what a router needs first is: its begin is a stage.
    pub fn step(&mut self, step: &CalibrationStep) {
        if let Some(begun) = step.begun() {
            self.stage(&begun);
        }
        self.update(&step.to_string());
    }

    fn draw(&mut self, text: &str) {
        let width = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns)).max(2);
        let line: String = printable(text).chars().take(width - 1).collect();
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
        self.drawn = Some(Instant::now());
    }
}

impl Drop for Progress {
    /// Clears the line.
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K").and_then(|()| stderr.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Expert;

    #[test]
    fn what_is_saved_replaces_only_what_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(place("a/parts")).unwrap();
        let expert = Expert { name: "a".into(), path: place("a"), ..Expert::default() };
        let library = Library { experts: vec![expert], ..Library::default() };
        let refused = |name: &str| check_save(&place(name), &library).map_err(|error| error.to_string());
        let (names, values) = (["a".to_string()], [1.0]);
        let tensors = [NamedTensor { name: "logits", shape: &[1, 1], values: &values }];
        for name in ["a/adapter_model.safetensors", "a/new", "a/parts/new"] {
            assert!(refused(name).unwrap_err().contains("is in the folder of the expert a"), "{name}");
        }
        assert!(refused("a").unwrap_err().contains("is a folder"));
        assert_eq!(refused("new.safetensors"), Ok(()));
        save_tensors(&place("new.safetensors"), &tensors, &names).unwrap();
        assert_eq!(refused("new.safetensors"), Ok(()), "it may be made again");
        std::fs::write(place("notes"), "mine").unwrap();
        write_safetensors(&place("weights"), &tensors, candle_core::DType::F32, &[("format", "pt")]).unwrap();
        for name in ["notes", "weights"] {
            assert!(refused(name).unwrap_err().contains("is there already"), "{name}");
        }
    }
}

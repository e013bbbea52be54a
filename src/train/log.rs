//! The `--log` file: one JSON line per step.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::library::atomic_write;
use crate::{Error, Result};

/// An open log.
pub(super) struct StepLog {
    path: PathBuf,
    file: File,
}

impl StepLog {
    /// A new log at `path`; a training that resumes after `step` steps keeps the lines of those.
    pub(super) fn open(path: &Path, step: usize) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        let file = if step > 0 && path.is_file() {
            let text = std::fs::read_to_string(path).map_err(fail)?;
            let kept: String = text.split_inclusive('\n').filter(|line| is_up_to(line, step)).collect();
            atomic_write(path, kept.as_bytes())?;
            File::options().append(true).open(path)
        } else {
            File::create(path)
        };
        Ok(Self { path: path.into(), file: file.map_err(fail)? })
    }

    /// Appends a line.
    pub(super) fn line(&mut self, line: &serde_json::Value) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|e| Error::io(&self.path, e))
    }
}

/// Checks that `path` can be the log of an interrupted training: nothing is there, or lines of one.
///
/// # Errors
/// Anything else, since going on would write over it.
pub fn check_log(path: &Path) -> Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(path, e)),
    };
    let mut line = String::new();
    let fits = path.is_file() && BufReader::new(file.take(1 << 16)).read_line(&mut line).is_ok();
    match fits && (line.is_empty() || is_up_to(&line, usize::MAX)) {
        true => Ok(()),
        false => Err(Error::file(path, "is not the log of a training: move it away")),
    }
}

/// Whether a line is whole and of one of the first `step` steps.
fn is_up_to(line: &str, step: usize) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    line.ends_with('\n') && value.and_then(|v| v.get("step")?.as_u64()).is_some_and(|n| n <= step as u64)
}

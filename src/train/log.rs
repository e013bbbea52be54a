//! The `--log` file: one JSON line per step.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::outside::{Output, append_named, atomic_write, create_named, open_regular, read_limited};
use crate::{Error, Result};

/// Largest log that a resumed training keeps the lines of.
const MAX_LOG: u64 = 4 << 30;

/// How each line begins.
const BEGINNING: &str = "{\"step\":";

/// An open log.
pub(super) struct StepLog {
    path: PathBuf,
    file: Output,
}

impl StepLog {
    /// A new log at `path`; a training that resumes after `step` steps keeps the lines of those.
    ///
    /// # Errors
    /// What cannot be read or written; as [`check_log`].
    pub(super) fn open(path: &Path, step: usize) -> Result<Self> {
        check_log(path)?;
        let fail = |e| Error::io(path, e);
        let file = if step > 0 && path.is_file() {
            let text = String::from_utf8_lossy(&read_limited(path, MAX_LOG).map_err(fail)?).into_owned();
            let kept: String = text.split_inclusive('\n').filter(|line| is_up_to(line, step)).collect();
            atomic_write(path, kept.as_bytes())?;
            append_named(path)
        } else {
            create_named(path)
        };
        Ok(Self { path: path.into(), file: file.map_err(fail)? })
    }

    /// Appends a line.
    pub(super) fn line(&mut self, line: &serde_json::Value) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|e| Error::io(&self.path, e))
    }
}

/// Checks that `path` can be the log of a training: nothing is there, a pipe or device, or lines of an earlier one.
///
/// # Errors
/// Anything else, since it would be written over.
pub fn check_log(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(found) if found.is_dir() => return Err(Error::io(path, io::ErrorKind::IsADirectory.into())),
        Ok(_) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(path, e)),
    }
    let (file, _) = open_regular(path).map_err(|e| Error::io(path, e))?;
    let mut line = String::new();
    let fits = BufReader::new(file.take(1 << 16)).read_line(&mut line).is_ok();
    // A training that was killed may have left the beginning of its first line.
    let begun = !line.ends_with('\n') && (BEGINNING.starts_with(&line) || line.starts_with(BEGINNING));
    match fits && (begun || is_up_to(&line, usize::MAX)) {
        true => Ok(()),
        false => Err(Error::file(path, "is not the log of a training: move it away")),
    }
}

/// Whether a line is whole and of one of the first `step` steps.
fn is_up_to(line: &str, step: usize) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    line.ends_with('\n') && value.and_then(|v| v.get("step")?.as_u64()).is_some_and(|n| n <= step as u64)
}

//! The `--log` file: one JSON line a step.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::library::atomic_write;
use crate::{Error, Result};

/// An open log.
pub(super) struct StepLog {
    path: PathBuf,
    file: File,
}

impl StepLog {
    /// A new log at `path`; a training that goes on after `step` steps keeps the lines of those.
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

/// Whether a line is whole and of one of the first `step` steps.
fn is_up_to(line: &str, step: usize) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    line.ends_with('\n') && value.and_then(|v| v.get("step")?.as_u64()).is_some_and(|n| n <= step as u64)
}

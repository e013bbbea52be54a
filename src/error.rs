//! The one error type of the crate: a clear line for a person, naming the file and the fix.

use std::path::{Path, PathBuf};

use crate::text::printable;

/// What the crate returns: a value, or an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. `Display` is one printable line (control characters escaped).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something about a file.
    #[error("{}: {}", printable(&path.to_string_lossy()), printable(&system_reason(source)))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file was read but its content cannot be used; `problem` says why and what to do.
    #[error("{}: {}", printable(&path.to_string_lossy()), printable(problem))]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Values in a file are NaN or infinite, as they are each time that it is read; `problem` says which and what to do.
    #[error("{}: {}", printable(&path.to_string_lossy()), printable(problem))]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Which values, and what to do.
        problem: String,
    },
    /// What one expert does makes it impossible; without the expert it would be possible.
    #[error("{}", printable(problem))]
    Expert {
        /// Its name.
        expert: String,
        /// The whole line: what it does, and what to do.
        problem: String,
    },
    /// The person asked for something that makes no sense (exit status 2).
    #[error("{}", printable(.0))]
    Usage(String),
    /// Anything else that has one clear line.
    #[error("{}", printable(.0))]
    Message(String),
    /// A GPU has no memory left.
    #[error(
        "the GPU is out of memory: use --precision q8, a smaller batch, a shorter prompt, or --device cpu"
    )]
    OutOfMemory,
    /// No source had the base model.
    #[error("{0}")]
    NoSource(Box<NoSource>),
    /// A [`crate::Cancel`] was raised (exit status 130, or 143 for TERM).
    #[error("interrupted")]
    Cancelled,
}

/// The base model could not be got from anywhere: what was tried, and where the file would belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSource {
    /// The base model, for people.
    pub what: String,
    /// Every source with the reason why it did not help, in the order they were tried.
    pub tried: Vec<(String, String)>,
    /// Where a file that was got by hand is found.
    pub place: PathBuf,
}

impl std::fmt::Display for NoSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no source has the base model {}", printable(&self.what))
    }
}

impl Error {
    /// What there is to say below the line of `Display`, a printable line each.
    pub fn details(&self) -> Vec<String> {
        let Self::NoSource(failure) = self else { return Vec::new() };
        let reason =
            |(source, reason): &(String, String)| printable(&format!("{source}: {reason}")).into_owned();
        let mut lines: Vec<String> = failure.tried.iter().map(reason).collect();
        let place = failure.place.to_string_lossy();
        lines.push(format!("by hand: give a file with --base FILE, or put it at {}", printable(&place)));
        lines
    }

    /// The expert without which it would be possible, where it is one expert's fault.
    pub fn blamed(&self) -> Option<&str> {
        match self {
            Self::Expert { expert, .. } => Some(expert),
            _ => None,
        }
    }

    /// An I/O error about `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source }
    }

    /// A file whose content cannot be used.
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), problem: problem.into() }
    }

    /// A plain message.
    pub fn msg(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }

    /// A usage error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }
}

/// What the system said, without its error number, and what to do where that is known.
pub fn system_reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let known = match error.kind() {
        ErrorKind::StorageFull => "the disk is full; free some space or files there and try again",
        ErrorKind::QuotaExceeded => "the disk quota is used up; free some space or files and try again",
        ErrorKind::ReadOnlyFilesystem => "the file system can only be read; mount it for writing",
        ErrorKind::FileTooLarge => "larger than files may be; raise the limit (ulimit -f)",
        _ => "",
    };
    if error.raw_os_error().is_none() || known.is_empty() {
        let text = error.to_string();
        let numbered = text.rsplit_once(" (os error ");
        return numbered.map_or(text.as_str(), |(reason, _)| reason).to_string();
    }
    known.to_string()
}

impl From<candle_core::Error> for Error {
    /// Candle's errors can carry a backtrace of many lines: only the first line is for people.
    fn from(error: candle_core::Error) -> Self {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or("tensor error");
        if is_out_of_memory(line) {
            return Self::OutOfMemory;
        }
        Self::msg(line)
    }
}

/// Whether a GPU's library says that it has no memory left: CUDA's driver, cuBLAS, Metal.
fn is_out_of_memory(line: &str) -> bool {
    ["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED", "Failed to create metal resource: Buffer"]
        .iter()
        .any(|sign| line.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_disk_that_takes_no_more_is_told_with_what_to_do() {
        let told = |number| Error::io("f", std::io::Error::from_raw_os_error(number)).to_string();
        assert_eq!(told(libc::ENOSPC), "f: the disk is full; free some space or files there and try again");
        assert!(told(libc::EDQUOT).contains("quota") && told(libc::EROFS).contains("only be read"));
        assert_eq!(told(libc::ENOENT), "f: No such file or directory");
    }

    #[test]
    fn a_full_gpu_is_told_with_what_to_do() {
        let full = [
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")\n   0: a frame",
            "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
            "Metal error Failed to create metal resource: Buffer",
        ];
        for text in full {
            let error = Error::from(candle_core::Error::Msg(text.into())).to_string();
            assert!(error.contains("out of memory") && error.contains("--device cpu"), "{error}");
        }
        let other = Error::from(candle_core::Error::Msg("shapes differ\n   0: a frame".into()));
        assert_eq!(other.to_string(), "shapes differ");
    }
}

//! One new expert a name: claimed before the work, so that none is done for nothing.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{check_new_name, state_dir};
use crate::{Error, Result};

/// The right to write the expert of one name; given back when dropped, also by the end of the process.
#[derive(Debug)]
pub struct Claim {
    /// The new expert's folder.
    pub path: PathBuf,
    _lock: File,
}

impl Claim {
    /// Checks the name, that the library can be written, and that no other training is making an expert of it.
    ///
    /// # Errors
    /// As [`check_new_name`]; when the name is taken or the library cannot be written.
    pub fn take(library: &Path, name: &str) -> Result<Self> {
        let path = check_new_name(library, name)?;
        // What writing the expert will do first.
        tempfile::Builder::new().prefix(".tmp-").tempdir_in(library).map_err(|e| {
            let reason = e.get_ref().and_then(|inner| inner.source()).map(|s| s.to_string());
            let reason = reason.unwrap_or_else(|| e.kind().to_string());
            Error::file(library, format!("no expert can be written here: {reason}"))
        })?;
        let folder = state_dir(library)?.join("training");
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let file = folder.join(format!("{name}.lock"));
        let lock = File::create(&file).map_err(|e| Error::io(&file, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(Error::file(path, "is being made already: choose another name"))
            }
            Err(std::fs::TryLockError::Error(e)) => Err(Error::io(file, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_claimed_once_at_a_time() {
        let library = tempfile::tempdir().unwrap();
        let first = Claim::take(library.path(), "a").unwrap();
        let error = Claim::take(library.path(), "a").unwrap_err().to_string();
        assert!(error.contains("is being made already"), "{error}");
        assert!(Claim::take(library.path(), "b").is_ok());
        drop(first);
        assert!(Claim::take(library.path(), "a").is_ok());
        assert!(!library.path().join("a").exists());
    }
}

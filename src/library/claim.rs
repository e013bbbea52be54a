//! One new expert a name: claimed before the work, so that none is done for nothing.

use std::path::{Path, PathBuf};

use super::write::expert_path;
use super::{check_new_name, state_dir};
use crate::outside::{Lock, TEMPORARY, UnfinishedFolder, make_folders, sweep, write_reason};
use crate::{Error, Result};

/// The right to write the expert of one name; given back when dropped, also by the end of the process.
#[derive(Debug)]
pub struct Claim {
    /// The new expert's folder.
    pub path: PathBuf,
    _lock: Lock,
}

impl Claim {
    /// Checks the name, that the library can be written, and that no other training is making an expert of it.
    /// Removes what writers that were killed left in the library.
    ///
    /// # Errors
    /// As [`check_new_name`]; when the name is taken or the library cannot be written.
    pub fn take(library: &Path, name: &str) -> Result<Self> {
        check_new_name(library, name)?;
        Self::take_again(library, name)
    }

    /// As [`Self::take`], also where the expert is there already: an earlier run may have finished it.
    ///
    /// # Errors
    /// As there, but for a name that is taken.
    pub fn take_again(library: &Path, name: &str) -> Result<Self> {
        let path = expert_path(library, name)?;
        // What writing the expert will do first.
        UnfinishedFolder::new_in(library, TEMPORARY).map_err(|e| unwritable(library, &e))?;
        sweep(library);
        let state = state_dir(library)?;
        sweep(&state);
        let folder = state.join("training");
        make_folders(&folder)?;
        // Without locks, who comes second finds the expert there when it is to get its name: nothing is overwritten.
        match Lock::take_where_possible(&folder.join(format!("{name}.lock")))? {
            Some(lock) => Ok(Self { path, _lock: lock }),
            None => Err(Error::file(path, "is being made already: choose another name")),
        }
    }
}

/// What is said of a library into which an expert could not be written.
fn unwritable(library: &Path, why: &std::io::Error) -> Error {
    Error::file(library, format!("no expert can be written here: {}", write_reason(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_an_expert_from_being_written_is_said_once() {
        let said = |kind: std::io::ErrorKind| unwritable(Path::new("lib"), &kind.into()).to_string();
        let denied = said(std::io::ErrorKind::PermissionDenied);
        assert_eq!(denied, "lib: no expert can be written here: permission denied");
        let error = Claim::take_again(Path::new("/no/such/library"), "a").unwrap_err().to_string();
        assert!(error.starts_with("/no/such/library: no expert can be written here: No such"), "{error}");
    }

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

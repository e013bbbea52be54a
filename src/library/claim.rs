//! One new expert a name: claimed before the work, so that none is done for nothing.

use std::path::{Path, PathBuf};

use super::write::expert_path;
use super::{check_new_name, state_dir};
use crate::outside::{Lock, TEMPORARY, UnfinishedFolder, io_reason, make_folders, sweep};
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
        UnfinishedFolder::new_in(library, TEMPORARY)
            .map_err(|e| Error::file(library, format!("no expert can be written here: {}", io_reason(&e))))?;
        sweep(library);
        let state = state_dir(library)?;
        sweep(&state);
        let folder = state.join("training");
        make_folders(&folder)?;
        match Lock::take(&folder.join(format!("{name}.lock")))? {
            Some(lock) => Ok(Self { path, _lock: lock }),
            None => Err(Error::file(path, "is being made already: choose another name")),
        }
    }
}

/// Why no expert can be written into a library, as far as that is known without trying; `None` where it may be.
pub fn write_refusal(library: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let refused = accessat(CWD, library, Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty()).err()?;
        let reason = std::io::Error::from(refused).kind();
        // One that is not there is another matter.
        (reason != std::io::ErrorKind::NotFound).then(|| reason.to_string())
    }
    #[cfg(not(unix))]
    {
        let metadata = std::fs::metadata(library).ok()?;
        metadata.permissions().readonly().then(|| "read-only".into())
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

    #[test]
    fn a_library_that_may_be_written_is_not_refused() {
        let library = tempfile::tempdir().unwrap();
        assert_eq!(write_refusal(library.path()), None);
        assert_eq!(write_refusal(&library.path().join("absent")), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
            // Root may even so.
            let refused = tempfile::tempdir_in(library.path()).is_err();
            assert_eq!(write_refusal(library.path()), refused.then(|| "permission denied".to_string()));
            std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

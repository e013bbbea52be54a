//! What may be done to a folder.

use std::path::Path;

use crate::error::system_reason;

/// Why nothing can be written into a folder, as far as that is known without trying; `None` where it may be, or where
/// there is no such folder.
pub fn write_refusal(folder: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let refused = accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty()).err()?;
        let reason = std::io::Error::from(refused).kind();
        // One that is not there is another matter.
        (reason != std::io::ErrorKind::NotFound).then(|| write_reason(&reason.into()))
    }
    #[cfg(not(unix))]
    {
        let metadata = std::fs::metadata(folder).ok()?;
        metadata.permissions().readonly().then(|| "read-only".into())
    }
}

/// The reason why something could not be written, in few words.
pub fn write_reason(error: &std::io::Error) -> String {
    match error.kind() {
        kind @ std::io::ErrorKind::PermissionDenied => kind.to_string(),
        _ => system_reason(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_may_be_written_is_not_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write_refusal(folder.path()), None);
        assert_eq!(write_refusal(&folder.path().join("absent")), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
            // Root may even so.
            let refused = tempfile::tempdir_in(folder.path()).is_err();
            assert_eq!(write_refusal(folder.path()), refused.then(|| "permission denied".to_string()));
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

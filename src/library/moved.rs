//! Paths that were written down before a library moved.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// Where `path` lies now that the folder `old` is `new`: below it, or where it was seen from it. What is not there
/// stays as it was written.
pub(crate) fn moved(path: &Path, old: &Path, new: &Path) -> PathBuf {
    if let Ok(inside) = path.strip_prefix(old) {
        return if inside.as_os_str().is_empty() { new.into() } else { new.join(inside) };
    }
    if path.exists() {
        return path.into();
    }
    let there = relative(path, old).map(|from_old| new.join(from_old)).filter(|there| there.exists());
    there.and_then(|there| there.canonicalize().ok()).unwrap_or_else(|| path.into())
}

/// The way from the folder `from` to `path`, both absolute; `None` where they have no folder in common but the root.
pub(crate) fn relative(path: &Path, from: &Path) -> Option<PathBuf> {
    let mut steps = PathBuf::new();
    for above in from.ancestors() {
        if let Ok(rest) = path.strip_prefix(above) {
            let names = above.components().any(|part| matches!(part, Component::Normal(_)));
            return names.then(|| steps.join(rest));
        }
        steps.push("..");
    }
    None
}

/// The real path of a folder that may not exist yet.
///
/// # Errors
/// When there is no working directory.
pub(crate) fn real_of(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(|e| Error::io(path, e))?;
    for place in path.ancestors() {
        if let Ok(real) = place.canonicalize() {
            let rest = path.strip_prefix(place).unwrap_or(Path::new(""));
            return Ok(if rest == Path::new("") { real } else { real.join(rest) });
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_a_folder_that_moved() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (old, new) = (root.join("old/library"), root.join("new/library"));
        std::fs::create_dir_all(&new).unwrap();
        std::fs::create_dir(root.join("new/tasks")).unwrap();
        std::fs::create_dir(root.join("kept")).unwrap();
        assert_eq!(moved(&old, &old, &new), new);
        assert_eq!(moved(&old.join("a/b"), &old, &new), new.join("a/b"));
        // What moved along, what did not, and what is nowhere.
        assert_eq!(moved(&root.join("old/tasks"), &old, &new), root.join("new/tasks"));
        assert_eq!(moved(&root.join("kept"), &old, &new), root.join("kept"));
        assert_eq!(moved(&root.join("old/gone"), &old, &new), root.join("old/gone"));
        assert_eq!(relative(Path::new("/a/b/c"), Path::new("/a/d/e")).unwrap(), Path::new("../../b/c"));
        assert_eq!(relative(Path::new("/x"), Path::new("/a/b")), None);
    }
}

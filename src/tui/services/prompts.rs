//! The prompts that a person tried, in the user's state directory: all libraries share them.

use std::path::{Path, PathBuf};

use crate::outside::{Lock, make_folders, own};
use crate::text::counted;
use crate::{Error, Result};

/// Prompts that are kept, at most; the oldest go first.
const MOST: usize = 200;

/// The largest prompt that is kept, in bytes.
const LARGEST: usize = 16 * 1024;

/// The largest file that is read: all prompts at their largest, with what JSON adds.
const FILE: u64 = (MOST * LARGEST * 2) as u64;

/// Where they are; `None` without a home directory.
pub fn place() -> Option<PathBuf> {
    let directories = directories::ProjectDirs::from("", "", "lora-tui")?;
    let folder = directories.state_dir().unwrap_or_else(|| directories.data_local_dir());
    Some(folder.join("prompts.json"))
}

/// The prompts in a file, the newest first; none where there is no file.
///
/// # Errors
/// A file that cannot be read or is no list of prompts.
pub fn read(path: &Path) -> Result<Vec<String>> {
    let Some(bytes) = own::read(path, FILE)? else { return Ok(Vec::new()) };
    let mut prompts: Vec<String> = serde_json::from_slice(&bytes)
        .map_err(|e| Error::file(path, format!("is no list of prompts ({e}); remove it")))?;
    prompts.retain(|prompt| prompt.len() <= LARGEST);
    prompts.truncate(MOST);
    Ok(prompts)
}

/// Puts a prompt before all others and returns them. One that is there already moves; what several sessions add at once
/// is all kept.
///
/// # Errors
/// A prompt that is too long to be kept; as [`read`]; where nothing can be written.
pub fn remember(path: &Path, prompt: &str) -> Result<Vec<String>> {
    if prompt.len() > LARGEST {
        let bytes = counted(LARGEST, "byte");
        return Err(Error::usage(format!(
            "the prompt is not kept among those tried: it has more than {bytes}"
        )));
    }
    if let Some(folder) = path.parent() {
        make_folders(folder)?;
    }
    let _lock = Lock::wait(&path.with_extension("lock"))?;
    let mut prompts = read(path)?;
    prompts.retain(|other| other != prompt);
    prompts.insert(0, prompt.to_string());
    prompts.truncate(MOST);
    let text = serde_json::to_vec(&prompts).map_err(|e| Error::msg(e.to_string()))?;
    own::replace(path, &text)?;
    Ok(prompts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_kept_newest_first_once_and_not_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state").join("prompts.json");
        assert!(read(&path).unwrap().is_empty());
        for prompt in ["one", "two\nlines", "one"] {
            remember(&path, prompt).unwrap();
        }
        assert_eq!(read(&path).unwrap(), ["one", "two\nlines"]);
        for i in 0..MOST {
            remember(&path, &i.to_string()).unwrap();
        }
        let kept = read(&path).unwrap();
        assert_eq!((kept.len(), kept[0].as_str(), kept[MOST - 1].as_str()), (MOST, "199", "0"));
        let error = remember(&path, &"x".repeat(LARGEST + 1)).unwrap_err().to_string();
        assert!(error.contains("not kept"), "{error}");
        assert_eq!(read(&path).unwrap().len(), MOST);
    }

    #[test]
    fn a_file_that_is_no_list_is_named_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prompts.json");
        std::fs::write(&path, "{}").unwrap();
        for error in [read(&path).unwrap_err(), remember(&path, "x").unwrap_err()] {
            assert!(error.to_string().contains("prompts.json") && error.to_string().contains("remove it"));
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
    }

    #[test]
    fn what_several_sessions_add_at_once_is_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("prompts.json");
        std::thread::scope(|scope| {
            for session in 0..4 {
                scope.spawn(move || {
                    (0..5).for_each(|i| drop(remember(path, &format!("{session} {i}")).unwrap()))
                });
            }
        });
        assert_eq!(read(path).unwrap().len(), 20);
    }
}

//! The prompts that a person tried, in the user's state directory: all libraries share them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::outside::{Lock, make_folders, own};
use crate::text::counted;
use crate::tui::TriedPrompt;
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

/// A prompt in the file: its text alone, or with what else is known of it.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Entry {
    Plain(String),
    Marked { prompt: String, favourite: bool },
}

impl From<Entry> for TriedPrompt {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Plain(text) => Self { text, favourite: false },
            Entry::Marked { prompt, favourite } => Self { text: prompt, favourite },
        }
    }
}

impl From<&TriedPrompt> for Entry {
    fn from(TriedPrompt { text, favourite }: &TriedPrompt) -> Self {
        match favourite {
            false => Self::Plain(text.clone()),
            true => Self::Marked { prompt: text.clone(), favourite: true },
        }
    }
}

/// The prompts in a file, the newest first; none where there is no file.
///
/// # Errors
/// A file that cannot be read or is no list of prompts.
pub fn read(path: &Path) -> Result<Vec<TriedPrompt>> {
    let Some(bytes) = own::read(path, FILE)? else { return Ok(Vec::new()) };
    let entries: Vec<Entry> = serde_json::from_slice(&bytes)
        .map_err(|e| Error::file(path, format!("is no list of prompts ({e}); remove it")))?;
    let mut prompts: Vec<TriedPrompt> = entries.into_iter().map(TriedPrompt::from).collect();
    prompts.retain(|prompt| prompt.text.len() <= LARGEST);
    drop_oldest(&mut prompts);
    Ok(prompts)
}

/// Leaves as many as are kept: the oldest go first, favourites last.
fn drop_oldest(prompts: &mut Vec<TriedPrompt>) {
    while prompts.len() > MOST {
        let oldest = prompts.iter().rposition(|prompt| !prompt.favourite).unwrap_or(prompts.len() - 1);
        prompts.remove(oldest);
    }
}

/// Puts a prompt before all others and returns them. One that is there already moves; what several sessions add at once
/// is all kept.
///
/// # Errors
/// A prompt that is too long to be kept; as [`read`]; where nothing can be written.
pub fn remember(path: &Path, prompt: &str) -> Result<Vec<TriedPrompt>> {
    change(path, prompt, |prompts| {
        let same = |other: &TriedPrompt| other.text == prompt;
        let favourite = prompts.iter().any(|other| same(other) && other.favourite);
        prompts.retain(|other| !same(other));
        prompts.insert(0, TriedPrompt { text: prompt.to_string(), favourite });
    })
}

/// Makes a prompt a favourite, or no longer, and returns all; one that is not there yet is put before all others.
///
/// # Errors
/// As [`remember`].
pub fn favour(path: &Path, prompt: &str, favourite: bool) -> Result<Vec<TriedPrompt>> {
    change(path, prompt, |prompts| match prompts.iter_mut().find(|other| other.text == prompt) {
        Some(found) => found.favourite = favourite,
        None => prompts.insert(0, TriedPrompt { text: prompt.to_string(), favourite }),
    })
}

fn change(path: &Path, prompt: &str, change: impl FnOnce(&mut Vec<TriedPrompt>)) -> Result<Vec<TriedPrompt>> {
    if prompt.len() > LARGEST {
        let bytes = counted(LARGEST, "byte");
        return Err(Error::usage(format!(
            "the prompt is not kept among those tried: it has more than {bytes}"
        )));
    }
    if let Some(folder) = path.parent() {
        make_folders(folder)?;
    }
    // Without locks, of two sessions that add one at the same moment, one is forgotten.
    let _lock = Lock::wait_where_possible(&path.with_extension("lock"))?;
    let mut prompts = read(path)?;
    change(&mut prompts);
    drop_oldest(&mut prompts);
    let entries: Vec<Entry> = prompts.iter().map(Entry::from).collect();
    let text = serde_json::to_vec(&entries).map_err(|e| Error::msg(e.to_string()))?;
    own::replace(path, &text)?;
    Ok(prompts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(prompts: &[TriedPrompt]) -> Vec<&str> {
        prompts.iter().map(|prompt| prompt.text.as_str()).collect()
    }

    #[test]
    fn a_favourite_stays_one_and_is_never_dropped_for_newer_prompts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prompts.json");
        // Files of earlier versions have texts alone.
        std::fs::write(&path, r#"["one", "two"]"#).unwrap();
        let found = favour(&path, "two", true).unwrap();
        assert_eq!(texts(&found), ["one", "two"], "its place stays");
        assert!(found[1].favourite && !found[0].favourite);
        favour(&path, "never tried", true).unwrap();
        (0..MOST).for_each(|i| drop(remember(&path, &i.to_string()).unwrap()));
        let kept = read(&path).unwrap();
        assert_eq!(kept.len(), MOST);
        let favourites: Vec<&str> =
            kept.iter().filter(|prompt| prompt.favourite).map(|prompt| prompt.text.as_str()).collect();
        assert_eq!(favourites, ["never tried", "two"]);
        // Tried again it is the newest, and still a favourite, until it no longer is.
        let found = remember(&path, "two").unwrap();
        assert!(found[0].text == "two" && found[0].favourite);
        assert!(!favour(&path, "two", false).unwrap()[0].favourite);
    }

    #[test]
    fn prompts_are_kept_newest_first_once_and_not_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state").join("prompts.json");
        assert!(read(&path).unwrap().is_empty());
        for prompt in ["one", "two\nlines", "one"] {
            remember(&path, prompt).unwrap();
        }
        assert_eq!(texts(&read(&path).unwrap()), ["one", "two\nlines"]);
        for i in 0..MOST {
            remember(&path, &i.to_string()).unwrap();
        }
        let kept = read(&path).unwrap();
        assert_eq!((kept.len(), kept[0].text.as_str(), kept[MOST - 1].text.as_str()), (MOST, "199", "0"));
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

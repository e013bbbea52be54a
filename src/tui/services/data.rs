//! Looks at the data that is typed for a training.

use std::path::Path;
use std::time::Duration;

use crate::settings::path_of;
use crate::train::{Dataset, TrainSpec};
use crate::tui::{DataMessage, DataSummary, Sender};
use crate::{Cancel, Result};

/// How long typing must pause before the disk is looked at.
const PAUSE: Duration = Duration::from_millis(120);
/// Candidates given at most.
const CANDIDATES: usize = 200;

/// Reads the dataset at `path`, unless typing continues, and says what is in it or what is wrong with it.
pub fn check(path: String, send: &Sender, cancel: &Cancel) {
    std::thread::sleep(PAUSE);
    if cancel.is_cancelled() {
        return;
    }
    let result = summary(&path_of(&path)).map_err(|error| error.to_string());
    if !cancel.is_cancelled() {
        send.send(DataMessage::Checked { path, result });
    }
}

/// Folders and `.jsonl` files, or YAML, whose path begins with `text`, as whole paths in the style of `text`, sorted.
pub fn complete(text: &str, yaml: bool) -> Vec<String> {
    let endings = if yaml { &[".yaml", ".yml"][..] } else { &[".jsonl"] };
    let (folder, start) = match text.rfind('/') {
        Some(slash) => text.split_at(slash + 1),
        None => ("", text),
    };
    let on_disk = if folder.is_empty() { Path::new(".").to_path_buf() } else { path_of(folder) };
    let Ok(entries) = std::fs::read_dir(on_disk) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !start.starts_with('.');
            // Names with control characters cannot be typed.
            if hidden || !name.starts_with(start) || name.chars().any(char::is_control) {
                return None;
            }
            // Follows links.
            let is_folder = std::fs::metadata(entry.path()).ok()?.is_dir();
            match is_folder {
                true => Some(format!("{folder}{name}/")),
                false => endings.iter().any(|end| name.ends_with(end)).then(|| format!("{folder}{name}")),
            }
        })
        .collect();
    found.sort();
    found.truncate(CANDIDATES);
    found
}

/// What a training on `path` would start from.
fn summary(path: &Path) -> Result<DataSummary> {
    let mut data = Dataset::load_for_training(path)?;
    data.ensure_validation(TrainSpec::default().seed);
    Ok(DataSummary { train: data.train.len(), validation: data.validation.len(), task: data.task.id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_folders_and_data_files_only() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["past-tense", "plurals", ".hidden"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("pairs.jsonl"), "").unwrap();
        std::fs::write(dir.path().join("pairs.txt"), "").unwrap();
        let root = dir.path().to_str().unwrap();
        let under = |names: &[&str]| names.iter().map(|n| format!("{root}/{n}")).collect::<Vec<_>>();
        assert_eq!(complete(&format!("{root}/pa"), false), under(&["pairs.jsonl", "past-tense/"]));
        assert_eq!(complete(&format!("{root}/"), false), under(&["pairs.jsonl", "past-tense/", "plurals/"]));
        assert_eq!(complete(&format!("{root}/nowhere/x"), false), Vec::<String>::new());
        std::fs::write(dir.path().join("piqa.yaml"), "").unwrap();
        assert_eq!(complete(&format!("{root}/p"), true), under(&["past-tense/", "piqa.yaml", "plurals/"]));
    }

    #[test]
    fn says_how_much_there_is_or_which_line_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let good = "{\"instruction\": \"Say a.\", \"input\": \"\", \"output\": \"a\"}\n";
        std::fs::write(dir.path().join("train.jsonl"), good.repeat(3)).unwrap();
        std::fs::write(dir.path().join("validation.jsonl"), good).unwrap();
        let found = summary(dir.path()).unwrap();
        assert_eq!((found.train, found.validation), (3, 1));
        let single = dir.path().join("single.jsonl");
        std::fs::write(&single, good.repeat(40)).unwrap();
        let found = summary(&single).unwrap();
        assert_eq!((found.train, found.validation, found.task.as_str()), (38, 2, "single"));
        std::fs::write(dir.path().join("train.jsonl"), format!("{good}{{oops\n")).unwrap();
        let error = summary(dir.path()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}

//! Prompts to begin with: the first test example of some experts' own tasks.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::library::{Expert, Library};

/// How many to show.
const WANTED: usize = 4;

/// No line of a dataset that is fit for an example is longer.
const MAX_LINE: u64 = 16 * 1024;

/// Prompts from the datasets that the experts' provenance names, where they can be read: one a family as
/// far as there are families, never more than [`WANTED`]. Nothing is an error here.
pub fn from_tasks(library: &Library) -> Vec<String> {
    let mut families: Vec<Option<&str>> = Vec::new();
    let mut first = Vec::new();
    let mut others = Vec::new();
    for expert in library.usable() {
        let family = expert.provenance.as_ref().and_then(|p| p.family.as_deref());
        if family.is_some() && !families.contains(&family) {
            families.push(family);
            first.push(expert);
        } else {
            others.push(expert);
        }
    }
    let mut prompts: Vec<String> = Vec::new();
    for expert in first.into_iter().chain(others) {
        if prompts.len() == WANTED {
            break;
        }
        if let Some(prompt) = example(library, expert)
            && !prompts.contains(&prompt)
        {
            prompts.push(prompt);
        }
    }
    prompts
}

fn example(library: &Library, expert: &Expert) -> Option<String> {
    let dataset = expert.provenance.as_ref()?.dataset.as_deref()?;
    candidates(&library.root, Path::new(dataset)).iter().find_map(|path| first_prompt(path))
}

/// Where a dataset named in a provenance may be: as given, and beside the library.
fn candidates(root: &Path, dataset: &Path) -> Vec<PathBuf> {
    let mut places = vec![dataset.to_path_buf()];
    if dataset.is_relative() {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
        places.extend(root.ancestors().take(2).map(|place| place.join(dataset)));
    }
    places.into_iter().flat_map(|place| [place.join("test.jsonl"), place]).collect()
}

/// Instruction and input of the first line.
fn first_prompt(path: &Path) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    let mut line = String::new();
    BufReader::new(File::open(path).ok()?.take(MAX_LINE)).read_line(&mut line).ok()?;
    let value: serde_json::Value = serde_json::from_str(&line).ok()?;
    let field = |name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or_default().trim();
    let prompt = [field("instruction"), field("input")].join("\n").trim().to_string();
    (!prompt.is_empty() && prompt.len() <= 400).then_some(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_example_beside_the_library() {
        let dir = tempfile::tempdir().unwrap();
        let task = dir.path().join("tasks/plural");
        std::fs::create_dir_all(&task).unwrap();
        std::fs::create_dir_all(dir.path().join("library")).unwrap();
        std::fs::write(
            task.join("test.jsonl"),
            "{\"instruction\":\"Plural of?\",\"input\":\"fox\",\"output\":\"foxes\"}\n{\"instruction\":\"x\"}\n",
        )
        .unwrap();
        let places = candidates(&dir.path().join("library"), Path::new("tasks/plural"));
        assert_eq!(places.iter().find_map(|p| first_prompt(p)).as_deref(), Some("Plural of?\nfox"));
    }

    #[test]
    fn broken_datasets_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.jsonl");
        for text in ["", "not json\n", "[1]\n", "{\"instruction\":\"\"}\n", "{\"instruction\":7}\n"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(first_prompt(&file), None, "{text:?}");
        }
        std::fs::write(&file, format!("{{\"instruction\":\"{}\"}}", "long ".repeat(1000))).unwrap();
        assert_eq!(first_prompt(&file), None);
        assert_eq!(first_prompt(dir.path()), None);
    }
}

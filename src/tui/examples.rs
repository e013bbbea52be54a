//! Prompts to begin with: a few of our own, and the first test example of some experts' own tasks.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::library::{Expert, Library};
use crate::outside::open_regular;
use crate::train::dataset_places;

/// How many to show.
const WANTED: usize = 4;

/// No line of a dataset that is fit for an example is longer.
const MAX_LINE: u64 = 16 * 1024;

/// Used until the experts' own tasks are known.
pub fn defaults() -> Vec<String> {
    [
        "Convert the date to ISO 8601.\nJune 14, 1943",
        "Rewrite this snake_case identifier in camelCase.\nmain_batch_date",
        "Is this review positive or negative?\nThe soup was cold and the waiter was rude.",
    ]
    .map(String::from)
    .to_vec()
}

/// Prompts from the datasets that the experts' provenance names, where they can be read: one per family as
/// far as there are families, never more than [`WANTED`]. Nothing is an error here.
pub fn of_tasks(library: &Library) -> Vec<String> {
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
        if let Some(prompt) = example(&library.root, expert)
            && !prompts.contains(&prompt)
        {
            prompts.push(prompt);
        }
    }
    prompts
}

/// The first prompt of an expert's data; of a joint expert's, that of the first dataset with one.
fn example(root: &Path, expert: &Expert) -> Option<String> {
    let dataset = expert.provenance.as_ref()?.dataset.as_deref()?;
    let mut places = dataset_places(root, dataset).into_iter().flatten();
    places.find_map(|place| first_prompt(&place.join("test.jsonl")).or_else(|| first_prompt(&place)))
}

/// Instruction and input of the first line.
fn first_prompt(path: &Path) -> Option<String> {
    let mut line = String::new();
    BufReader::new(open_regular(path).ok()?.0.take(MAX_LINE)).read_line(&mut line).ok()?;
    let value: serde_json::Value = serde_json::from_str(&line).ok()?;
    let field = |name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or_default().trim();
    let prompt = [field("instruction"), field("input")].join("\n").trim().to_string();
    (!prompt.is_empty() && prompt.len() <= 400).then_some(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Provenance;

    #[test]
    fn the_first_example_beside_the_library_is_read_for_joint_experts_too() {
        let dir = tempfile::tempdir().unwrap();
        let task = dir.path().join("tasks/plural");
        let library = dir.path().join("library");
        std::fs::create_dir_all(&task).unwrap();
        std::fs::create_dir_all(&library).unwrap();
        std::fs::write(
            task.join("test.jsonl"),
            "{\"instruction\":\"Plural of?\",\"input\":\"fox\",\"output\":\"foxes\"}\n{\"instruction\":\"x\"}\n",
        )
        .unwrap();
        let of = |dataset: &str| {
            let provenance = Provenance { dataset: Some(dataset.into()), ..Provenance::default() };
            example(&library, &Expert { provenance: Some(provenance), ..Expert::default() })
        };
        for dataset in
            ["tasks/plural", "tasks/plural/test.jsonl", "tasks/plural, tasks/gone", "gone, tasks/plural"]
        {
            assert_eq!(of(dataset).as_deref(), Some("Plural of?\nfox"), "{dataset}");
        }
        assert_eq!(of("tasks/gone"), None);
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

//! The shipped library and the authored tasks as they are in the repository, without the base model.

use std::collections::BTreeSet;

use lora_tui::library::{Library, Provenance};
use lora_tui::train::{Dataset, find_tasks, known_hashes};

use crate::support::{json, repository};

#[test]
fn every_expert_stands_and_mbc_finds_the_families() {
    let list = json(&["ls", "library"]);
    let experts = list["experts"].as_array().unwrap();
    assert_eq!(experts.len(), 12);
    assert!(experts.iter().all(|e| e["status"] == "ok"), "{list}");
    let clusters = json(&["cluster", "library", "--k", "4"]);
    let label = |name: &str| {
        let at = clusters["experts"].as_array().unwrap().iter().position(|e| e == name).unwrap();
        clusters["labels"][at].as_u64().unwrap()
    };
    for a in experts {
        for b in experts {
            let together = label(a["name"].as_str().unwrap()) == label(b["name"].as_str().unwrap());
            assert_eq!(together, a["family"] == b["family"], "{} and {}", a["name"], b["name"]);
        }
    }
}

#[test]
fn every_authored_task_is_read_and_no_expert_was_trained_on_one_that_is_held_out() {
    let list = json(&["ls", "library"]);
    let trained: Vec<&str> =
        list["experts"].as_array().unwrap().iter().map(|e| e["task"].as_str().unwrap()).collect();
    let folders = find_tasks(&repository().join("assets/tasks")).unwrap();
    let mut held_out = 0;
    for folder in &folders {
        let data = Dataset::load(folder).unwrap();
        assert_eq!((data.validation.len(), data.test.len()), (100, 200), "{}", data.task.id);
        assert_eq!(folder.parent().unwrap().file_name().unwrap().to_str(), data.task.family.as_deref());
        assert!(!data.task.held_out || !trained.contains(&data.task.id.as_str()), "{}", data.task.id);
        held_out += usize::from(data.task.held_out);
    }
    assert!(folders.len() >= 36 && held_out >= 8, "{} tasks, {held_out} held out", folders.len());
}

#[test]
fn the_experts_of_clusters_know_every_task_once_and_none_that_is_held_out() {
    let list = json(&["ls", "assets/mbc"]);
    let experts = list["experts"].as_array().unwrap();
    assert!(experts.len() == 9 && experts.iter().all(|expert| expert["status"] == "ok"), "{list}");
    let library = Library::open(&repository().join("assets/mbc")).unwrap();
    let provenances: Vec<&Provenance> =
        library.experts.iter().map(|expert| expert.provenance.as_ref().unwrap()).collect();
    assert_eq!(provenances.iter().map(|one| one.tasks.len()).sum::<usize>(), 30);
    let learned: BTreeSet<&str> = library
        .experts
        .iter()
        .flat_map(|expert| expert.learned())
        .filter_map(|one| one.dataset_sha256)
        .collect();
    let mut count = 0;
    for folder in find_tasks(&repository().join("assets/tasks")).unwrap() {
        let data = Dataset::load(&folder).unwrap();
        let hashes = known_hashes(&data.train);
        let is_known = hashes.iter().any(|hash| learned.contains(hash.as_str()));
        assert_eq!(is_known, !data.task.held_out, "{}", data.task.id);
        count += usize::from(is_known);
    }
    assert_eq!(count, 30);
}

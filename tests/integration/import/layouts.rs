//! Folders as the hub, its cache and the datasets library keep them.

use std::collections::BTreeMap;
use std::fs;

use super::{Desk, counts, fixture, run};

const PAIR: &str = "{\"prompt\":\"p\",\"completion\":\"c\"}\n";

/// Rows with different prompts.
fn pairs(from: usize, count: usize) -> String {
    (from..from + count).map(|i| PAIR.replace("\"p\"", &format!("\"p{i}\""))).collect()
}

#[test]
fn a_flat_collection_becomes_a_task_per_name() {
    let desk = Desk::new();
    let report = run(&desk.spec(fixture("flan"))).unwrap();
    // 100 rows each, split by their column: 3 of 5 train.
    assert_eq!(counts(&report), [("glue_cola_2_0_0", 60, 20, 20), ("wiki_bio_who", 60, 20, 20)]);
    assert_eq!((report.rows, report.kept, report.files), (200, 200, 2));
    assert_eq!(report.tasks[0].name, "glue/cola:2.0.0");
    let lines = desk.lines("flan/wiki_bio_who", "train");
    assert_eq!(lines[0]["instruction"], "Question 1 of wiki-bio.who?");
    // The order is the source's.
    let numbers: Vec<u32> = lines
        .iter()
        .map(|line| line["instruction"].as_str().unwrap().split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert!(numbers.is_sorted());
}

#[test]
fn mttl_splits_by_the_number_of_a_row_in_its_task() {
    let desk = Desk::new();
    let mut spec = desk.spec(fixture("flan"));
    spec.split_rule = "mttl".parse().unwrap();
    let report = run(&spec).unwrap();
    let uniform: Vec<(u32, f64)> =
        serde_json::from_slice(&fs::read(fixture("random_state.json")).unwrap()).unwrap();
    let uniform: BTreeMap<u32, f64> = uniform.into_iter().collect();
    for (split, from, to) in [("train", 0.0, 0.8), ("validation", 0.8, 0.9), ("test", 0.9, 1.0)] {
        // Rows of the second task are every other one of the source.
        let expected: Vec<String> = (0..100)
            .filter(|i| (from..to).contains(&uniform[i]))
            .map(|i| format!("Question {} of wiki-bio.who?", 2 * i + 1))
            .collect();
        let found: Vec<String> = desk
            .lines("flan/wiki_bio_who", split)
            .iter()
            .map(|line| line["instruction"].as_str().unwrap().to_string())
            .collect();
        assert_eq!(found, expected, "{split}");
    }
    assert_eq!(report.kept, 200);
    // A cap takes the first rows.
    let desk = Desk::new();
    let mut spec = desk.spec(fixture("flan"));
    (spec.split_rule, spec.caps.rows) = ("mttl".parse().unwrap(), 10);
    let report = run(&spec).unwrap();
    assert_eq!((report.kept, report.tasks[1].dropped.words().as_str()), (20, "90 over the cap"));
}

#[test]
fn files_and_folders_name_splits_and_tasks() {
    let desk = Desk::new();
    for (i, name) in
        ["a/train.jsonl", "a/dev.jsonl", "a/test.jsonl", "b_train.jsonl", "b_test.jsonl"].iter().enumerate()
    {
        desk.write(name, pairs(100 * i, 20));
    }
    desk.write("notes.txt", "no rows");
    let report = run(&desk.spec(desk.source())).unwrap();
    // The second one's validation rows come out of its training rows.
    assert_eq!(counts(&report), [("a", 20, 20, 20), ("b", 18, 2, 20)]);
    assert!(desk.out().join("source/a/task.toml").is_file());
    // A file alone is what it would be in its folder.
    for (name, expected) in [("a/test.jsonl", ("a", 0, 0, 20)), ("b_train.jsonl", ("b", 16, 2, 2))] {
        let mut spec = desk.spec(desk.source().join(name));
        spec.out = desk.out().join("alone").join(name);
        assert_eq!(counts(&run(&spec).unwrap()), [expected]);
    }
}

#[test]
fn a_card_names_configurations_licence_and_files() {
    let desk = Desk::new();
    desk.write(
        "README.md",
        "---\nlicense: cc-by-4.0\nconfigs:\n- config_name: one\n  data_files:\n  - split: train\n    path: one/x-*\n  - split: test\n    path: one/held.jsonl\n- config_name: two\n  data_files: two/**\n---\n# A dataset\n",
    );
    desk.write("one/x-0.jsonl", pairs(0, 20));
    desk.write("one/x-1.jsonl", pairs(20, 20));
    desk.write("one/held.jsonl", pairs(100, 5));
    desk.write("two/deep/all.jsonl", pairs(200, 10));
    desk.write("stray.jsonl", pairs(300, 10));
    let mut spec = desk.spec(desk.source());
    let report = run(&spec).unwrap();
    assert_eq!(counts(&report), [("one", 36, 4, 5), ("two", 8, 1, 1)]);
    assert_eq!(report.licence.as_deref(), Some("cc-by-4.0"));
    let text = fs::read_to_string(desk.out().join("source/one/task.toml")).unwrap();
    assert!(text.contains("licence = \"cc-by-4.0\"") && text.contains("source = \"source\""), "{text}");
    // One of them, into the same folder under another name.
    (spec.configs, spec.family) = (vec!["two".into()], Some("other".into()));
    assert_eq!(counts(&run(&spec).unwrap()), [("two", 8, 1, 1)]);
    spec.configs = vec!["three".into()];
    let error = run(&spec).unwrap_err().to_string();
    assert!(error.contains("no configuration \"three\"; it has one, two"), "{error}");
}

#[test]
fn json_beside_rows_of_another_kind_may_be_something_else() {
    let desk = Desk::new();
    desk.write("rows.csv", "question,answer\na,b\n");
    desk.write("config.json", "{\"version\": 3,\n\"x\": {}}");
    let report = run(&desk.spec(desk.source())).unwrap();
    assert_eq!((report.kept, report.warnings.len()), (1, 1));
    assert!(report.warnings[0].contains("left out: ") && report.warnings[0].contains("config.json"));
}

#[cfg(unix)]
#[test]
fn the_cache_of_the_hub_is_read_through_its_links() {
    let desk = Desk::new();
    let root = "datasets--owner--name";
    desk.write(&format!("{root}/blobs/0123"), pairs(0, 20));
    desk.write(&format!("{root}/refs/main"), "abc123");
    for revision in ["abc123", "old000"] {
        let file = desk.write(&format!("{root}/snapshots/{revision}/data/train.jsonl"), "");
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("../../../blobs/0123", &file).unwrap();
    }
    let folder = desk.source().join(root);
    let report = run(&desk.spec(&folder)).unwrap();
    assert_eq!(counts(&report), [("name", 16, 2, 2)]);
    assert_eq!(report.origin.as_deref(), Some("owner/name@abc123"));
    let task = lora_tui::train::Dataset::load(&desk.out().join("name/name")).unwrap().task;
    assert_eq!(task.source.as_deref(), Some("owner/name@abc123"));
    // Without that file nobody knows which is meant.
    fs::remove_file(folder.join("refs/main")).unwrap();
    let error = run(&desk.spec(&folder)).unwrap_err().to_string();
    assert!(error.contains("several snapshots"), "{error}");
}

#[test]
fn saved_folders_lead_nowhere_else() {
    let desk = Desk::new();
    desk.write("state.json", r#"{"_data_files":[{"filename":"../../etc/passwd"}]}"#);
    let error = super::problem(&desk, &desk.spec(desk.source()));
    assert!(error.contains("state.json") && error.contains("no file or folder beside it"), "{error}");
}

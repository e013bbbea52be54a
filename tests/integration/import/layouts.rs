//! Folders as the hub, its cache and the datasets library keep them.

use std::collections::BTreeMap;
use std::fs;

use super::{Desk, counts, fixture, run, texts};

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

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_errors() {
    let desk = Desk::new();
    let root = "datasets--own--broken";
    desk.write(&format!("{root}/blobs/0123"), pairs(0, 20));
    let folder = desk.source().join(root).join("snapshots/abc/data");
    fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("../../../blobs/0123", folder.join("train.jsonl")).unwrap();
    std::os::unix::fs::symlink("../../../blobs/4567", folder.join("test.jsonl")).unwrap();
    let error = super::problem(&desk, &desk.spec(desk.source().join(root)));
    assert!(error.contains("data/test.jsonl: is a link that leads nowhere"), "{error}");
    // The folder of the snapshot itself is the same dataset.
    fs::remove_file(folder.join("test.jsonl")).unwrap();
    let report = run(&desk.spec(folder.parent().unwrap())).unwrap();
    assert_eq!(
        (report.origin.as_deref(), counts(&report)),
        (Some("own/broken@abc"), vec![("broken", 16, 2, 2)])
    );
    let mut spec = desk.spec(folder.join("train.jsonl"));
    spec.family = Some("file".into());
    let report = run(&spec).unwrap();
    assert_eq!(
        (report.origin.as_deref(), counts(&report)),
        (Some("own/broken@abc"), vec![("broken", 16, 2, 2)])
    );
}

#[cfg(unix)]
#[test]
fn every_folder_is_read_once() {
    let desk = Desk::new();
    desk.write("loop/train.jsonl", pairs(0, 20));
    desk.write("loop/a/b/train.jsonl", pairs(100, 20));
    desk.write("beside/train.jsonl", pairs(200, 20));
    let root = desk.source().join("loop");
    for (to, from) in
        [("..", "a/up"), ("../..", "a/above"), ("a/b", "0"), ("../beside", "far"), ("../beside", "z")]
    {
        std::os::unix::fs::symlink(to, root.join(from)).unwrap();
    }
    let report = run(&desk.spec(&root)).unwrap();
    assert_eq!(counts(&report), [("a_b", 16, 2, 2), ("far", 16, 2, 2), ("loop", 16, 2, 2)]);
    // Nor is a file read twice that is there itself; a folder above another that was read takes only the rest.
    let desk = Desk::new();
    desk.write("in/a.jsonl", pairs(0, 20));
    desk.write("out/deep/b.jsonl", pairs(20, 20));
    desk.write("out/c.jsonl", pairs(40, 20));
    let root = desk.source().join("in");
    for (to, from) in
        [("a.jsonl", "copy.jsonl"), ("../out/deep", "1"), ("../out", "2"), ("../out/c.jsonl", "d.jsonl")]
    {
        std::os::unix::fs::symlink(to, root.join(from)).unwrap();
    }
    let found = run(&desk.spec(&root)).unwrap();
    let names: Vec<&str> = found.tasks.iter().map(|task| task.task.as_str()).collect();
    assert_eq!(names, ["1_b", "2_c", "a"]);
    assert_eq!(found.warnings.len(), 3, "{:?}", found.warnings);
    assert!(found.warnings[0].contains("2/deep: is a folder that is read under another name"));
    assert!(found.warnings[1].contains("copy.jsonl: is a link to a file that is read under its own name"));
    assert_eq!(report.warnings.len(), 4, "{:?}", report.warnings);
    for (warning, path) in report.warnings.iter().zip(["loop/0", "a/above", "a/up", "loop/z"]) {
        assert!(
            warning.starts_with("not read: ")
                && warning.contains(&format!("{path}: is a folder that is read")),
            "{warning}"
        );
    }
}

#[test]
fn what_may_have_rows_and_is_not_read_is_named() {
    let desk = Desk::new();
    desk.write("train.jsonl", pairs(0, 20));
    desk.write("test.jsonl.bz2", "BZh9");
    desk.write("notes.txt", "no rows");
    desk.write("1/2/3/4/5/6/7/8/9/deep.jsonl", pairs(0, 1));
    let report = run(&desk.spec(desk.source())).unwrap();
    assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
    assert!(report.warnings[0].contains("7/8/9: is more than 8 folders down"), "{}", report.warnings[0]);
    assert!(
        report.warnings[1].contains("test.jsonl.bz2: is of a kind that is not read"),
        "{}",
        report.warnings[1]
    );
    let desk = Desk::new();
    desk.write("test.jsonl.xz", "x");
    let error = super::problem(&desk, &desk.spec(desk.source()));
    assert!(error.contains("has no files of rows") && error.contains("test.jsonl.xz"), "{error}");
}

#[test]
fn classes_of_a_card_have_their_names_everywhere() {
    let card = "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n          '0': World\n          '1': Sports\n  - name: topic\n    dtype:\n      class_label:\n        names: [news, talk]\n---\n";
    let json: String = (0..40)
        .map(|i| format!("{{\"text\":\"t{i}\",\"label\":{},\"topic\":{}}}\n", i % 2, i / 20))
        .collect();
    let csv: String = (0..40).map(|i| format!("t{i},{},{}\n", i % 2, i / 20)).collect();
    for (name, rows) in [("train.jsonl", json), ("train.csv", format!("text,label,topic\n{csv}"))] {
        let desk = Desk::new();
        desk.write("README.md", card);
        desk.write(name, rows);
        let mut spec = desk.spec(desk.source());
        spec.task_column = Some("topic".into());
        let report = run(&spec).unwrap();
        assert_eq!(counts(&report), [("news", 16, 2, 2), ("talk", 16, 2, 2)], "{name}");
        assert_eq!(report.tasks[0].options, ["World", "Sports"]);
        assert_eq!(texts(&desk.all("source/news"), "output"), ["World", "Sports"].into());
        // By name, or by number.
        for value in ["World", "0"] {
            spec.filters = vec![("label".into(), value.into())];
            spec.family = Some(format!("only{value}"));
            let report = run(&spec).unwrap();
            assert_eq!((report.kept, report.filtered), (20, 20), "{name}");
        }
        // As something that is asked about.
        let desk = Desk::new();
        desk.write("README.md", card);
        let rows = fs::read(spec.source.join(name)).unwrap();
        desk.write(name, rows);
        let mut spec = desk.spec(desk.source());
        let column = |name: &str| vec![name.to_string()];
        use lora_tui::import::Role;
        spec.fields = vec![
            (Role::Instruction, column("text")),
            (Role::Input, column("topic")),
            (Role::Output, column("label")),
        ];
        run(&spec).unwrap();
        assert_eq!(texts(&desk.all("source/source"), "input"), ["news", "talk"].into());
    }
}

#[test]
fn splits_without_answers_are_named() {
    let row = |i: usize, answer: i32| {
        format!("{{\"question\":\"q{i}\",\"choices\":[\"a\",\"b\"],\"answer\":{answer}}}\n")
    };
    let desk = Desk::new();
    desk.write("train.jsonl", (0..40).map(|i| row(i, 1)).collect::<String>());
    desk.write("dev.jsonl", (100..110).map(|i| row(i, 0)).collect::<String>());
    desk.write("test.jsonl", (200..207).map(|i| row(i, -1)).collect::<String>());
    let report = run(&desk.spec(desk.source())).unwrap();
    assert_eq!((counts(&report), report.dropped.words().as_str()), (vec![("source", 36, 10, 4)], "7 empty"));
    let expected = "the test split of the task \"source\" has no answers (7 rows); test rows are taken out of its training rows";
    assert_eq!(report.warnings, [expected]);
}

#[test]
fn tasks_that_come_to_nothing_are_named() {
    // A column that numbers rows.
    let desk = Desk::new();
    let row =
        |i: usize| format!("{{\"task_id\":\"HumanEval/{i}\",\"prompt\":\"p{i}\",\"completion\":\"c\"}}\n");
    let spec = desk.spec(desk.write("a.jsonl", (0..30).map(row).collect::<String>()));
    let report = run(&spec).unwrap();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert!(report.warnings[0].contains("\"task_id\" makes 30 tasks of 30 rows"), "{}", report.warnings[0]);
    // One prompt for all.
    let desk = Desk::new();
    let row = |i: usize| format!("{{\"prompt\":\"p\",\"completion\":\"c{i}\"}}\n");
    let report = run(&desk.spec(desk.write("a.jsonl", (0..30).map(row).collect::<String>()))).unwrap();
    assert_eq!(report.tasks[0].train, 0);
    assert!(
        report.warnings[0].contains("no training row of the task \"a\" is kept"),
        "{:?}",
        report.warnings
    );
}

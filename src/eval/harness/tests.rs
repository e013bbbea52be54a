//! Tasks against lm-evaluation-harness (`tests/fixtures/make_lm_eval.py`), and files that are not understood.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::config::Config;
use super::{Data, find, load};
use crate::eval::asked_task::AskedTask;
use crate::eval::split::Split;
use crate::library::Template;
use crate::train::known_hashes;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lm_eval")
}

/// The texts of the requests of an item, as lm-eval has them.
fn requests(task: &AskedTask, at: usize) -> Value {
    let question = task.question(at).unwrap();
    let template = Template { prompt: "unused".into(), end: "unused".into() };
    let after = |text: &str| format!("{}{text}", task.wording.blank);
    let one = |choice: &String| match task.wording.contexts {
        true => json!([question.text(&template, Some(choice)), after(&question.item.output)]),
        false => json!([question.text(&template, None), after(choice)]),
    };
    match task.info.metric.chooses() {
        true => question.item.choices.iter().map(one).collect(),
        false => json!([question.text(&template, None)]),
    }
}

#[test]
fn requests_are_those_of_lm_eval() {
    let text = std::fs::read_to_string(fixture().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let (files, groups) = find(&fixture().join("tasks")).unwrap();
    assert_eq!((files.len(), groups.len()), (8, 0));
    for shots in [0, 3] {
        for file in &files {
            let tasks = load(file, Split::Test, usize::MAX, Some(shots)).unwrap();
            let of_task = &expected[shots.to_string()][&tasks[0].info.id];
            assert_eq!(of_task["metrics"].as_object().unwrap().len(), tasks.len(), "{of_task}");
            for task in &tasks {
                let items = of_task["items"].as_object().unwrap().values().next().unwrap();
                assert_eq!((items.as_array().unwrap().len(), task.shots.count()), (task.items, shots));
                for (at, item) in items.as_array().unwrap().iter().enumerate() {
                    let mut wanted = item["requests"].clone();
                    if !task.info.metric.chooses() {
                        wanted = json!([wanted[0][0]]);
                    }
                    assert_eq!(requests(task, at), wanted, "{}, {shots} shots, item {at}", task.label);
                }
            }
        }
    }
}

#[test]
fn of_a_cache_only_the_configuration_that_is_asked_has_to_be_there() {
    let place = tempfile::tempdir().unwrap();
    let snapshot = place.path().join("data/snapshots/abc");
    let card = "---\nconfigs:\n- config_name: here\n  data_files:\n  - split: test\n    path: here/*\n  - split: dev\n    \
                path: [here-dev/one.jsonl, here-dev/two.jsonl]\n- config_name: gone\n  data_files: gone/test-*\n---\n";
    std::fs::create_dir_all(snapshot.join("here")).unwrap();
    std::fs::create_dir_all(snapshot.join("here-dev")).unwrap();
    std::fs::write(snapshot.join("README.md"), card).unwrap();
    let rows = |from: usize, good: usize| -> String {
        let row = |i| format!("{{\"q\": \"q{i}\", \"c\": [\"x\", \"y\"], \"date\": {i}}}\n");
        (from..from + good).map(row).collect()
    };
    std::fs::write(snapshot.join("here/test.jsonl"), rows(0, 2)).unwrap();
    std::fs::write(snapshot.join("here-dev/one.jsonl"), rows(2, 2)).unwrap();
    let bad = format!("{}{{\"q\": \"q\", \"c\": [\"x\"]}}\n", rows(4, 1));
    std::fs::write(snapshot.join("here-dev/two.jsonl"), bad).unwrap();
    let path = place.path().join("t.yaml");
    let yaml = "task: t\ndataset_path: data\ndataset_name: here\ntest_split: test\nfewshot_split: dev\n\
                output_type: multiple_choice\ndoc_to_text: q\ndoc_to_choice: c\ndoc_to_target: 0\n";
    std::fs::write(&path, yaml).unwrap();
    assert_eq!(load(&path, Split::Test, 9, None).unwrap()[0].all.len(), 2);
    // A row is counted in its own file.
    let error = load(&path, Split::Test, 9, Some(1)).unwrap_err().to_string();
    assert!(
        error.contains("row 2 of ") && error.contains("two.jsonl: doc_to_choice gives 1 choices"),
        "{error}"
    );
}

#[test]
fn what_a_column_says_is_no_template() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t.yaml");
    let asked = |rows: &str, yaml: &str| {
        std::fs::write(place.path().join("data.jsonl"), rows).unwrap();
        let fixed = "task: t\ndataset_path: json\ndataset_kwargs: {data_files: {test: data.jsonl}}\ntest_split: test\n";
        std::fs::write(&path, format!("{fixed}{yaml}")).unwrap();
        load(&path, Split::Test, 9, None).unwrap()[0].all.clone()
    };
    let choices = "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_choice: [\"1\", \"2\", \"3\"]\n";
    let rows = "{\"q\": \"a\", \"n\": \"2\"}\n{\"q\": \"b\", \"n\": \"3\"}\n";
    let right = |yaml: &str| -> Vec<String> {
        asked(rows, &format!("{choices}{yaml}")).into_iter().map(|item| item.output).collect()
    };
    assert_eq!(right("doc_to_target: n\n"), ["2", "3"]);
    // A template gives the number of a choice.
    assert_eq!(right("doc_to_target: \"{{ n | int - 1 }}\"\n"), ["2", "3"]);
    let list = asked(
        "{\"q\": \"a\", \"n\": \"[1, 2]\"}\n",
        "output_type: generate_until\ndoc_to_text: q\ndoc_to_target: n\n",
    );
    assert_eq!((list[0].output.as_str(), list[0].references.len()), ("[1, 2]", 0));
}

/// A folder with a file of data, and what is said of a YAML file beside it.
fn refusal(yaml: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    let rows =
        "{\"q\": \"a\", \"c\": [\"x\", \"y\"], \"n\": 1}\n{\"q\": \"b\", \"c\": [\"x\", \"y\"], \"n\": 2}\n";
    std::fs::write(place.path().join("data.jsonl"), rows).unwrap();
    let path = place.path().join("t.yaml");
    std::fs::write(&path, yaml).unwrap();
    match load(&path, Split::Test, usize::MAX, None) {
        Ok(tasks) => format!("{} is read", tasks[0].label),
        Err(error) => error.to_string().replace(&place.path().display().to_string(), "DIR"),
    }
}

const GOOD: &str = "task: t\ndataset_path: json\ndataset_kwargs: {data_files: {test: data.jsonl}}\ntest_split: test\n\
                    output_type: multiple_choice\ndoc_to_text: q\ndoc_to_choice: c\ndoc_to_target: 0\n";

#[test]
fn what_is_not_understood_is_refused_by_its_key() {
    assert_eq!(refusal(GOOD), "t (acc) is read");
    let with = |more: &str| refusal(&format!("{GOOD}{more}\n"));
    let changed = |from: &str, to: &str| refusal(&GOOD.replace(from, to));
    for (said, expected) in [
        (
            with("process_docs: !function utils.f"),
            "t.yaml: line 9: process_docs: !function utils.f is code, which is",
        ),
        (with("process_results: utils.f"), "process_results is Python code, which is not run"),
        (with("gen_prefix: x"), "gen_prefix is not understood"),
        (
            with("metric_list: [{metric: mcc}]"),
            "metric_list.metric mcc is not understood: it may be acc and acc_norm",
        ),
        (with("metric_list: [{metric: acc, aggregation: median}]"), "metric_list.aggregation median is not"),
        (
            with("metric_list: [{metric: acc, hf_evaluate: true}]"),
            "metric_list.hf_evaluate is not understood",
        ),
        (
            with("filter_list: [{name: a, filter: [{function: majority_vote}]}]"),
            "filter_list.filter.function majority_vote",
        ),
        (
            with("filter_list: [{name: a, filter: [{function: regex, regex_pattern: '('}]}]"),
            "filter_list: the pattern \"(\"",
        ),
        (with("generation_kwargs: {do_sample: true}"), "generation_kwargs samples"),
        (with("fewshot_config: {sampler: balanced}"), "fewshot_config.sampler balanced is not understood"),
        (with("repeats: 5"), "repeats above 1 is not understood"),
        (with("num_fewshot: -1"), "num_fewshot is no number from 0 to 1000"),
        (with("num_fewshot: 2"), "its examples: the split has 1 examples to draw 2 from, and 2 are needed"),
        (with("include: ../other.yaml"), "include leads out of the folder"),
        (with("include: t.yaml"), "include: the files include one another without end"),
        (with("include: gone.yaml"), "DIR/gone.yaml: does not exist"),
        (changed("task: t\n", "group: g\ntask: [a, b]\n"), "group names tasks that have files of their own"),
        (changed("task: t\n", "group: g\n"), "group names tasks that have files of their own"),
        (changed("task: t\n", ""), "t.yaml: has no task"),
        (
            changed("multiple_choice", "loglikelihood_rolling"),
            "output_type loglikelihood_rolling is not understood",
        ),
        (changed("test: data.jsonl", "test: /etc/passwd"), "the path /etc/passwd leads out of the folder"),
        (changed("data.jsonl", "gone.jsonl"), "DIR/gone.jsonl: does not exist"),
        (changed("{test: data", "{train: data"), "has no split \"test\" in its data; there is train"),
        (
            changed("dataset_path: json", "dataset_path: allenai/ai2_arc"),
            "dataset_path allenai/ai2_arc is none of json",
        ),
        (changed("test_split: test", "training_split: test"), "test_split is missing"),
        (
            changed("doc_to_target: 0", "doc_to_target: n"),
            "DIR/t.yaml: row 2 of DIR/data.jsonl: 2 is right, which is none of the 2 choices",
        ),
        (
            changed("doc_to_target: 0", "doc_to_target: '{{nn}}'"),
            "row 1 of DIR/data.jsonl: doc_to_target: the template fails: nn is undefined",
        ),
        (
            changed("doc_to_target: 0", "doc_to_target: '[0, 1]'"),
            "row 1 of DIR/data.jsonl: has several right choices",
        ),
        (
            changed("doc_to_choice: c", "doc_to_choice: [no, yes]"),
            "row 1 of DIR/data.jsonl: doc_to_choice has false, not a text: put it in quotes",
        ),
        (
            changed("doc_to_choice: c", "doc_to_choice: q"),
            "row 1 of DIR/data.jsonl: doc_to_choice gives no list",
        ),
        (
            changed("doc_to_choice: c", "doc_to_choice: '{{[q]}}'"),
            "row 1 of DIR/data.jsonl: doc_to_choice gives 1 choices: two are needed",
        ),
        (refusal("- a\n"), "is no task of lm-evaluation-harness: it has no keys"),
        (refusal("a: [\n"), "t.yaml: line"),
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn a_folder_as_the_hub_keeps_it_is_read_by_its_splits() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for (name, count) in [("train", 5), ("validation", 3)] {
        let rows: String =
            (0..count).map(|i| format!("{{\"q\": \"{name} {i}\", \"a\": \"x{i}\"}}\n")).collect();
        std::fs::write(data.join(format!("{name}-00000-of-00001.jsonl")), rows).unwrap();
    }
    let path = place.path().join("t.yaml");
    let yaml = "task: t\ndataset_path: data\nvalidation_split: validation\ntraining_split: train\ndoc_to_text: q\n\
                doc_to_target: a\nnum_fewshot: 2\nmetadata: {version: 1}\n";
    std::fs::write(&path, yaml).unwrap();
    let tasks = load(&path, Split::Validation, 2, None).unwrap();
    assert_eq!((tasks.len(), tasks[0].items, tasks[0].all.len(), tasks[0].shots.count()), (1, 2, 3, 2));
    assert!(tasks[0].shots.of(1).all(|shot| shot.instruction.starts_with("train ")));
    assert_eq!(tasks[0].wording.stops, Some(vec!["\n\n".to_string()]));
    // An expert of the rows that are asked is known by them, and the file's folder is no family.
    let asked = known_hashes(&tasks[0].all);
    assert!(asked.iter().all(|hash| tasks[0].other_splits.contains(hash)));
    assert!(!asked.iter().any(|hash| tasks[0].trained.contains(hash)) && !tasks[0].trained.is_empty());
    assert_eq!((&tasks[0].info.family, tasks[0].group.is_some(), tasks[0].is_yaml()), (&None, true, true));
    // Others ask for other numbers of examples, but not where a file says 0.
    assert_eq!(load(&path, Split::Test, 9, Some(4)).unwrap()[0].shots.count(), 4);
    std::fs::write(&path, yaml.replace("fewshot: 2", "fewshot: 0")).unwrap();
    assert_eq!(load(&path, Split::Test, 9, Some(4)).unwrap()[0].shots.count(), 0);
}

#[test]
fn of_several_configurations_the_named_or_the_default_one_is_asked() {
    let asked = |configs: &[(&str, &str)], name: &str| {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data");
        let mut card = String::from("---\nlicense: mit\n");
        for (at, (config, more)) in configs.iter().enumerate() {
            let list = if at == 0 { "configs:\n" } else { "" };
            card += &format!("{list}- config_name: {config}\n  data_files: {config}/*.jsonl\n{more}");
            std::fs::create_dir_all(folder.join(config)).unwrap();
            let row = format!("{{\"q\": \"{config}\", \"c\": [\"x\", \"y\"]}}\n");
            std::fs::write(folder.join(config).join("train.jsonl"), row).unwrap();
        }
        if configs.is_empty() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("train.jsonl"), "{\"q\": \"plain\", \"c\": [\"x\", \"y\"]}\n")
                .unwrap();
        } else {
            std::fs::write(folder.join("README.md"), card + "---\n# Text\n").unwrap();
        }
        let path = place.path().join("t.yaml");
        let yaml = format!(
            "task: t\ndataset_path: data\n{name}test_split: train\noutput_type: multiple_choice\n\
             doc_to_text: q\ndoc_to_choice: c\ndoc_to_target: 0\n"
        );
        std::fs::write(&path, yaml).unwrap();
        match load(&path, Split::Test, usize::MAX, None) {
            Ok(tasks) => {
                tasks[0].all.iter().map(|item| item.instruction.clone()).collect::<Vec<_>>().join(",")
            }
            Err(error) => error.to_string(),
        }
    };
    let both = [("en", ""), ("de", "  default: true\n")];
    assert_eq!(asked(&both, ""), "de");
    assert_eq!(asked(&both, "dataset_name: en\n"), "en");
    assert_eq!(asked(&[("en", ""), ("default", "")], ""), "default");
    assert_eq!(asked(&both[..1], ""), "en");
    assert_eq!(asked(&[], ""), "plain");
    assert_eq!(asked(&[], "dataset_name: default\n"), "plain");
    for (configs, name, said) in [
        (
            &[("en", ""), ("fr", "")][..],
            "",
            "t.yaml: dataset_name is missing: its data have several configurations, name one of en and fr",
        ),
        (&both, "dataset_name: fo\n", "there is en and de"),
        (&[], "dataset_name: foo\n", "they have no configurations, leave it out"),
    ] {
        let found = asked(configs, name);
        assert!(found.contains(said), "{found}");
    }
}

#[test]
fn data_of_the_hub_are_found_in_its_cache_and_never_fetched() {
    let place = tempfile::tempdir().unwrap();
    let cache = place.path().join("hub");
    let snapshot = cache.join("datasets--some--set/snapshots/0a1b");
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(snapshot.join("test.jsonl"), "{\"q\": \"a\"}\n").unwrap();
    let path = place.path().join("t.yaml");
    let of = |name: &str| {
        let text = GOOD.replace("dataset_kwargs: {data_files: {test: data.jsonl}}\n", "");
        std::fs::write(&path, text.replace("dataset_path: json", &format!("dataset_path: {name}"))).unwrap();
        let config = Config::read(&path).unwrap();
        let found = Data { config: &config }.folder_of(name, Some(&cache));
        found.map_err(|error| error.to_string())
    };
    let found = of("some/set").unwrap();
    assert_eq!(found, cache.join("datasets--some--set"));
    assert_eq!(crate::import::files_of(&found, None, "test").unwrap().len(), 1);
    let error = of("allenai/ai2_arc").unwrap_err();
    assert!(error.contains("t.yaml: dataset_path allenai/ai2_arc is no folder here and not in "), "{error}");
    assert!(error.contains("hf download --repo-type dataset allenai/ai2_arc"), "{error}");
    assert!(!super::is_repository("a/../b") && !super::is_repository("..") && super::is_repository("piqa"));
}

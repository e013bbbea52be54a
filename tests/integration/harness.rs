//! Tasks of lm-evaluation-harness on a small model: what it finds, choice for choice, with and without examples
//! (`tests/fixtures/make_lm_eval.py`).

use std::path::{Path, PathBuf};
use std::process::Command;

use lora_tui::eval::{Record, Store};
use serde_json::Value;

use crate::support::experts::{lora, write_expert};
use crate::support::{BINARY, repository};

fn fixture() -> PathBuf {
    repository().join("tests/fixtures/lm_eval")
}

/// Evaluates the base model on the tasks of the fixture.
fn eval(library: &Path, tasks: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(BINARY)
        .arg("eval")
        .arg(library)
        .arg("--base")
        .arg(fixture().join("base"))
        .arg("--tasks")
        .arg(tasks)
        .args(["--methods", "base", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The item of a task as lm-eval answered it: the sums of all choices, the index of the right one, what was answered.
struct Expected {
    sums: Vec<f64>,
    texts: Vec<String>,
    answers: Vec<String>,
}

fn expected(item: &Value) -> Expected {
    let answers = item["answers"].as_array().unwrap();
    let texts = item["requests"].as_array().unwrap().iter();
    Expected {
        sums: answers.iter().filter_map(|answer| answer[0][0].as_f64()).collect(),
        texts: texts.filter_map(|request| Some(request[1].as_str()?.to_string())).collect(),
        answers: answers.iter().filter_map(|answer| Some(answer[0].as_str()?.to_string())).collect(),
    }
}

#[test]
fn scores_choices_and_answers_are_those_of_lm_eval() {
    let place = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(fixture().join("expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let store = Store::of(place.path()).unwrap();
    let mut compared = 0;
    for shots in ["0", "3"] {
        let found =
            eval(place.path(), &fixture().join("tasks"), &["--scoring", "lm-eval", "--num-fewshot", shots]);
        for (at, row) in found["tasks"].as_array().unwrap().iter().enumerate() {
            let label = row["task"].as_str().unwrap();
            let (name, metric) =
                label.strip_suffix(')').unwrap_or(label).split_once(" (").unwrap_or((label, ""));
            let of_task = &all[shots][name];
            let (metric, filter) = metric.split_once(", ").unwrap_or((metric, ""));
            let metrics = of_task["metrics"].as_object().unwrap();
            let wanted = metrics.iter().find(|(key, _)| {
                let (of, through) = key.split_once(',').unwrap();
                (metric.is_empty() || of == metric) && (filter.is_empty() || through == filter)
            });
            let (key, wanted) = wanted.unwrap();
            let score = found["scores"][at][0]["score"].as_f64().unwrap();
            assert!(
                (score - wanted.as_f64().unwrap()).abs() < 1e-9,
                "{label}, {shots} shots: {score}, not {wanted}"
            );
            assert_eq!(row["shots"].to_string(), shots);
            // And item by item.
            let through = key.split_once(',').unwrap().1;
            let items = of_task["items"][through].as_array().unwrap();
            let items = if items.is_empty() { of_task["items"]["none"].as_array().unwrap() } else { items };
            let kept = found["kept"][at][0].as_str().unwrap();
            let records: Vec<Record> =
                store.kept(kept, items.len()).unwrap().into_iter().map(Option::unwrap).collect();
            for (i, (record, item)) in records.iter().zip(items).enumerate() {
                let Expected { sums, texts, answers } = expected(item);
                let key = key.split_once(',').unwrap().0;
                assert_eq!(Some(record.score), item[key].as_f64(), "{label}, {shots} shots, item {i}");
                if row["metric"] == "exact_match" {
                    assert_eq!(record.answer.as_ref(), answers.first(), "{label}, {shots} shots, item {i}");
                } else {
                    let sum = record.log_probability.unwrap();
                    assert!(
                        sums.iter().any(|other| (sum - other).abs() < 2e-3),
                        "{label}, {shots} shots, item {i}: {sum} is none of {sums:?}"
                    );
                    assert_eq!(sums.len(), texts.len());
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 2 * 24 * 13);
}

#[test]
fn metrics_of_one_task_share_passes_and_means_count_it_once() {
    let place = tempfile::tempdir().unwrap();
    let found = eval(place.path(), &fixture().join("tasks"), &["--scoring", "lm-eval", "--limit", "4"]);
    let rows = found["tasks"].as_array().unwrap();
    let again: Vec<bool> = rows.iter().map(|row| row["again"].as_bool().unwrap()).collect();
    assert_eq!((rows.len(), again.iter().filter(|again| **again).count()), (13, 5));
    assert_eq!(found["means"][0]["tasks"], 8);
    // In the library's template the same tasks are asked too, and never mixed with those of the other rules.
    let other =
        eval(place.path(), &fixture().join("tasks/piqa.yaml"), &["--limit", "4", "--num-fewshot", "2"]);
    assert_eq!((&other["scoring"], &other["tasks"][0]["shots"]), (&"own".into(), &2.into()));
    assert_ne!(other["kept"], found["kept"]);
}

#[test]
fn tables_say_how_many_examples_there_are() {
    let place = tempfile::tempdir().unwrap();
    let markdown = place.path().join("table.md");
    let arguments = ["--limit", "2", "--num-fewshot", "1", "--scoring", "lm-eval", "--markdown"];
    let tasks = fixture().join("tasks/boolq.yaml");
    let arguments: Vec<&str> = arguments.into_iter().chain([markdown.to_str().unwrap()]).collect();
    eval(place.path(), &tasks, &arguments);
    let text = std::fs::read_to_string(&markdown).unwrap();
    assert!(text.ends_with("\n1-shot, lm-eval scoring, test split\n"), "{text}");
}

#[test]
fn tuning_and_routing_read_the_same_tasks() {
    // Experts with random weights on the base model of the fixture.
    let place = tempfile::tempdir().unwrap();
    let base = fixture().join("base");
    let config: Value = serde_json::from_slice(&std::fs::read(base.join("config.json")).unwrap()).unwrap();
    let width = config["hidden_size"].as_u64().unwrap() as usize;
    for expert in 0..2 {
        let value = move |i: usize| ((i * (31 + expert)) % 17) as f32 / 17.0 - 0.5;
        let module = lora("model.layers.0.self_attn.q_proj", 2, (width, width), value, |i| value(i + 1));
        write_expert(&place.path().join(format!("expert_{expert}")), &[module], 4.0);
    }
    let run = |command: &str, tasks: &[&str], more: &[&str]| -> Value {
        let tasks = tasks.iter().map(|name| fixture().join("tasks").join(name));
        let output = Command::new(BINARY)
            .arg(command)
            .arg(place.path())
            .arg("--base")
            .arg(&base)
            .args(tasks.flat_map(|path| ["--tasks".into(), path]))
            .args(["--json", "--limit", "4"])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let ids = |rows: &Value| -> Vec<String> {
        rows.as_array().unwrap().iter().map(|row| row["task"].as_str().unwrap().to_string()).collect()
    };
    let asked = run("eval", &[""], &["--methods", "base"]);
    let mut all: Vec<String> = ids(&asked["tasks"])
        .into_iter()
        .map(|label| label.split_once(" (").map_or(label.clone(), |(id, _)| id.to_string()))
        .collect();
    all.dedup();
    // Each once, whatever its metrics.
    assert_eq!(all.len(), 8);
    assert_eq!(ids(&run("eval", &[""], &["--routing"])["tasks"]), all);
    let tasks = ["piqa.yaml", "winogrande.yaml"];
    let tuned = run("tune", &tasks, &["--routers", "uniform,arrow:k=1"]);
    let items: Vec<u64> =
        tuned["routers"].as_array().unwrap().iter().map(|row| row["items"].as_u64().unwrap()).collect();
    assert_eq!(items, [2 * 4, 2 * 4]);
}

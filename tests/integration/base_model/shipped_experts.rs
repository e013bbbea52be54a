//! The shipped experts on their real base model, through the command line.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::base_model;
use crate::support::{PATIENCE, json, repository};

fn with_base<'a>(arguments: &[&'a str], base: &'a Path) -> Vec<&'a str> {
    [arguments, &["--base", base.to_str().unwrap()]].concat()
}

/// (instruction and input, output) of a task's first test items.
fn items(task: &str, count: usize) -> Vec<(String, String)> {
    let path = repository().join("assets/tasks").join(task).join("test.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .take(count)
        .map(|line| {
            let item: Value = serde_json::from_str(line).unwrap();
            let field = |key: &str| item[key].as_str().unwrap().to_string();
            (format!("{}\n{}", field("instruction"), field("input")), field("output"))
        })
        .collect()
}

#[test]
fn arrow_weights_are_distributions_and_the_own_family_leads() {
    let Some(base) = base_model() else { return };
    for (task, family) in [
        ("figures/money", ["clock_12h", "iso_date", "money"]),
        ("spanish/es_plural", ["es_negation", "es_plural", "es_they"]),
    ] {
        let prompt = &items(task, 1)[0].0;
        let route = json(&with_base(&["route", "library", "--router", "arrow", "--prompt", prompt], base));
        let experts = route["experts"].as_array().unwrap();
        let mut totals = vec![0.0; experts.len()];
        for (token, modules) in
            route["tokens"].as_array().unwrap().iter().zip(route["weights"].as_array().unwrap())
        {
            for weights in modules.as_array().unwrap() {
                let weights = weights.as_array().unwrap();
                let sum: f64 = weights.iter().map(|w| w[1].as_f64().unwrap()).sum();
                assert!(weights.len() == 3 && (sum - 1.0).abs() < 1e-5, "{weights:?}");
                if token["part"] == "prompt" {
                    weights.iter().for_each(|w| {
                        totals[w[0].as_u64().unwrap() as usize] += w[1].as_f64().unwrap();
                    });
                }
            }
        }
        let all: f64 = totals.iter().sum();
        let own: f64 = experts
            .iter()
            .zip(&totals)
            .filter(|(e, _)| family.contains(&e.as_str().unwrap()))
            .map(|(_, total)| total)
            .sum();
        assert!(own / all > 0.3, "{task}: the family has {:.2} where chance is 0.25", own / all);
    }
}

#[test]
fn experts_answer_what_the_base_model_does_not() {
    let Some(base) = base_model() else { return };
    let right = |router: &str| {
        let items = items("figures/money", 4);
        items
            .iter()
            .filter(|(prompt, output)| {
                let arguments = ["generate", "library", "--router", router, "--max-tokens", "16"];
                let arguments = [&arguments[..], &["--prompt", prompt]].concat();
                json(&with_base(&arguments, base))["text"].as_str().unwrap().trim() == output
            })
            .count()
    };
    assert!(right("single:money") >= 3);
    assert_eq!(right("base"), 0);
}

#[test]
fn a_training_in_the_background_ends_with_an_expert_that_can_be_used() {
    let Some(base) = base_model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().to_str().unwrap();
    let data = folder.path().join("data.jsonl");
    let lines: Vec<String> = items("code/camel_case", 8)
        .iter()
        .map(|(prompt, output)| {
            serde_json::json!({"instruction": prompt, "input": "", "output": output}).to_string()
        })
        .collect();
    std::fs::write(&data, lines.join("\n")).unwrap();
    let arguments = [
        "train",
        library,
        "--data",
        data.to_str().unwrap(),
        "--name",
        "new",
        "--max-steps",
        "3",
        "--batch",
        "4",
    ];
    let job = json(&[&with_base(&arguments, base)[..], &["--background"]].concat());
    let id = job["job"].as_str().unwrap();
    let begun = Instant::now();
    let state = loop {
        let jobs = json(&["jobs", library]);
        let job = jobs["jobs"].as_array().unwrap().iter().find(|j| j["id"] == id).unwrap().clone();
        if !["queued", "running"].contains(&job["state"].as_str().unwrap()) {
            break job;
        }
        assert!(begun.elapsed() < PATIENCE, "still {job}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(state["state"], "finished", "{state}");
    assert_eq!((&state["step"], &state["steps"]), (&Value::from(3), &Value::from(3)));
    let route =
        json(&with_base(&["route", library, "--prompt", "main_batch_date", "--router", "single:new"], base));
    assert_eq!(route["experts"], serde_json::json!(["new"]));
}

//! Commands that compare experts: what they print, and that they give what the screens show.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use lora_tui::analysis::Metric;
use lora_tui::named::Named;
use serde_json::Value;

use crate::support::BINARY;
use crate::support::experts::{lora, write_expert};

/// A folder with `library/`: two groups of three experts of rank 1, `odd` of rank 2, and a broken one.
fn library(odd: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let root = folder.path().join("library");
    fs::create_dir_all(root.join("broken")).expect("temporary folders can be made");
    fs::write(root.join("broken/adapter_config.json"), "{").expect("temporary files can be written");
    let (inputs, outputs) = (8, 6);
    let add = |name: String, rank: usize, direction: usize, tilt: f32| {
        let lora = |layer: usize| {
            let module = format!("model.layers.{layer}.self_attn.q_proj");
            let a = |i: usize| if i % inputs == direction { 1.0 } else { tilt * (i % inputs) as f32 };
            lora(&module, rank, (inputs, outputs), a, |i| if i == direction { 1.0 } else { 0.1 })
        };
        write_expert(&root.join(name), &[lora(0), lora(1)], 4.0);
    };
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        add(format!("{name}1"), 1, 0, 0.01 * at as f32);
        add(format!("{name}2"), 1, 4, 0.01 * at as f32);
    }
    if odd {
        add("odd, one".into(), 2, 2, 0.0);
    }
    folder
}

fn run(arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json(arguments: &[&str], folder: &Path) -> Value {
    let (status, stdout, stderr) = run(&[arguments, &["--json"]].concat(), folder);
    assert_eq!(status, Some(0), "{arguments:?}: {stderr}");
    serde_json::from_str(&stdout).expect("stdout is one JSON document")
}

#[test]
fn clusters_name_their_metric_and_find_their_number() {
    let folder = library(false);
    let found = json(&["cluster", "library"], folder.path());
    assert_eq!((&found["k"], &found["metric"], &found["sparsity"]), (&2.into(), &"mbc".into(), &0.5.into()));
    assert_eq!(found["labels"], serde_json::json!([0, 1, 0, 1, 0, 1]));
    assert_eq!(found["skipped"][0]["name"], "broken");
    let swept = found["sweep"].as_array().expect("what was tried");
    assert_eq!(swept.iter().map(|point| point["k"].clone()).collect::<Vec<_>>(), [2, 3, 4, 5]);

    let given = json(&["cluster", "library", "--k", "3", "--metric", "delta"], folder.path());
    assert_eq!(
        (&given["k"], &given["metric"], &given["sparsity"]),
        (&3.into(), &"delta".into(), &0.0.into())
    );
    assert_eq!(given.get("sweep"), None);

    let (_, text, _) =
        run(&["cluster", "library", "--metric", "delta", "--k", "auto", "--sweep"], folder.path());
    assert!(text.starts_with("6 experts in 2 clusters (delta, seed 42): "), "{text}");
    assert!(text.contains("\nk = 2 has the best mean silhouette of k = 2 to 5\n"), "{text}");
    assert!(text.contains("\nk  inertia  silhouette\n2 "), "{text}");
    let (status, _, error) = run(&["cluster", "library", "--k", "0"], folder.path());
    assert!(status == Some(2) && error.contains("must be auto or a whole number from 1"), "{error}");
    let (status, _, error) = run(&["cluster", "library", "--metric", "cosine"], folder.path());
    let metrics: Vec<&str> = Metric::all().iter().map(|metric| metric.id).collect();
    let values = format!("possible values: {}", metrics.join(", "));
    assert!(status == Some(2) && error.contains(&values), "{error}");
}

#[test]
fn any_ranks_are_compared_by_their_updates_and_others_say_so() {
    let folder = library(true);
    for command in ["similarity", "cluster", "project"] {
        let (status, _, error) = run(&[command, "library"], folder.path());
        assert_eq!(status, Some(1), "{error}");
        let (need, other) = error.split_once(" need equal ranks; compare them with --metric ").unwrap();
        for metric in Metric::all() {
            assert!(if metric.equal_ranks { need } else { other }.contains(metric.id), "{error}");
        }
        let document = json(&[command, "library", "--metric", "delta"], folder.path());
        assert_eq!(document["experts"].as_array().map(Vec::len), Some(7), "{document}");
    }
}

#[test]
fn the_map_puts_similar_experts_together() {
    let folder = library(false);
    let map = json(&["project", "library", "--csv", "map.csv"], folder.path());
    assert_eq!((&map["k"], &map["metric"]), (&2.into(), &"mbc".into()));
    let point = |at: usize| -> (f64, f64) {
        let value = |axis: usize| map["points"][at][axis].as_f64().expect("a number");
        (value(0), value(1))
    };
    let distance = |i, j| (point(i).0 - point(j).0).hypot(point(i).1 - point(j).1);
    assert_eq!(map["experts"][0], "a1");
    assert!(distance(0, 2) < 0.2 * distance(0, 1), "{map}");
    let csv = fs::read_to_string(folder.path().join("map.csv")).expect("it was written");
    assert!(csv.starts_with("expert,cluster,x,y\r\na1,1,") && csv.lines().count() == 7, "{csv}");
    let (_, text, _) = run(&["project", "library", "--k", "1"], folder.path());
    assert!(text.starts_with("6 experts in 1 cluster (mbc, sparsity 0.5, seed 42)\n"), "{text}");
}

#[test]
fn two_experts_are_compared_module_by_module() {
    let folder = library(true);
    let pair = json(&["pair", "library", "a1", "b1"], folder.path());
    let modules = pair["modules"].as_array().expect("a list");
    assert_eq!((modules.len(), &pair["a"], &pair["b"]), (2, &"a1".into(), &"b1".into()));
    assert_eq!(modules[1]["module"], "model.layers.1.self_attn.q_proj");
    let cosine = modules[0]["cosine"].as_f64().expect("a number");
    assert!(cosine > 0.9 && (pair["mean"]["cosine"].as_f64().expect("a number") - cosine).abs() < 1e-9);
    assert_eq!(pair["skipped"][0]["name"], "broken");
    let (_, text, _) = run(&["pair", "library", "a1", "odd, one"], folder.path());
    assert!(text.starts_with("a1 and odd, one at 2 modules\nmean cosine of ΔW: "), "{text}");
    for (arguments, status, expected) in [
        (["pair", "library", "a1", "a1"], 2, "with itself is no pair"),
        (["pair", "library", "a1", "broken"], 1, "adapter_config.json"),
        (["pair", "library", "a1", "nobody"], 1, "no expert is called"),
    ] {
        let (code, _, error) = run(&arguments, folder.path());
        assert_eq!(code, Some(status), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

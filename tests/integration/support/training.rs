//! Trainings of the tiny llama, for the tests that need one.

use std::path::{Path, PathBuf};

use lora_tui::library::Library;
use lora_tui::train::{Schedule, TrainReport, TrainSpec, train};
use lora_tui::{Cancel, Result};
use serde_json::Value;

use super::models::Fixture;

/// A library without experts, with a short template, in a folder of its own.
pub fn library() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "[template]\nprompt = \"{instruction} {input} =\"\nend = \" <end>\"\n";
    std::fs::write(dir.path().join("library.toml"), manifest).unwrap();
    dir
}

/// The training that made the curve `name` of the fixture: from a given adapter, examples in their order.
pub fn curve_spec(f: &Fixture, name: &str, library: &Path) -> TrainSpec {
    let t = &f.facts[name];
    let number = |key: &str| t[key].as_f64().unwrap();
    let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    let data = f.folder.join(if name == "by_heart" { "eight.jsonl" } else { "train.jsonl" });
    TrainSpec {
        library: library.into(),
        // Given, so that no example is kept for it.
        validation: Some(data.clone()),
        data: vec![data],
        name: "new".into(),
        rank: 2,
        alpha: 4.0,
        dropout: 0.0,
        learning_rate: number("learning_rate"),
        schedule: match t["schedule"].as_str().unwrap() {
            "linear" => Schedule::Linear,
            "cosine" => Schedule::Cosine,
            _ => Schedule::Constant,
        },
        warmup: number("warmup"),
        weight_decay: number("weight_decay"),
        clip: t["clip"].as_f64(),
        epochs: Some(1000.0),
        max_steps: Some(number("steps") as usize),
        batch: number("batch") as usize,
        accumulate: number("accumulate") as usize,
        targets: targets.map(String::from).to_vec(),
        init: Some(f.folder.join("experts/expert_0")),
        shuffle: false,
        base: Some(f.base()),
        device: "cpu".into(),
        ..TrainSpec::default()
    }
}

/// The fixture's ten steps.
pub fn spec(f: &Fixture, library: &Path) -> TrainSpec {
    curve_spec(f, "plain", library)
}

/// A training with all that depends on chance: order, start, dropout.
pub fn random_spec(f: &Fixture, library: &Path) -> TrainSpec {
    TrainSpec { init: None, shuffle: true, dropout: 0.1, ..spec(f, library) }
}

/// A training that nobody watches.
pub fn quiet(spec: &TrainSpec) -> Result<TrainReport> {
    train(spec, None, &mut |_| {}, &Cancel::new())
}

/// The weights file of an expert.
pub fn weights(library: &Path, name: &str) -> Vec<u8> {
    std::fs::read(library.join(name).join("adapter_model.safetensors")).unwrap()
}

/// A and B of every module of an expert.
pub fn values(library: &Path, name: &str) -> Vec<f32> {
    let library = Library::open(library).unwrap();
    let adapter = library.expert(name).unwrap().load().unwrap();
    adapter.modules.iter().flat_map(|m| [m.a().unwrap(), m.b().unwrap()].concat()).collect()
}

/// The lines of a `--log` file.
pub fn log_lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// What lies in a folder, hidden files too.
pub fn entries(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    // Derived data, with the lock of the name.
    let mut names: Vec<String> = names.filter(|name| name != ".lora-tui").collect();
    names.sort();
    names
}

/// A task folder with `count` lines made by `line`, the first `held` of another set for validation.
pub fn task(folder: &Path, id: &str, count: usize, held: usize) -> PathBuf {
    let path = folder.join(id);
    std::fs::create_dir_all(&path).unwrap();
    let lines = |from: usize, n: usize| -> String {
        (from..from + n)
            .map(|i| {
                let (a, b) = (i % 50, (i * 7 + id.len()) % 50);
                format!("{{\"instruction\":\"{id}\",\"input\":\"w{a} w{b}\",\"output\":\"w{b} w{a}\"}}\n")
            })
            .collect()
    };
    std::fs::write(path.join("train.jsonl"), lines(0, count)).unwrap();
    std::fs::write(path.join("validation.jsonl"), lines(count, held)).unwrap();
    std::fs::write(path.join("task.toml"), format!("id = \"{id}\"\nfamily = \"words\"\n")).unwrap();
    path
}

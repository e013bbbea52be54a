//! Training against PyTorch and PEFT: gradients, a loss curve, and what a training leaves on disk.

use std::path::Path;

use candle_core::Tensor;
use lora_tui::library::Library;
use lora_tui::model::{Model, Tape};
use lora_tui::train::{LoraTrainer, TrainEvent, TrainReport, TrainSpec, cross_entropy, train};
use lora_tui::{Cancel, Error, Result};

mod models;
use models::{FAMILIES, Fixture};

/// Loss and (tensor name, gradient as PEFT lays it out) of `expert_0` for next-token cross-entropy.
fn gradients(f: &Fixture, model: &Model, checkpoint: bool) -> (f64, Vec<(String, Vec<f32>)>) {
    let library = f.library("experts");
    let expert = library.expert("expert_0").unwrap();
    let mut targets: Vec<String> =
        expert.modules.iter().map(|m| m.module.rsplit('.').next().unwrap().to_string()).collect();
    targets.sort();
    targets.dedup();
    let mut lora = LoraTrainer::new(&model.decoder, &targets, 2, 4.0, 0.0, 42).unwrap();
    lora.start_from(&expert.load().unwrap()).unwrap();
    lora.begin(Some(0));
    let mut tape = Tape::new(checkpoint);
    let cancel = Cancel::new();
    let lengths = [f.ids.len()];
    let hidden =
        model.decoder.forward(&f.ids, &lengths, &mut [], &mut lora, Some(&mut tape), &cancel).unwrap();
    let wanted: Vec<(usize, u32)> = f.ids[1..].iter().copied().enumerate().collect();
    let n = wanted.len() as f64;
    let (sum, d): (f64, Option<Tensor>) =
        cross_entropy(&model.decoder, &hidden, &wanted, (1.0 / n) as f32, true).unwrap();
    model.decoder.backward(tape, &d.unwrap(), &mut lora, &cancel).unwrap();
    assert!(lora.without_gradient().is_empty());
    let mut found = Vec::new();
    for m in &mut lora.modules {
        // Gradients are laid out as the weights are: let the trainer undo its own layout.
        (m.a, m.bt) = (m.grad_a.clone(), m.grad_bt.clone());
        let stored = m.to_new();
        found.push((format!("{}.lora_A.weight", m.module), stored.a));
        found.push((format!("{}.lora_B.weight", m.module), stored.b));
    }
    (sum / n, found)
}

#[test]
fn gradients_are_those_of_pytorch() {
    for name in FAMILIES {
        let f = Fixture::open(name);
        let model = f.model();
        let (loss, found) = gradients(&f, &model, false);
        assert!((loss - f64::from(f.values("loss")[0])).abs() < 1e-5, "{name}: {loss}");
        assert_eq!(found.len(), f.tensors.keys().filter(|k| k.starts_with("grad.")).count(), "{name}");
        let mut worst = 0f32;
        for (tensor, gradient) in &found {
            let wanted = f.values(&format!("grad.{tensor}"));
            let norm = |v: &mut dyn Iterator<Item = f32>| v.map(|x| x * x).sum::<f32>().sqrt();
            let off = norm(&mut gradient.iter().zip(&wanted).map(|(a, b)| a - b));
            let relative = off / norm(&mut wanted.iter().copied());
            assert!(relative <= 1e-4, "{name} {tensor}: {relative}");
            worst = worst.max(relative);
        }
        println!("{name}: loss {:e}, gradients {worst:e}", (loss - f64::from(f.values("loss")[0])).abs());
        assert_eq!(gradients(&f, &model, true), (loss, found), "{name}: computing again changes nothing");
    }
}

/// A library without experts, with a short template, in a folder of its own.
fn library() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "[template]\nprompt = \"{instruction} {input} =\"\nend = \" <end>\"\n";
    std::fs::write(dir.path().join("library.toml"), manifest).unwrap();
    dir
}

/// The fixture's training: ten steps over examples in their order, from a given adapter.
fn spec(f: &Fixture, library: &Path) -> TrainSpec {
    let t = &f.facts["training"];
    let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    TrainSpec {
        library: library.into(),
        data: vec![f.folder.join("train.jsonl")],
        name: "new".into(),
        rank: 2,
        alpha: 4.0,
        dropout: 0.0,
        learning_rate: t["learning_rate"].as_f64().unwrap(),
        epochs: Some(100.0),
        max_steps: Some(t["steps"].as_u64().unwrap() as usize),
        batch: t["batch"].as_u64().unwrap() as usize,
        targets: targets.map(String::from).to_vec(),
        init: Some(f.folder.join("experts/expert_0")),
        shuffle: false,
        // Given, so that no example is held back for it.
        validation: Some(f.folder.join("train.jsonl")),
        base: Some(f.base()),
        device: "cpu".into(),
        ..TrainSpec::default()
    }
}

fn quiet(spec: &TrainSpec) -> Result<TrainReport> {
    train(spec, &mut |_| {}, &Cancel::new())
}

/// What lies in a folder, hidden files too.
fn entries(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    // Derived data, with the lock of the name.
    let mut names: Vec<String> = names.filter(|name| name != ".lora-tui").collect();
    names.sort();
    names
}

#[test]
fn the_loss_curve_is_that_of_pytorch() {
    let f = Fixture::open("llama");
    let dir = library();
    let log = dir.path().join("log.jsonl");
    let report = quiet(&TrainSpec { log: Some(log.clone()), ..spec(&f, dir.path()) }).unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let wanted =
        |key: &str| -> Vec<f64> { serde_json::from_value(f.facts["training"][key].clone()).unwrap() };
    let (losses, rates) = (wanted("losses"), wanted("rates"));
    assert_eq!(lines.len(), losses.len());
    let mut worst = 0f64;
    for ((line, loss), rate) in lines.iter().zip(&losses).zip(&rates) {
        worst = worst.max((line["loss"].as_f64().unwrap() - loss).abs());
        assert!((line["learning_rate"].as_f64().unwrap() - rate).abs() < 1e-9, "{line}");
    }
    println!("loss curve: {worst:e}");
    assert!(worst <= 1e-4, "{worst}");
    assert_eq!(report.steps, losses.len());
    assert!(report.validation_loss.unwrap() < report.base_validation_loss.unwrap());

    let library = Library::open(dir.path()).unwrap();
    let adapter = library.expert("new").unwrap().load().unwrap();
    assert_eq!(adapter.modules.len(), 14);
    adapter.check_finite().unwrap();
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let f = Fixture::open("llama");
    let dir = library();
    let random =
        TrainSpec { init: None, shuffle: true, dropout: 0.1, max_steps: Some(4), ..spec(&f, dir.path()) };
    let bytes = |name: &str, seed| {
        quiet(&TrainSpec { name: name.into(), seed, ..random.clone() }).unwrap();
        std::fs::read(dir.path().join(name).join("adapter_model.safetensors")).unwrap()
    };
    let (a, b, c) = (bytes("a", 1), bytes("b", 1), bytes("c", 2));
    assert!(a == b, "two runs with one seed differ");
    assert!(a != c, "two seeds give one adapter");
}

/// The fixture's base with an embedding, which is the head too, three times as large: with small rows and a
/// normed hidden state, logits could not get far enough apart for a small loss.
fn base_with_a_loud_head(f: &Fixture, into: &Path) {
    std::fs::create_dir(into).unwrap();
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(f.base().join(file), into.join(file)).unwrap();
    }
    let weights = f.base().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(weights, &candle_core::Device::Cpu).unwrap();
    let embedding = tensors.get_mut("model.embed_tokens.weight").unwrap();
    *embedding = (&*embedding * 3.0).unwrap();
    candle_core::safetensors::save(&tensors, into.join("model.safetensors")).unwrap();
}

#[test]
fn eight_examples_are_learnt_by_heart() {
    let f = Fixture::open("llama");
    let dir = library();
    let (data, base) = (dir.path().join("eight.jsonl"), dir.path().join("base"));
    base_with_a_loud_head(&f, &base);
    let line = |i: usize| {
        format!(
            "{{\"instruction\":\"copy\",\"input\":\"w{i} w{}\",\"output\":\"w{} w{i}\"}}\n",
            9 * i % 50,
            20 + i
        )
    };
    std::fs::write(&data, (0..8).map(line).collect::<String>()).unwrap();
    let report = quiet(&TrainSpec {
        data: vec![data.clone()],
        validation: Some(data),
        init: None,
        rank: 8,
        alpha: 16.0,
        batch: 8,
        learning_rate: 0.005,
        max_steps: Some(150),
        base: Some(base),
        epochs: Some(1000.0),
        ..spec(&f, dir.path())
    })
    .unwrap();
    println!("overfit: {} → {:?}", report.train_loss, report.validation_loss);
    assert!(report.train_loss < 0.05 && report.validation_loss.unwrap() < 0.05, "{report:?}");
}

#[test]
fn a_cancelled_training_leaves_nothing() {
    let f = Fixture::open("llama");
    let dir = library();
    let before = entries(dir.path());
    let cancel = Cancel::new();
    let mut steps = 0;
    let result = train(
        &spec(&f, dir.path()),
        &mut |event| {
            if let TrainEvent::Step { step, .. } = event {
                steps = step;
                if step == 3 {
                    cancel.cancel();
                }
            }
        },
        &cancel,
    );
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(steps, 3);
    assert_eq!(entries(dir.path()), before);
}

#[test]
fn names_that_exist_or_are_no_names_are_refused_before_anything_runs() {
    let f = Fixture::open("llama");
    let dir = library();
    std::fs::create_dir(dir.path().join("taken")).unwrap();
    for name in ["taken", "", "..", "a/b"] {
        let mut events = Vec::new();
        let spec = TrainSpec { name: name.into(), ..spec(&f, dir.path()) };
        let error = train(&spec, &mut |e| events.push(e), &Cancel::new()).unwrap_err();
        println!("{name}: {error}");
        assert!(!events.iter().any(|e| matches!(e, TrainEvent::Started { .. })), "{name}");
    }
    assert_eq!(entries(dir.path()), ["library.toml", "taken"]);
}

#[test]
fn bad_specifications_say_what_is_wrong() {
    let f = Fixture::open("llama");
    let dir = library();
    let error = |change: &dyn Fn(&mut TrainSpec)| {
        let mut spec = spec(&f, dir.path());
        change(&mut spec);
        quiet(&spec).unwrap_err().to_string()
    };
    assert!(error(&|s| s.rank = 0).contains("rank and alpha must be positive"));
    assert!(error(&|s| s.dropout = 1.0).contains("dropout must be at least 0 and below 1"));
    assert!(error(&|s| s.learning_rate = 0.0).contains("learning rate must be positive"));
    assert!(error(&|s| s.data.clear()).contains("--data"));
    assert!(error(&|s| s.rank = 3).contains("has rank 2 (32 → 32), the training wants rank 3"));
    let e = error(&|s| s.targets = vec!["query".into()]);
    assert!(e.contains("no layer \"query\": its layers are down_proj, gate_proj,"), "{e}");
    let e = error(&|s| s.log = Some(dir.path().join("none/log.jsonl")));
    assert!(e.contains("none/log.jsonl"), "{e}");
    let e = error(&|s| s.init = Some(dir.path().to_path_buf()));
    assert!(e.contains("is not one adapter"), "{e}");
    let e = error(&|s| s.learning_rate = 1e30);
    assert!(e.contains("lower the learning rate") || e.contains("finite"), "{e}");
    assert_eq!(entries(dir.path()), ["library.toml"], "nothing is written");
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_an_error_that_names_the_log() {
    let f = Fixture::open("llama");
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let dir = library();
    let error = quiet(&TrainSpec { log: Some(full.into()), ..spec(&f, dir.path()) }).unwrap_err();
    assert!(error.to_string().starts_with("/dev/full: "), "{error}");
    assert_eq!(entries(dir.path()), ["library.toml"]);
}

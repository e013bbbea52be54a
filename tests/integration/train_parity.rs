//! Training against PyTorch and PEFT: gradients and loss curves.

use std::path::{Path, PathBuf};

use lora_tui::Cancel;
use lora_tui::library::Library;
use lora_tui::model::{ForwardPass, Model, Tape};
use lora_tui::train::{LoraTrainer, Target, TrainSpec, cross_entropy};

use crate::support::models::{FAMILIES, Fixture, test_each_ops};
use crate::support::training::{curve_spec, library, log_lines, quiet};

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
    let hidden = model
        .decoder
        .forward(&f.ids, &lengths, ForwardPass::new(&mut lora, &cancel).taped(&mut tape))
        .unwrap();
    let n = (f.ids.len() - 1) as f64;
    let target = |(row, &token)| Target { row, token, weight: (1.0 / n) as f32 };
    let wanted: Vec<Target> = f.ids[1..].iter().enumerate().map(target).collect();
    let (losses, d) = cross_entropy(&model.decoder, &hidden, &wanted, true).unwrap();
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
    (losses.iter().sum::<f64>() / n, found)
}

fn gradients_are_those_of_pytorch(device: &str) {
    for name in FAMILIES {
        let f = Fixture::open(name);
        let model = f.model_on(device);
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

test_each_ops!(gradients_are_those_of_pytorch, the_loss_curve_is_that_of_pytorch,);

/// With dropout on, both ways drop the same values.
#[test]
fn dropout_is_the_same_on_every_device() {
    let f = Fixture::open("llama");
    let run = |device: &str| {
        let dir = library();
        let log = dir.path().join("log.jsonl");
        let spec = TrainSpec {
            log: Some(log.clone()),
            dropout: 0.3,
            device: device.into(),
            base: Some(f.base()),
            ..curve_spec(&f, "plain", dir.path())
        };
        quiet(&spec).unwrap();
        log_lines(&log).iter().map(|l| l["loss"].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let (host, device) = (run("cpu"), run("candle-cpu"));
    assert!(host.iter().zip(&device).all(|(a, b)| (a - b).abs() < 1e-4), "{host:?} {device:?}");
}

/// Trains as the fixture's curve `name` was made; gives how far each loss is off, and the last loss.
fn follow(name: &str, device: &str, base: impl Fn(&Fixture, &Path) -> PathBuf) -> (Vec<f64>, f64) {
    let f = Fixture::open("llama");
    let dir = library();
    let log = dir.path().join("log.jsonl");
    let spec = TrainSpec {
        log: Some(log.clone()),
        base: Some(base(&f, dir.path())),
        device: device.into(),
        ..curve_spec(&f, name, dir.path())
    };
    let report = quiet(&spec).unwrap();
    let lines = log_lines(&log);
    let wanted = |key: &str| -> Vec<f64> { serde_json::from_value(f.facts[name][key].clone()).unwrap() };
    let (losses, rates) = (wanted("losses"), wanted("rates"));
    assert_eq!((lines.len(), report.steps), (losses.len(), losses.len()));
    let mut off = Vec::new();
    for ((line, loss), rate) in lines.iter().zip(&losses).zip(&rates) {
        off.push((line["loss"].as_f64().unwrap() - loss).abs());
        assert!((line["learning_rate"].as_f64().unwrap() - rate).abs() < 1e-9, "{line}");
    }
    println!("{name}: loss curve off by {:e}, last {}", worst(&off), report.train_loss);
    assert!(report.validation_loss.unwrap() < report.base_validation_loss.unwrap());
    let library = Library::open(dir.path()).unwrap();
    let adapter = library.expert("new").unwrap().load().unwrap();
    assert_eq!(adapter.modules.len(), 14);
    adapter.check_finite().unwrap();
    (off, report.train_loss)
}

fn worst(off: &[f64]) -> f64 {
    off.iter().copied().fold(0.0, f64::max)
}

fn own_base(f: &Fixture, _: &Path) -> PathBuf {
    f.base()
}

fn the_loss_curve_is_that_of_pytorch(device: &str) {
    assert!(worst(&follow("plain", device, own_base).0) <= 1e-4);
    assert!(worst(&follow("constant", device, own_base).0) <= 1e-4);
}

#[test]
fn fifty_steps_with_accumulation_clipping_decay_and_a_cosine_are_those_of_pytorch() {
    // The fixture clips most of its steps.
    let f = Fixture::open("llama");
    let norms: Vec<f64> = serde_json::from_value(f.facts["full"]["norms"].clone()).unwrap();
    assert!(norms.iter().filter(|n| **n > f.facts["full"]["clip"].as_f64().unwrap()).count() > 25);
    assert!(worst(&follow("full", "cpu", own_base).0) <= 1e-3);
}

/// The fixture's base with an embedding, which is the head too, four times as large: with small rows and a
/// normed hidden state, logits could not get far enough apart for a small loss.
fn base_with_a_loud_head(f: &Fixture, into: &Path) {
    std::fs::create_dir(into).unwrap();
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(f.base().join(file), into.join(file)).unwrap();
    }
    let weights = f.base().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(weights, &candle_core::Device::Cpu).unwrap();
    let embedding = tensors.get_mut("model.embed_tokens.weight").unwrap();
    *embedding = (&*embedding * 4.0).unwrap();
    candle_core::safetensors::save(&tensors, into.join("model.safetensors")).unwrap();
}

#[test]
fn eight_examples_are_learnt_by_heart_as_by_pytorch() {
    let f = Fixture::open("llama");
    let losses: Vec<f64> = serde_json::from_value(f.facts["by_heart"]["losses"].clone()).unwrap();
    assert!(*losses.last().unwrap() < 0.05);
    let (off, last) = follow("by_heart", "cpu", |f, dir| {
        let base = dir.join("base");
        base_with_a_loud_head(f, &base);
        base
    });
    // Rounding grows over many steps at a high rate.
    assert!(worst(&off) <= 5e-3, "{off:?}");
    assert!(last < 0.05, "{last}");
}

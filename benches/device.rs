//! Compares what a device computes with transformers and PEFT, on the tiny models of the tests, and prints one JSON line a
//! family: `tools/gpu-check` runs it on a GPU.
//!
//! ```text
//! cargo bench --bench device -- parity DEVICE FOLDER …
//! ```
//!
//! A folder is one of `tests/fixtures/models`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use lora_tui::Cancel;
use lora_tui::library::Library;
use lora_tui::model::{ForwardPass, LoadOptions, Model, NoHook, Tape};
use lora_tui::routing::{Part, Prompt, RouterConfig, Session, TEMPERATURE, TOP_K};
use lora_tui::train::{LoraTrainer, Target, cross_entropy};

/// What the numbers of a tiny model may be off by, where they are of the size of 1.
const TOLERANCE: f32 = 1e-3;

/// A tiny model with what transformers and PEFT compute from it.
struct Fixture {
    folder: PathBuf,
    ids: Vec<u32>,
    facts: serde_json::Value,
    tensors: HashMap<String, Tensor>,
}

impl Fixture {
    fn open(folder: &Path) -> Result<Self> {
        let facts: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json"))?)?;
        Ok(Self {
            folder: folder.into(),
            ids: serde_json::from_value(facts["token_ids"].clone())?,
            facts,
            tensors: candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu)?,
        })
    }

    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let tensor = self.tensors.get(name).with_context(|| format!("the fixture has no {name}"))?;
        Ok(tensor.flatten_all()?.to_vec1()?)
    }
}

/// Largest absolute difference; NaN where there is one, or where the lengths differ.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::NAN;
    }
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
}

/// The largest of some differences; NaN where one is.
fn worst(all: impl IntoIterator<Item = f32>) -> f32 {
    all.into_iter().fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
}

/// How far the base model's logits are off.
fn base(f: &Fixture, options: &LoadOptions) -> Result<f32> {
    let cancel = Cancel::new();
    let model = Model::load(&f.folder.join("base"), options, &mut |_, _| {}, &cancel)?;
    let mut none = NoHook;
    let hidden = model.decoder.forward(&f.ids, &[f.ids.len()], ForwardPass::new(&mut none, &cancel))?;
    Ok(distance(&model.decoder.logits(&hidden)?.values()?, &f.values("base.logits")?))
}

/// How far logits and weights of Arrow are off.
fn routed(f: &Fixture, options: &LoadOptions) -> Result<(f32, f32)> {
    let cancel = Cancel::new();
    let library = Library::open(&f.folder.join("experts"))?;
    let mut session = Session::open(&library, &f.folder.join("base"), options, &mut |_| {}, &cancel)?;
    let number = |name: &str| f.facts[name].as_f64().with_context(|| format!("the fixture has no {name}"));
    let arrow = RouterConfig::default()
        .with(&TOP_K, number("top_k")? as usize)
        .with(&TEMPERATURE, number("temperature")?);
    session.set_router(arrow)?;
    let prompt = Prompt { ids: f.ids.clone(), parts: vec![Part::Prompt; f.ids.len()] };
    let (logits, trace) = session.logits(&prompt, &cancel)?;
    let mut weights = Vec::new();
    for (m, module) in trace.modules.iter().enumerate() {
        let mut found = vec![0f32; trace.tokens.len() * trace.experts.len()];
        for token in 0..trace.tokens.len() {
            for &(expert, weight) in trace.weights(token, m) {
                found[token * trace.experts.len() + expert as usize] += weight;
            }
        }
        weights.push(distance(&found, &f.values(&format!("weights.{module}"))?));
    }
    let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
    Ok((distance(&logits, &f.values("arrow.logits")?), worst(weights)))
}

/// How far the loss of an expert's next-token training is off, and its gradients, of their norms.
fn gradients(f: &Fixture, options: &LoadOptions) -> Result<(f32, f32)> {
    let cancel = Cancel::new();
    let model = Model::load(&f.folder.join("base"), options, &mut |_, _| {}, &cancel)?;
    let library = Library::open(&f.folder.join("experts"))?;
    let expert = library.expert("expert_0")?;
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_string();
    let mut targets: Vec<String> = expert.modules.iter().map(|m| last(&m.module)).collect();
    targets.sort();
    targets.dedup();
    let mut lora = LoraTrainer::new(&model.decoder, &targets, 2, 4.0, 0.0, 42)?;
    lora.start_from(&expert.load()?)?;
    lora.begin(Some(0));
    let mut tape = Tape::new(false);
    let pass = ForwardPass::new(&mut lora, &cancel).taped(&mut tape);
    let hidden = model.decoder.forward(&f.ids, &[f.ids.len()], pass)?;
    let n = (f.ids.len() - 1) as f64;
    let target = |(row, &token)| Target { row, token, weight: (1.0 / n) as f32 };
    let wanted: Vec<Target> = f.ids[1..].iter().enumerate().map(target).collect();
    let (losses, gradient) = cross_entropy(&model.decoder, &hidden, &wanted, true)?;
    model.decoder.backward(tape, &gradient.context("no gradient")?, &mut lora, &cancel)?;
    let loss = (losses.iter().sum::<f64>() / n) as f32;
    let norm = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>().sqrt();
    let mut off = Vec::new();
    for m in &mut lora.modules {
        // Gradients are laid out as the weights are: let the trainer undo its own layout.
        (m.a, m.bt) = (m.grad_a.clone(), m.grad_bt.clone());
        let stored = m.to_new();
        for (factor, found) in [("lora_A", stored.a), ("lora_B", stored.b)] {
            let wanted = f.values(&format!("grad.{}.{factor}.weight", m.module))?;
            let difference: Vec<f32> = found.iter().zip(&wanted).map(|(a, b)| a - b).collect();
            off.push(norm(&difference) / norm(&wanted));
        }
    }
    Ok(((loss - f.values("loss")?.first().copied().unwrap_or(f32::NAN)).abs(), worst(off)))
}

fn parity(folder: &Path, device: &str) -> Result<()> {
    let options = LoadOptions { device: device.into(), ..LoadOptions::default() };
    let (f, start) = (Fixture::open(folder)?, Instant::now());
    let logits = base(&f, &options)?;
    let (arrow_logits, arrow_weights) = routed(&f, &options)?;
    let (loss, gradients) = gradients(&f, &options)?;
    let all = [logits, arrow_logits, arrow_weights, loss, gradients];
    println!(
        "{}",
        serde_json::json!({
            "bench": "parity", "family": folder.file_name().map(|name| name.to_string_lossy()), "device": device,
            "logits": logits, "arrow_logits": arrow_logits, "arrow_weights": arrow_weights, "loss": loss,
            "gradients": gradients, "holds": all.iter().all(|d| *d <= TOLERANCE), "s": start.elapsed().as_secs_f64(),
        })
    );
    Ok(())
}

fn main() -> Result<()> {
    // SAFETY: nothing has started a thread yet.
    unsafe { lora_tui::devices::number_as_the_driver_does() };
    lora_tui::threads::compute_here();
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.split_first() {
        Some((what, [device, folders @ ..])) if what == "parity" => folders
            .iter()
            .try_for_each(|folder| parity(Path::new(folder), device).with_context(|| folder.clone())),
        // `cargo test --benches` and the like start it without arguments.
        _ => {
            eprintln!("device: parity DEVICE FOLDER …");
            Ok(())
        }
    }
}

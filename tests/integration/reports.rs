//! Adapters as people report them of other tools, which serve the base model without a word, stop in the middle, or
//! merge to something that cannot be loaded.

use std::path::Path;

use candle_core::Device;
use lora_tui::Cancel;
use lora_tui::library::Library;
use lora_tui::routing::{Part, Prompt, RouterConfig, Session};
use serde_json::{Value, json};

use crate::support::experts::{lora, write_expert};
use crate::support::models::{cpu, values};
use crate::support::repository;

fn base() -> std::path::PathBuf {
    repository().join("tests/fixtures/started/base")
}

/// An adapter of one module.
fn write(library: &Path, name: &str, module: &str, size: (usize, usize)) {
    let value = |by: usize| move |i: usize| ((i * by) % 13) as f32 / 26.0 - 0.25;
    write_expert(&library.join(name), &[lora(module, 2, size, value(7), value(5))], 4.0);
}

/// Changes the names of an adapter's tensors, and its configuration.
fn change(folder: &Path, name: impl Fn(&str) -> String, config: impl FnOnce(&mut Value)) {
    let weights = folder.join("adapter_model.safetensors");
    let tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    let renamed = tensors.into_iter().map(|(key, tensor)| (name(&key), tensor)).collect();
    candle_core::safetensors::save(&renamed, &weights).unwrap();
    let path = folder.join("adapter_config.json");
    let mut fields: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config(&mut fields);
    std::fs::write(path, fields.to_string()).unwrap();
}

fn logits(library: &Path, name: &str) -> Result<Vec<f32>, String> {
    let library = Library::open(library).unwrap();
    let mut session =
        Session::open(&library, &base(), &cpu(), &mut |_| {}, &Cancel::new()).map_err(|e| e.to_string())?;
    if let Some(skipped) = session.skipped().iter().find(|skipped| skipped.name == name) {
        return Err(skipped.reason.clone());
    }
    session.set_router(RouterConfig::single(name)).map_err(|e| e.to_string())?;
    let ids = vec![5, 9, 3, 17, 22, 8];
    let prompt = Prompt { parts: vec![Part::Prompt; ids.len()], ids };
    Ok(values(&session.logits(&prompt, &Cancel::new()).unwrap().0))
}

const Q: &str = "model.layers.0.self_attn.q_proj";

#[test]
fn an_adapter_that_fits_no_module_is_never_the_base_model_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "plain", Q, (16, 16));
    write(folder.path(), "without_head", "layers.0.self_attn.q_proj", (16, 16));
    write(folder.path(), "other_names", "model.layers.0.attention.wq", (16, 16));
    write(folder.path(), "more_tokens", "lm_head", (16, 34));
    write(folder.path(), "fewer_tokens", "lm_head", (16, 30));
    assert!(logits(folder.path(), "plain").is_ok());
    let error = |name: &str| logits(folder.path(), name).unwrap_err();
    let found = error("without_head");
    assert!(
        found.contains("no module layers.0.self_attn.q_proj; it has model.layers.0.self_attn.q_proj"),
        "{found}"
    );
    assert!(found.contains("save it from AutoModelForCausalLM"), "{found}");
    assert!(error("other_names").ends_with("the base model has no module model.layers.0.attention.wq"));
    let found = error("more_tokens");
    assert!(
        found.starts_with("lm_head is 16 → 34 in the expert, 16 → 31 in the base model; tokens were added"),
        "{found}"
    );
    assert!(found.ends_with("give the base model that was enlarged for it"), "{found}");
    assert!(error("fewer_tokens").ends_with("16 → 31 in the base model"));
}

#[test]
fn names_with_a_prefix_twice_are_those_with_it_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "once", Q, (16, 16));
    write(folder.path(), "twice", Q, (16, 16));
    let twice = |key: &str| key.replacen("base_model.model.", "base_model.model.base_model.model.", 1);
    change(&folder.path().join("twice"), twice, |_| {});
    assert_eq!(logits(folder.path(), "twice"), logits(folder.path(), "once"));
}

#[test]
fn scales_by_the_root_of_the_rank_are_those_of_peft() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "plain", Q, (16, 16));
    write(folder.path(), "root", Q, (16, 16));
    // α/√r of the one is α/r of the other.
    change(
        &folder.path().join("root"),
        |key| key.to_string(),
        |config| {
            config["use_rslora"] = json!(true);
            config["lora_alpha"] = json!(4.0 / f64::sqrt(2.0));
        },
    );
    let (plain, root) = (logits(folder.path(), "plain").unwrap(), logits(folder.path(), "root").unwrap());
    let off = plain.iter().zip(&root).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "{off}");
}

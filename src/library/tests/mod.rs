//! Experts and libraries as they come: good ones, broken ones, hostile ones.

mod base;
mod declared;
mod expert;
mod header;
mod library;
mod names;
#[cfg(target_os = "linux")]
mod state_dir;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Library;

/// A configuration that PEFT could have written.
fn config() -> Value {
    json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 4, "lora_dropout": 0.0, "target_modules": ["q_proj"],
        "base_model_name_or_path": "some/base", "task_type": "CAUSAL_LM", "bias": "none"
    })
}

/// A module's pair in PEFT's names: rank 2, 3 inputs, 4 outputs.
fn pair(module: &str) -> Vec<(String, Vec<usize>)> {
    vec![
        (format!("base_model.model.{module}.lora_A.weight"), vec![2, 3]),
        (format!("base_model.model.{module}.lora_B.weight"), vec![4, 2]),
    ]
}

const Q0: &str = "model.layers.0.self_attn.q_proj";

/// A safetensors file of f32 tensors, all values 0.5.
fn safetensors(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let values = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    [header_of(tensors), 0.5f32.to_le_bytes().repeat(values)].concat()
}

/// The same without the values.
fn header_of(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in tensors {
        let end = at + 4 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    raw_safetensors(&Value::Object(header).to_string(), &[])
}

/// A file with this header, whatever it is.
fn raw_safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// Writes an expert's folder.
fn expert(root: &Path, name: &str, config: &str, weights: &[u8]) -> PathBuf {
    let folder = root.join(name);
    fs::create_dir_all(&folder).expect("temporary folders can be made");
    fs::write(folder.join("adapter_config.json"), config).expect("temporary files can be written");
    fs::write(folder.join("adapter_model.safetensors"), weights).expect("temporary files can be written");
    folder
}

/// Writes a sound expert.
fn good(root: &Path, name: &str) -> PathBuf {
    expert(root, name, &config().to_string(), &safetensors(&pair(Q0)))
}

fn names(library: &Library) -> Vec<&str> {
    library.experts.iter().map(|expert| expert.name.as_str()).collect()
}

/// A library with one expert of this configuration and these weights.
fn one(config: &str, weights: &[u8]) -> (tempfile::TempDir, Library) {
    let root = tempfile::tempdir().expect("temporary folders can be made");
    expert(root.path(), "it", config, weights);
    let library = Library::open(root.path()).expect("a bad expert is a row, not an error");
    (root, library)
}

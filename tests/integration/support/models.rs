//! Tiny models with what transformers and PEFT compute from them, made by
//! `tests/fixtures/make_model_fixtures.py`.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use lora_tui::Cancel;
use lora_tui::library::Library;
use lora_tui::model::{LoadOptions, Model};

use super::repository;

/// Cases with experts: every family, old and new configurations.
pub const FAMILIES: [&str; 10] =
    ["llama", "llama3", "mistral", "qwen2", "qwen3", "phi", "phi_qk", "phi3", "gemma2", "gpt_neox"];

/// One folder of `tests/fixtures/models`.
pub struct Fixture {
    pub folder: PathBuf,
    pub ids: Vec<u32>,
    pub facts: serde_json::Value,
    pub tensors: HashMap<String, Tensor>,
}

impl Fixture {
    pub fn open(name: &str) -> Self {
        let folder = repository().join("tests/fixtures/models").join(name);
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
        let ids = serde_json::from_value(facts["token_ids"].clone()).unwrap();
        let tensors = candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu);
        Self { folder, ids, facts, tensors: tensors.unwrap() }
    }

    pub fn values(&self, name: &str) -> Vec<f32> {
        values(self.tensors.get(name).unwrap_or_else(|| panic!("the fixture has no {name}")))
    }

    pub fn base(&self) -> PathBuf {
        self.folder.join("base")
    }

    pub fn model(&self) -> Model {
        self.model_on("cpu")
    }

    /// The model on the device of this name.
    pub fn model_on(&self, device: &str) -> Model {
        Model::load(&self.base(), &on(device), &mut |_, _| {}, &Cancel::new()).unwrap()
    }

    /// `experts` or `mixed`.
    pub fn library(&self, name: &str) -> Library {
        Library::open(&self.folder.join(name)).unwrap()
    }
}

pub fn cpu() -> LoadOptions {
    on("cpu")
}

/// The device of this name.
pub fn on(device: &str) -> LoadOptions {
    LoadOptions { device: device.into(), ..LoadOptions::default() }
}

pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// One test per function and implementation of the model's operations: the host's kernels, and candle's operations
/// on the CPU, which are what runs on a GPU. Each function gets the name of the device.
macro_rules! test_each_ops {
    ($($test:ident),* $(,)?) => {
        mod on_the_host {
            $(#[test]
            fn $test() {
                super::$test("cpu");
            })*
        }
        mod on_a_device {
            $(#[test]
            fn $test() {
                super::$test("candle-cpu");
            })*
        }
    };
}
pub(crate) use test_each_ops;

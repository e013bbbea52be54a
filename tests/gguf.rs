//! GGUF base models against transformers (fixtures made by `tests/fixtures/make_gguf.py`).

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use lora_tui::Cancel;
use lora_tui::model::{LoadOptions, Model, NoHook, Precision};

const TOLERANCE: f32 = 1e-4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf")
}

fn load(path: &Path, precision: Precision) -> lora_tui::Result<Model> {
    let options = LoadOptions { device: "cpu".into(), precision };
    Model::load(path, &options, &mut |_, _| {}, &Cancel::new())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn logits(model: &Model, ids: &[u32]) -> Vec<f32> {
    let decoder = &model.decoder;
    let hidden = decoder.forward(ids, &[ids.len()], &mut [], &mut NoHook, None, &Cancel::new()).unwrap();
    values(&decoder.logits(&hidden).unwrap())
}

#[test]
fn every_family_gives_the_logits_of_transformers() {
    let expected =
        candle_core::safetensors::load(folder().join("expected.safetensors"), &Device::Cpu).unwrap();
    for name in ["llama", "tied", "mistral", "qwen2", "qwen3", "phi", "phi3", "gemma2", "gpt_neox"] {
        let model = load(&folder().join(format!("{name}.gguf")), Precision::F32).unwrap();
        let ids: Vec<i64> = expected[&format!("{name}.ids")].to_vec1().unwrap();
        let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
        let wanted = values(&expected[&format!("{name}.logits")]);
        let found = logits(&model, &ids);
        assert_eq!(found.len(), wanted.len(), "{name}");
        let off = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {off:e}");
        assert!(off <= TOLERANCE, "{name} is off by {off}");
    }
}

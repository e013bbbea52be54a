//! Tiny experts, for tests that make their own.

use std::path::Path;

use candle_core::DType;
use lora_tui::library::{NewAdapterConfig, NewLora, Provenance, write_adapter};

/// The LoRA of one module with `size` (in, out) features, whose entries are these functions of their numbers.
pub fn lora(
    module: &str,
    rank: usize,
    (in_features, out_features): (usize, usize),
    a: impl Fn(usize) -> f32,
    b: impl Fn(usize) -> f32,
) -> NewLora {
    let (a, b) = ((0..rank * in_features).map(a).collect(), (0..rank * out_features).map(b).collect());
    NewLora { module: module.into(), rank, in_features, out_features, a, b }
}

/// Writes an expert of the base model "tiny" in f32, of the rank of the first module.
pub fn write_expert(path: &Path, loras: &[NewLora], alpha: f64) {
    let kind = |lora: &NewLora| lora.module.rsplit('.').next().unwrap_or_default().to_string();
    let mut targets: Vec<String> = loras.iter().map(kind).collect();
    targets.sort();
    targets.dedup();
    let r = loras.first().map_or(1, |lora| lora.rank);
    let config = NewAdapterConfig { revision: None, base: "tiny".into(), r, alpha, dropout: 0.0, targets };
    write_adapter(path, loras, &config, DType::F32, &Provenance::default()).unwrap();
}

//! How much memory a model needs.

use std::path::Path;

use super::packed::row_block::ROW_BLOCK;
use super::precision::Precision;
use super::spec::DecoderSpec;
use crate::memory::size;
use crate::{Error, Result};

/// Memory that a model takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Held while the model lives.
    pub weights: u64,
    /// On top of that, while it is read: a block of rows of the widest matrix for each thread.
    pub loading: u64,
}

impl Need {
    /// The most that is in use at any time of loading.
    pub fn peak(&self) -> u64 {
        self.weights.saturating_add(self.loading)
    }
}

/// Bytes that a matrix [out, in] takes.
fn matrix(precision: Precision, (out_features, in_features): (u64, u64)) -> u64 {
    let elements = out_features.saturating_mul(in_features);
    match precision {
        Precision::F32 => elements.saturating_mul(4),
        Precision::Bf16 => elements.saturating_mul(2),
        // 32 values and a scale of 16 bits, rounded up to whole lines of memory.
        Precision::Q8 => elements.saturating_mul(1088) / 1024,
    }
}

/// What a model of this shape needs. Vectors (norms, biases) are small beside the matrices and left out.
pub fn need(spec: &DecoderSpec, precision: Precision) -> Need {
    let wide = |n: usize| n as u64;
    let (hidden, vocab) = (wide(spec.hidden), wide(spec.vocab));
    let shapes = spec.linear_shapes();
    let layer: Vec<(u64, u64)> = shapes.iter().map(|l| (wide(l.out_features), wide(l.in_features))).collect();
    let layers: u64 = layer.iter().map(|&m| matrix(precision, m)).fold(0, u64::saturating_add);
    let layers = layers.saturating_mul(wide(spec.layers));
    // A tied head is the embedding.
    let tables = if spec.tied { 1 } else { 2 };
    let outer = matrix(precision, (vocab, hidden)).saturating_mul(tables);
    let widest = layer.iter().map(|&(_, width)| width).max().unwrap_or(0);
    // Its bytes, and its values in f32 when they are decoded and where they go.
    let block = 12 * (ROW_BLOCK as u64).saturating_mul(widest);
    Need {
        weights: layers.saturating_add(outer),
        loading: block.saturating_mul(rayon::current_num_threads() as u64),
    }
}

/// Refuses a model that cannot fit, with the numbers and a way out.
///
/// # Errors
/// When loading needs more than [`crate::memory::available`].
pub fn check(path: &Path, spec: &DecoderSpec, precision: Precision, available: Option<u64>) -> Result<()> {
    let needed = need(spec, precision).peak();
    let Some(free) = available.filter(|&free| needed > free) else { return Ok(()) };
    let smaller = [Precision::Bf16, Precision::Q8]
        .into_iter()
        .map(|p| (p, need(spec, p).peak()))
        .find(|&(_, other)| other < needed && other <= free);
    let way = match smaller {
        Some((p, other)) => format!("--precision {p} needs {}", size(other)),
        None if precision == Precision::Q8 => "free memory, or use a smaller model".into(),
        None => {
            let least = need(spec, Precision::Q8).peak();
            format!("even --precision q8 needs {}: free memory, or use a smaller model", size(least))
        }
    };
    let problem =
        format!("needs {} of memory as {precision}, and {} are free here; {way}", size(needed), size(free));
    Err(Error::file(path, problem))
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::super::families;
    use super::*;

    fn mistral_7b() -> DecoderSpec {
        let config = serde_json::json!({
            "model_type": "mistral", "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
            "rms_norm_eps": 1e-5,
        });
        families::spec(&Config::new(Path::new("config.json"), config).unwrap()).unwrap()
    }

    #[test]
    fn a_7b_model_needs_its_parameters() {
        let spec = mistral_7b();
        // 7.24 billion parameters.
        let billions = |p| need(&spec, p).weights as f64 / 1e9;
        assert!((billions(Precision::F32) - 4.0 * 7.24).abs() < 0.05, "{}", billions(Precision::F32));
        assert!((billions(Precision::Bf16) - 2.0 * 7.24).abs() < 0.05, "{}", billions(Precision::Bf16));
        let eight = 7.24 * 34.0 / 32.0;
        assert!((billions(Precision::Q8) - eight).abs() < 0.05, "{}", billions(Precision::Q8));
        // A tied head is not stored twice.
        let tied = DecoderSpec { tied: true, ..spec.clone() };
        let less = need(&spec, Precision::Q8).weights - need(&tied, Precision::Q8).weights;
        assert_eq!(less, matrix(Precision::Q8, (32000, 4096)));
    }

    #[test]
    fn what_cannot_fit_is_refused_with_a_way_out() {
        let spec = mistral_7b();
        let refusal = |free: u64| {
            let found = check(Path::new("m"), &spec, Precision::F32, Some(free));
            found.err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert_eq!(refusal(40 << 30), "");
        assert!(check(Path::new("m"), &spec, Precision::F32, None).is_ok());
        let text = refusal(23 << 30);
        assert_eq!(
            text,
            "m: needs 29.0 GB of memory as f32, and 24.7 GB are free here; --precision bf16 needs 14.5 GB"
        );
        assert!(refusal(10 << 30).contains("; --precision q8 needs"), "{}", refusal(10 << 30));
        assert!(refusal(2 << 30).contains("even --precision q8 needs"), "{}", refusal(2 << 30));
        let q8 = check(Path::new("m"), &spec, Precision::Q8, Some(2 << 30)).unwrap_err().to_string();
        assert!(q8.ends_with("are free here; free memory, or use a smaller model"), "{q8}");
    }
}

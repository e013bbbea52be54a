//! GGUF files: metadata as a transformers configuration, tensors under transformers names.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use serde_json::json;

use super::config::Config;
use crate::library::gguf::{GgmlType, GgufFile, GgufTensor};
use crate::{Error, Result};

/// A GGUF file whose header was read.
pub(crate) struct Gguf {
    path: PathBuf,
    file: GgufFile,
    architecture: String,
}

/// The types that can be read, as candle has them.
fn candle_type(kind: GgmlType) -> Option<GgmlDType> {
    use GgmlDType::*;
    let known = [F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q2K, Q3K, Q4K, Q5K, Q6K, Q8K, BF16];
    let same = |d: &GgmlDType| format!("{d:?}").to_uppercase() == kind.name.replace("_K", "K");
    known.into_iter().find(same)
}

/// Transformers names inside a block and their GGUF names.
const BLOCK_NAMES: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Architectures of GGUF that are read, and their `model_type`.
const ARCHITECTURES: [(&str, &str); 3] = [("llama", "llama"), ("qwen2", "qwen2"), ("qwen3", "qwen3")];

fn unsupported(file: &GgufFile, tensor: &GgufTensor) -> Error {
    file.error(format!(
        "tensor {} has type {}, which cannot be read here: use the model as Q8_0, Q6_K, Q5_K, Q4_K, Q4_0 or F16",
        tensor.name,
        tensor.kind()
    ))
}

impl Gguf {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = GgufFile::open(path)?;
        let Some(architecture) = file.text("general.architecture") else {
            return Err(file.error("does not name its architecture"));
        };
        if let Some(tensor) = file.tensors().iter().find(|t| candle_type(t.kind()).is_none()) {
            return Err(unsupported(&file, tensor));
        }
        Ok(Self { path: path.to_path_buf(), architecture: architecture.to_string(), file })
    }

    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        self.file.error(problem)
    }

    pub(crate) fn file(&self) -> &GgufFile {
        &self.file
    }

    /// A number under `<architecture>.<key>`.
    fn number(&self, key: &str) -> Option<f64> {
        let full = format!("{}.{key}", self.architecture);
        self.file.scalar(&full).map(|s| s.as_f64())
    }

    fn size(&self, key: &str) -> Result<u64> {
        self.number(key)
            .filter(|v| *v >= 1.0)
            .map(|v| v as u64)
            .ok_or_else(|| self.error(format!("lacks \"{}.{key}\"", self.architecture)))
    }

    /// The metadata as the configuration that transformers would have.
    pub(crate) fn config(&self) -> Result<Config> {
        let Some((_, model_type)) = ARCHITECTURES.iter().find(|(a, _)| *a == self.architecture) else {
            let known = ARCHITECTURES.map(|(a, _)| a).join(", ");
            return Err(self.error(format!(
                "GGUF architecture \"{}\" is not supported (known: {known}); a transformers folder may be",
                self.architecture
            )));
        };
        let (hidden, heads) = (self.size("embedding_length")?, self.size("attention.head_count")?);
        let vocab = self
            .file
            .tensor("token_embd.weight")
            .and_then(|t| t.shape().first().copied())
            .ok_or_else(|| self.error("has no token embedding"))?;
        // The file's f32 epsilon is 1e-5 with rounding noise; transformers has the short decimal.
        let eps = self.number("attention.layer_norm_rms_epsilon").unwrap_or(1e-6);
        let eps: f64 = format!("{eps:.6e}").parse().unwrap_or(eps);
        if self.file.tensor("rope_freqs.weight").is_some() {
            return Err(self.error(
                "rescaled rotary frequencies are not supported in GGUF: use the transformers folder",
            ));
        }
        let value = json!({
            "model_type": model_type,
            "vocab_size": vocab,
            "hidden_size": hidden,
            "num_hidden_layers": self.size("block_count")?,
            "num_attention_heads": heads,
            "num_key_value_heads": self.size("attention.head_count_kv").unwrap_or(heads),
            "head_dim": self.number("attention.key_length").map_or(hidden / heads.max(1), |v| v as u64),
            "intermediate_size": self.size("feed_forward_length")?,
            "max_position_embeddings": self.size("context_length")?,
            "rms_norm_eps": eps,
            "rope_theta": self.number("rope.freq_base").unwrap_or(10_000.0),
            "tie_word_embeddings": self.file.tensor("output.weight").is_none(),
        });
        Config::parse(&self.path, &value.to_string())
    }

    /// The GGUF name of a tensor of transformers.
    fn name(&self, name: &str) -> Option<String> {
        match name {
            "model.embed_tokens.weight" => return Some("token_embd.weight".into()),
            "model.norm.weight" => return Some("output_norm.weight".into()),
            "lm_head.weight" => return Some("output.weight".into()),
            _ => {}
        }
        let rest = name.strip_prefix("model.layers.")?;
        let (layer, rest) = rest.split_once('.')?;
        let (stem, kind) = rest.rsplit_once('.')?;
        let (_, short) = BLOCK_NAMES.iter().find(|(hf, _)| *hf == stem)?;
        Some(format!("blk.{layer}.{short}.{kind}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.name(name).is_some_and(|n| self.file.tensor(&n).is_some())
    }

    /// Shape and values, in the row order of transformers. `heads` and `kv_heads` undo the interleaving
    /// that llama.cpp applies to q and k of Llama.
    pub(crate) fn read(&self, name: &str, heads: usize, kv_heads: usize) -> Result<(Vec<usize>, Vec<f32>)> {
        let stored = self
            .name(name)
            .and_then(|n| self.file.tensor(&n))
            .ok_or_else(|| self.error(format!("has no tensor for {name}")))?;
        let (dims, kind) = (stored.shape(), stored.kind());
        let dtype = candle_type(kind).ok_or_else(|| unsupported(&self.file, stored))?;
        let mut bytes = vec![0u8; stored.length as usize];
        self.file.read_at(stored, 0, &mut bytes)?;
        let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype)?;
        let dense = QTensor::new(storage, dims.as_slice())?.dequantize(&Device::Cpu)?;
        let mut values = dense.flatten_all()?.to_vec1::<f32>()?;
        if self.architecture == "llama" {
            let groups = match name.rsplit_once('.').map(|(stem, _)| stem) {
                Some(stem) if stem.ends_with("q_proj") => Some(heads),
                Some(stem) if stem.ends_with("k_proj") => Some(kv_heads),
                _ => None,
            };
            if let Some(groups) = groups {
                values = unpermute(&values, dims[0], groups);
            }
        }
        Ok((dims, values))
    }
}

/// Rows of each head from interleaved pairs (0, 1), (2, 3), … back to halves.
fn unpermute(values: &[f32], rows: usize, heads: usize) -> Vec<f32> {
    if rows == 0 || heads == 0 || !rows.is_multiple_of(2 * heads) {
        return values.to_vec();
    }
    let (width, head) = (values.len() / rows, rows / heads);
    let mut out = Vec::with_capacity(values.len());
    for h in 0..heads {
        for part in 0..2 {
            for i in 0..head / 2 {
                let row = h * head + 2 * i + part;
                out.extend_from_slice(&values[row * width..(row + 1) * width]);
            }
        }
    }
    out
}

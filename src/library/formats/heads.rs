//! How the rows of attention projections are grouped into heads, from the base model's own description.

use std::path::Path;

use serde::Deserialize;

use crate::library::config::{Number, read_json};
use crate::library::gguf::GgufFile;

/// Attention heads of a base model: the same in every layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Number of query heads.
    pub query: u64,
    /// Number of key and value heads.
    pub key_value: u64,
    /// Rows of a head.
    pub size: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    num_attention_heads: Number,
    num_key_value_heads: Number,
    head_dim: Number,
    hidden_size: Number,
}

impl Heads {
    /// From a transformers folder or a GGUF file, where they say it.
    pub(in crate::library) fn of_base(path: &Path) -> Option<Self> {
        if path.is_dir() {
            let config: Config = read_json(&path.join("config.json")).ok()?;
            let (heads, hidden) = (config.num_attention_heads.0?, config.hidden_size.0);
            let size = config.head_dim.0.or_else(|| Some(hidden? / heads))?;
            return Self::new(heads, config.num_key_value_heads.0, size);
        }
        Self::of_header(&GgufFile::open(path).ok()?)
    }

    /// From the metadata of a GGUF file.
    pub(super) fn of_header(header: &GgufFile) -> Option<Self> {
        let architecture = header.text("general.architecture")?;
        let number = |key: &str| Some(header.scalar(&format!("{architecture}.{key}"))?.as_f64());
        let heads = number("attention.head_count")?;
        let size = number("attention.key_length").or_else(|| Some(number("embedding_length")? / heads))?;
        Self::new(heads, number("attention.head_count_kv"), size)
    }

    fn new(query: f64, key_value: Option<f64>, size: f64) -> Option<Self> {
        let whole = |v: f64| (v.fract() == 0.0 && (1.0..=1e6).contains(&v)).then_some(v as u64);
        Some(Self { query: whole(query)?, key_value: whole(key_value.unwrap_or(query))?, size: whole(size)? })
    }
}

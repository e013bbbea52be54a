//! What adapters do not say and their base model does: how the rows of attention projections are grouped into
//! heads, and whether its head is its embedding.

use std::path::Path;

use serde::Deserialize;

use super::peft::config::{Number, Text, read_json};
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

/// Facts of a base model by which an adapter's tensors are interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseTraits {
    /// Its attention heads, where it says them.
    pub heads: Option<Heads>,
    /// Whether its head is its embedding.
    pub tied: bool,
    /// Rows and columns of its embedding, tokens × hidden width, where it says them.
    pub table: Option<(u64, u64)>,
}

impl BaseTraits {
    /// Of a transformers folder or a GGUF model, from its configuration or header; `None` where that cannot be
    /// read.
    pub(in crate::library) fn of(path: &Path) -> Option<Self> {
        if path.is_dir() {
            let Wrapped { whole: outer, text_config } = read_json(&path.join("config.json")).ok()?;
            // A model that also sees or hears has the language model's numbers there.
            let config = text_config.as_ref().unwrap_or(&outer);
            // Transformers leaves out what is the family's default.
            let family = config.model_type.0.as_deref().unwrap_or_default();
            let tied = outer.tie_word_embeddings.or(config.tie_word_embeddings);
            let tied = tied.unwrap_or(family.starts_with("gemma"));
            let table = config.vocab_size.0.and_then(whole).zip(config.hidden_size.0.and_then(whole));
            return Some(Self { heads: Heads::of_config(config), tied, table });
        }
        let header = GgufFile::open_model(path).ok()?;
        let table = header.tensor("token_embd.weight").and_then(|tensor| match *tensor.shape() {
            [rows, columns] => Some((rows as u64, columns as u64)),
            _ => None,
        });
        let tied = header.tensor("output.weight").is_none();
        Some(Self { heads: Heads::of_header(&header), tied, table })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wrapped {
    #[serde(flatten)]
    whole: Config,
    text_config: Option<Config>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    model_type: Text,
    tie_word_embeddings: Option<bool>,
    num_attention_heads: Number,
    num_key_value_heads: Number,
    head_dim: Number,
    hidden_size: Number,
    vocab_size: Number,
}

/// A size that makes sense.
fn whole(v: f64) -> Option<u64> {
    (v.fract() == 0.0 && (1.0..=1e9).contains(&v)).then_some(v as u64)
}

impl Heads {
    fn of_config(config: &Config) -> Option<Self> {
        let (heads, hidden) = (config.num_attention_heads.0?, config.hidden_size.0);
        let size = config.head_dim.0.or_else(|| Some(hidden? / heads))?;
        Self::new(heads, config.num_key_value_heads.0, size)
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
        Some(Self { query: whole(query)?, key_value: whole(key_value.unwrap_or(query))?, size: whole(size)? })
    }
}

//! Mistral: Llama with a sliding window.

use super::family::{Config, DecoderSpec, Family, Registered, Result, llama_like};

pub(super) const FAMILY: Family = Family {
    name: "mistral",
    models: "Mistral",
    defaults: &[
        ("num_key_value_heads", 8.0),
        ("max_position_embeddings", 131_072.0),
        ("sliding_window", 4096.0),
    ],
    spec,
    tokenizer: Registered::GENERAL,
    gguf: None,
};

fn spec(config: &Config) -> Result<DecoderSpec> {
    Ok(DecoderSpec { sliding_window: config.window()?, ..llama_like(config)? })
}

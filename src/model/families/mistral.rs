//! Mistral: Llama with a sliding window.

use super::family::{Config, DecoderSpec, Family, Result, llama_like};

pub(super) const FAMILY: Family = Family { name: "mistral", models: "Mistral", spec, gguf: None };

fn spec(config: &Config) -> Result<DecoderSpec> {
    Ok(DecoderSpec { sliding_window: config.window()?, ..llama_like(config)? })
}

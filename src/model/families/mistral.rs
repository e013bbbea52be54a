//! Mistral: Llama with a sliding window.

use super::{Config, DecoderSpec, Family, Result};

pub(super) const FAMILY: Family = Family { name: "mistral", spec, gguf: None };

fn spec(config: &Config) -> Result<DecoderSpec> {
    Ok(DecoderSpec { sliding_window: config.window()?, ..super::llama_like(config)? })
}

//! Mistral: Llama with a sliding window.

use super::{Config, DecoderSpec, Result};

pub(super) fn spec(config: &Config) -> Result<DecoderSpec> {
    Ok(DecoderSpec { sliding_window: config.window()?, ..super::llama_like(config)? })
}

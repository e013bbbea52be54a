//! Llama 2 and 3, SmolLM2, TinyLlama.

use super::{Config, DecoderSpec, Result};

pub(super) fn spec(config: &Config) -> Result<DecoderSpec> {
    super::llama_like(config)
}

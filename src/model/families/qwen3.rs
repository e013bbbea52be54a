//! Qwen 3: a norm on each head of q and k.

use super::{Config, DecoderSpec, Result};

pub(super) fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = super::qwen2::spec(config)?;
    spec.bias.qkv = config.flag("attention_bias", false)?;
    spec.bias.o = spec.bias.qkv;
    spec.qk_norm = true;
    Ok(spec)
}

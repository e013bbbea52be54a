//! Qwen 3: a norm on each head of q and k.

use super::family::{Config, Conventions, DecoderSpec, Family, NormKind, Result};

pub(super) const FAMILY: Family =
    Family { name: "qwen3", models: "Qwen 3", spec, gguf: Some(Conventions::plain("qwen3")) };

fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = super::qwen2::spec(config)?;
    spec.bias.qkv = config.flag("attention_bias", false)?;
    spec.bias.o = spec.bias.qkv;
    spec.qk_norm = Some(NormKind::Rms { unit_offset: false });
    Ok(spec)
}

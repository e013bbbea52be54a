//! Qwen 3: a norm on each head of q and k.

use super::family::{Config, Conventions, DecoderSpec, Family, NormKind, Registered, Result};

pub(super) const FAMILY: Family = Family {
    name: "qwen3",
    models: "Qwen 3",
    defaults: &[
        ("num_key_value_heads", 32.0),
        ("head_dim", 128.0),
        ("max_position_embeddings", 32_768.0),
        ("sliding_window", 4096.0),
        ("max_window_layers", 28.0),
    ],
    spec,
    tokenizer: Registered::Default("Qwen2Tokenizer"),
    gguf: Some(Conventions::plain("qwen3")),
};

fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = super::qwen2::spec(config)?;
    spec.bias.qkv = config.flag("attention_bias", false)?;
    spec.bias.o = spec.bias.qkv;
    spec.qk_norm = Some(NormKind::Rms { unit_offset: false });
    Ok(spec)
}

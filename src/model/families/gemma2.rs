//! Gemma 2: norms before and after, soft caps, scaled embeddings, every second layer slides.

use super::{Config, DecoderSpec, Names, NormKind, Result};

pub(super) fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = super::llama_like(config)?;
    spec.norm = NormKind::Rms { unit_offset: true };
    spec.post_norms = true;
    // `hidden_act` is there too but transformers reads `hidden_activation`.
    spec.activation = super::activation(config, "hidden_activation", "gelu_pytorch_tanh")?;
    spec.sliding_window = config.window()?;
    spec.sliding_layers = match config.sliding_layers(spec.layers)? {
        Some(list) => list,
        None => (0..spec.layers).map(|layer| layer % 2 == 0).collect(),
    };
    let scalar = config.number("query_pre_attn_scalar")?.unwrap_or(256.0);
    spec.attention_scale = 1.0 / scalar.sqrt();
    spec.attention_softcap = config.number("attn_logit_softcapping")?;
    spec.final_softcap = config.number("final_logit_softcapping")?;
    spec.embed_scale = Some((spec.hidden as f64).sqrt());
    spec.tied = config.flag("tie_word_embeddings", true)?;
    spec.names = Names {
        mlp_norm: "pre_feedforward_layernorm",
        post_attn_norm: "post_attention_layernorm",
        post_mlp_norm: "post_feedforward_layernorm",
        ..super::LLAMA_NAMES
    };
    Ok(spec)
}

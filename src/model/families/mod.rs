//! The model families: each a short function from its configuration to a [`DecoderSpec`].

mod gemma2;
mod gpt_neox;
mod llama;
mod mistral;
mod phi;
mod phi3;
mod qwen2;
mod qwen3;

use super::config::Config;
use super::spec::{Activation, Biases, BlockKind, DecoderSpec, MlpLayout, Names, NormKind, QkvLayout};
use crate::Result;

type Reader = fn(&Config) -> Result<DecoderSpec>;

/// `model_type` and its reader.
const FAMILIES: [(&str, Reader); 8] = [
    ("gemma2", gemma2::spec),
    ("gpt_neox", gpt_neox::spec),
    ("llama", llama::spec),
    ("mistral", mistral::spec),
    ("phi", phi::spec),
    ("phi3", phi3::spec),
    ("qwen2", qwen2::spec),
    ("qwen3", qwen3::spec),
];

/// The decoder that a configuration describes.
///
/// # Errors
/// Unknown `model_type` (the known ones are named), missing or wrong fields.
pub fn spec(config: &Config) -> Result<DecoderSpec> {
    let known = || FAMILIES.map(|(name, _)| name).join(", ");
    let Some(kind) = config.text("model_type") else {
        return Err(config.error(format!("lacks \"model_type\" (known: {})", known())));
    };
    let Some((_, read)) = FAMILIES.iter().find(|(name, _)| *name == kind) else {
        return Err(config.error(format!("architecture \"{kind}\" is not supported (known: {})", known())));
    };
    let spec = read(config)?;
    check(config, &spec)?;
    Ok(spec)
}

/// What must hold in every family.
fn check(config: &Config, spec: &DecoderSpec) -> Result<()> {
    if !spec.heads.is_multiple_of(spec.kv_heads) {
        return Err(
            config.error(format!("{} attention heads cannot share {} key heads", spec.heads, spec.kv_heads))
        );
    }
    if !(spec.norm_eps > 0.0 && spec.attention_scale.is_finite()) {
        return Err(config.error("the norm's epsilon must be positive"));
    }
    Ok(())
}

/// Names shared by the families that follow Llama.
const LLAMA_NAMES: Names = Names {
    embed: "model.embed_tokens",
    final_norm: "model.norm",
    head: "lm_head",
    layer: "model.layers.{}.",
    attn_norm: "input_layernorm",
    mlp_norm: "post_attention_layernorm",
    post_attn_norm: "",
    post_mlp_norm: "",
    qkv: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    o: "self_attn.o_proj",
    q_norm: "self_attn.q_norm",
    k_norm: "self_attn.k_norm",
    mlp_in: &["mlp.gate_proj", "mlp.up_proj"],
    mlp_out: "mlp.down_proj",
};

fn activation(config: &Config, key: &str, default: &str) -> Result<Activation> {
    match config.text(key).unwrap_or(default) {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(config.error(format!("activation \"{other}\" is not supported"))),
    }
}

/// A Llama as its configuration says; the other families change what differs.
fn llama_like(config: &Config) -> Result<DecoderSpec> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let head_dim = config.size_or("head_dim", hidden / heads)?;
    let context = config.size_or("max_position_embeddings", 2048)?;
    let layers = config.size("num_hidden_layers")?;
    let (attention_bias, mlp_bias) = (config.flag("attention_bias", false)?, config.flag("mlp_bias", false)?);
    Ok(DecoderSpec {
        family: config.text("model_type").unwrap_or_default().to_string(),
        vocab: config.size("vocab_size")?,
        hidden,
        layers,
        heads,
        kv_heads: config.size_or("num_key_value_heads", heads)?,
        head_dim,
        intermediate: config.size("intermediate_size")?,
        context,
        norm: NormKind::Rms { unit_offset: false },
        norm_eps: config.number("rms_norm_eps")?.unwrap_or(1e-6),
        block: BlockKind::Sequential,
        post_norms: false,
        qk_norm: false,
        rope: config.rope(head_dim, context, 1.0)?,
        sliding_window: None,
        sliding_layers: Vec::new(),
        attention_scale: 1.0 / (head_dim as f64).sqrt(),
        attention_softcap: None,
        final_softcap: None,
        activation: activation(config, "hidden_act", "silu")?,
        qkv: QkvLayout::Split,
        mlp: MlpLayout::Gated,
        embed_scale: None,
        tied: config.flag("tie_word_embeddings", false)?,
        bias: Biases { qkv: attention_bias, o: attention_bias, mlp: mlp_bias, head: false },
        names: LLAMA_NAMES,
    })
}

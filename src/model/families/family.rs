//! What a family says about itself, and what most of them share with Llama.

pub(super) use crate::Result;
pub(super) use crate::model::checkpoint::gguf::{Conventions, Fields, Gguf};
pub(super) use crate::model::config::Config;
pub(super) use crate::model::spec::{
    Activation, Biases, BlockKind, DecoderSpec, MlpLayout, Names, NormKind, QkvLayout,
};
pub(super) use crate::model::tokenizer::Registered;
use crate::text::short;

/// Real models have some hundred; more would only make long lists.
const MAX_LAYERS: usize = 4096;

/// One family.
pub(super) struct Family {
    /// `model_type` of transformers.
    pub name: &'static str,
    /// The models of it, as their makers call them, for docs/base-model.md.
    pub models: &'static str,
    /// What transformers takes where its configuration lacks a field, as far as it differs from a Llama's.
    pub defaults: &'static [(&'static str, f64)],
    pub spec: fn(&Config) -> Result<DecoderSpec>,
    /// Class that transformers takes for its tokenizer, where that is in files older than `tokenizer.json`.
    pub tokenizer: Registered,
    /// How llama.cpp keeps it; absent where another family's architecture stands for it.
    pub gguf: Option<Conventions>,
}

/// Names shared by the families that follow Llama.
pub(super) const LLAMA_NAMES: Names = Names {
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

pub(super) fn activation(config: &Config, key: &str, default: &str) -> Result<Activation> {
    match config.text(key).unwrap_or(default) {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(config.error(format!(
            "activation \"{}\" is not supported (known: silu, swish, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu)",
            short(other)
        ))),
    }
}

/// A Llama as its configuration says; the other families change what differs.
pub(super) fn llama_like(config: &Config) -> Result<DecoderSpec> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let head_dim = config.size_or("head_dim", hidden / heads)?;
    let context = config.size_or("max_position_embeddings", 2048)?;
    let layers = config.size("num_hidden_layers")?;
    if layers > MAX_LAYERS {
        return Err(config.error(format!("\"num_hidden_layers\" is {layers}, more than any model has")));
    }
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
        qk_norm: None,
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

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
use super::gguf::{Fields, Gguf};
use super::spec::{
    Activation, Biases, BlockKind, DecoderSpec, MlpLayout, Names, NormKind, QkvLayout, RopeScaling,
};
use crate::Result;
use crate::library::short;

/// One family.
struct Family {
    /// `model_type` of transformers.
    name: &'static str,
    spec: fn(&Config) -> Result<DecoderSpec>,
    /// How llama.cpp keeps it; absent where another family's architecture stands for it.
    gguf: Option<GgufFamily>,
}

/// How llama.cpp keeps a family in GGUF files. Sizes, norms' epsilon, rotary settings and the names of
/// tensors are the same for all of them.
pub(crate) struct GgufFamily {
    /// `general.architecture`, and the prefix of the family's metadata keys.
    pub architecture: &'static str,
    /// Adds what only this family's configuration has.
    pub extra: fn(&Gguf, &mut Fields) -> Result<()>,
    /// Rows of q and k are interleaved pairs.
    pub interleaved: bool,
    /// Norm weights are stored as 1 + w where transformers has w.
    pub offset_norms: bool,
}

impl GgufFamily {
    /// A family that needs nothing special.
    const fn plain(architecture: &'static str) -> Self {
        Self { architecture, extra: |_, _| Ok(()), interleaved: false, offset_norms: false }
    }
}

static FAMILIES: [Family; 8] = [
    gemma2::FAMILY,
    gpt_neox::FAMILY,
    llama::FAMILY,
    mistral::FAMILY,
    phi::FAMILY,
    phi3::FAMILY,
    qwen2::FAMILY,
    qwen3::FAMILY,
];

/// `model_type` and GGUF conventions of an architecture.
pub(crate) fn of_gguf(architecture: &str) -> Option<(&'static str, &'static GgufFamily)> {
    FAMILIES.iter().find_map(|family| {
        let gguf = family.gguf.as_ref()?;
        (gguf.architecture == architecture).then_some((family.name, gguf))
    })
}

/// The architectures that [`of_gguf`] knows, for messages.
pub(crate) fn gguf_architectures() -> String {
    let known: Vec<&str> = FAMILIES.iter().filter_map(|f| Some(f.gguf.as_ref()?.architecture)).collect();
    known.join(", ")
}

/// The decoder that a configuration describes.
///
/// # Errors
/// Unknown `model_type` (the known ones are named), missing or wrong fields.
pub fn spec(config: &Config) -> Result<DecoderSpec> {
    let known = || FAMILIES.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    let Some(kind) = config.text("model_type") else {
        return Err(config.error(format!("lacks \"model_type\" (known: {})", known())));
    };
    let Some(family) = FAMILIES.iter().find(|f| f.name == kind) else {
        let kind = short(kind);
        return Err(config.error(format!("architecture \"{kind}\" is not supported (known: {})", known())));
    };
    let spec = (family.spec)(config)?;
    check(config, &spec)?;
    Ok(spec)
}

/// Real models have some hundred; more would only make long lists.
const MAX_LAYERS: usize = 4096;

/// What must hold in every family.
fn check(config: &Config, spec: &DecoderSpec) -> Result<()> {
    if !spec.heads.is_multiple_of(spec.kv_heads) {
        return Err(config.error(format!(
            "{} attention heads cannot share {} key heads: \"num_key_value_heads\" must divide \
                 \"num_attention_heads\"",
            spec.heads, spec.kv_heads
        )));
    }
    if spec.head_dim == 0 {
        let (hidden, heads) = (spec.hidden, spec.heads);
        return Err(config.error(format!("{heads} attention heads do not fit a hidden size of {hidden}")));
    }
    if !(spec.norm_eps > 0.0 && spec.norm_eps.is_finite()) {
        return Err(config.error("the norm's epsilon must be a positive number"));
    }
    if !(spec.attention_scale > 0.0 && spec.attention_scale.is_finite()) {
        return Err(config.error("the attention's scale must be a positive number"));
    }
    if let RopeScaling::Yarn { attention, .. } | RopeScaling::Long { attention, .. } = &spec.rope.scaling
        && !(*attention > 0.0 && attention.is_finite())
    {
        return Err(config.error("the rope scaling's lengths and factor give no attention factor"));
    }
    let caps = [spec.attention_softcap, spec.final_softcap];
    if caps.into_iter().flatten().any(|cap| !(cap > 0.0 && cap.is_finite())) {
        return Err(config.error("soft caps must be positive numbers"));
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
        other => Err(config.error(format!(
            "activation \"{}\" is not supported (known: silu, swish, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu)",
            short(other)
        ))),
    }
}

/// A Llama as its configuration says; the other families change what differs.
fn llama_like(config: &Config) -> Result<DecoderSpec> {
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

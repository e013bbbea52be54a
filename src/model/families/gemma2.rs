//! Gemma 2: norms before and after, soft caps, scaled embeddings, every second layer slides.

use super::family::{
    Config, Conventions, DecoderSpec, Family, Fields, Gguf, LLAMA_NAMES, Names, NormKind, Registered, Result,
    activation, llama_like,
};

pub(super) const FAMILY: Family = Family {
    name: "gemma2",
    models: "Gemma 2",
    defaults: &[
        ("num_key_value_heads", 4.0),
        ("head_dim", 256.0),
        ("max_position_embeddings", 8192.0),
        ("sliding_window", 4096.0),
        ("attn_logit_softcapping", 50.0),
        ("final_logit_softcapping", 30.0),
    ],
    spec,
    tokenizer: Registered::Default("GemmaTokenizer"),
    gguf: Some(Conventions { extra: gguf, offset_norms: true, ..Conventions::plain("gemma2") }),
};

fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    spec.norm = NormKind::Rms { unit_offset: true };
    spec.post_norms = true;
    // `hidden_act` is there too but transformers reads `hidden_activation`.
    spec.activation = activation(config, "hidden_activation", "gelu_pytorch_tanh")?;
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
        ..LLAMA_NAMES
    };
    Ok(spec)
}

fn gguf(file: &Gguf, fields: &mut Fields) -> Result<()> {
    for (ours, theirs) in [
        ("attn_logit_softcapping", "attn_logit_softcapping"),
        ("final_logit_softcapping", "final_logit_softcapping"),
    ] {
        if let Some(cap) = file.number(theirs)? {
            fields.insert(ours.into(), cap.into());
        }
    }
    fields.insert("sliding_window".into(), file.whole("attention.sliding_window").into());
    // Files do not keep the scale: it is one over the root of the head's width, but for the 27B model.
    let number = |key: &str| fields.get(key).and_then(|v| v.as_f64());
    let (Some(hidden), Some(heads), Some(head), Some(layers)) = (
        number("hidden_size"),
        number("num_attention_heads"),
        number("head_dim"),
        number("num_hidden_layers"),
    ) else {
        return Ok(());
    };
    let scalar = match file.number("attention.scale")? {
        Some(scale) if scale > 0.0 => scale.powi(-2),
        _ if layers == 46.0 => hidden / heads,
        _ => head,
    };
    fields.insert("query_pre_attn_scalar".into(), scalar.into());
    Ok(())
}

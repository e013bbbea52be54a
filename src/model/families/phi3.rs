//! Phi-3: Llama with fused q, k, v and fused gate, up; LongRoPE.

use super::family::{
    Config, Conventions, DecoderSpec, Family, Fields, Gguf, LLAMA_NAMES, MlpLayout, Names, QkvLayout,
    Registered, Result, llama_like,
};

pub(super) const FAMILY: Family = Family {
    name: "phi3",
    models: "Phi-3",
    defaults: &[
        ("max_position_embeddings", 4096.0),
        ("original_max_position_embeddings", 4096.0),
        ("rms_norm_eps", 1e-5),
    ],
    spec,
    tokenizer: Registered::GENERAL,
    gguf: Some(Conventions { extra: gguf, ..Conventions::plain("phi3") }),
};

fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    spec.sliding_window = config.window()?;
    spec.qkv = QkvLayout::Fused;
    spec.mlp = MlpLayout::GatedFused;
    spec.names = Names { qkv: &["self_attn.qkv_proj"], mlp_in: &["mlp.gate_up_proj"], ..LLAMA_NAMES };
    Ok(spec)
}

fn gguf(file: &Gguf, fields: &mut Fields) -> Result<()> {
    fields.insert("sliding_window".into(), file.whole("attention.sliding_window").into());
    Ok(())
}

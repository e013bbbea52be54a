//! Llama 2 and 3, SmolLM2, TinyLlama.

use super::family::{Config, Conventions, DecoderSpec, Family, Fields, Gguf, Registered, Result, llama_like};

pub(super) const FAMILY: Family = Family {
    name: "llama",
    models: "Llama 2 and 3, SmolLM2, TinyLlama",
    defaults: &[],
    spec,
    tokenizer: Registered::Nothing,
    gguf: Some(Conventions { extra: gguf, interleaved: true, ..Conventions::plain("llama") }),
};

fn spec(config: &Config) -> Result<DecoderSpec> {
    llama_like(config)
}

/// Mistral is stored as a Llama; it is recognised by its window, where that was stored.
fn gguf(file: &Gguf, fields: &mut Fields) -> Result<()> {
    if let Some(window) = file.whole("attention.sliding_window") {
        fields.insert("model_type".into(), "mistral".into());
        fields.insert("sliding_window".into(), window.into());
    }
    fields.insert("attention_bias".into(), file.holds("blk.0.attn_q.bias").into());
    fields.insert("mlp_bias".into(), file.holds("blk.0.ffn_up.bias").into());
    Ok(())
}

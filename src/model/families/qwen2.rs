//! Qwen 2 and 2.5: biases on q, k and v.

use super::family::{Biases, Config, Conventions, DecoderSpec, Family, Registered, Result, llama_like};

pub(super) const FAMILY: Family = Family {
    name: "qwen2",
    models: "Qwen 2 and 2.5",
    defaults: &[
        ("num_key_value_heads", 32.0),
        ("max_position_embeddings", 32_768.0),
        ("sliding_window", 4096.0),
        ("max_window_layers", 28.0),
    ],
    spec,
    tokenizer: Registered::Always("Qwen2Tokenizer"),
    gguf: Some(Conventions::plain("qwen2")),
};

pub(super) fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    spec.bias = Biases { qkv: true, ..Biases::default() };
    if config.flag("use_sliding_window", false)? {
        spec.sliding_window = config.window()?;
        // Without a list, the first `max_window_layers` see everything.
        let first = config.number("max_window_layers")?.map_or(spec.layers, |n| n as usize);
        spec.sliding_layers = match config.sliding_layers(spec.layers)? {
            Some(list) => list,
            None => (0..spec.layers).map(|layer| layer >= first).collect(),
        };
    }
    Ok(spec)
}

//! GPT-NeoX (Pythia): parallel blocks on two layer norms, q, k, v fused head by head.

use super::family::{
    Biases, BlockKind, Config, Conventions, DecoderSpec, Family, Fields, Gguf, LLAMA_NAMES, MlpLayout, Names,
    NormKind, QkvLayout, Registered, Result, activation, llama_like,
};

pub(super) const FAMILY: Family = Family {
    name: "gpt_neox",
    models: "GPT-NeoX, Pythia",
    defaults: &[],
    spec,
    tokenizer: Registered::Default("GPTNeoXTokenizer"),
    gguf: Some(Conventions { extra: gguf, ..Conventions::plain("gptneox") }),
};

fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    let bias = config.flag("attention_bias", true)?;
    spec.norm = NormKind::Layer;
    spec.norm_eps = config.number("layer_norm_eps")?.unwrap_or(1e-5);
    spec.block = if config.flag("use_parallel_residual", true)? {
        BlockKind::Parallel { shared_norm: false }
    } else {
        BlockKind::Sequential
    };
    spec.activation = activation(config, "hidden_act", "gelu")?;
    spec.rope = config.rope(spec.head_dim, spec.context, 0.25)?;
    spec.qkv = QkvLayout::FusedPerHead;
    spec.mlp = MlpLayout::Plain;
    spec.bias = Biases { qkv: bias, o: bias, mlp: true, head: false };
    spec.names = Names {
        embed: "gpt_neox.embed_in",
        final_norm: "gpt_neox.final_layer_norm",
        head: "embed_out",
        layer: "gpt_neox.layers.{}.",
        qkv: &["attention.query_key_value"],
        o: "attention.dense",
        mlp_in: &["mlp.dense_h_to_4h"],
        mlp_out: "mlp.dense_4h_to_h",
        ..LLAMA_NAMES
    };
    Ok(spec)
}

fn gguf(file: &Gguf, fields: &mut Fields) -> Result<()> {
    let parallel = file.flag("use_parallel_residual").unwrap_or(true);
    fields.insert("use_parallel_residual".into(), parallel.into());
    Ok(())
}

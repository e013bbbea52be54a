//! Phi-1, 1.5 and 2: parallel blocks on one layer norm, biases everywhere, partial rotation, sometimes norms of q's and k's heads.

use super::family::{
    Biases, BlockKind, Config, Conventions, DecoderSpec, Family, LLAMA_NAMES, MlpLayout, Names, NormKind,
    Registered, Result, activation, llama_like,
};

pub(super) const FAMILY: Family = Family {
    name: "phi",
    models: "Phi-1, 1.5 and 2",
    defaults: &[],
    spec,
    tokenizer: Registered::Default("GPT2Tokenizer"),
    gguf: Some(Conventions::plain("phi2")),
};

fn spec(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    spec.norm = NormKind::Layer;
    spec.norm_eps = config.number("layer_norm_eps")?.unwrap_or(1e-5);
    spec.qk_norm = config.flag("qk_layernorm", false)?.then_some(NormKind::Layer);
    spec.block = BlockKind::Parallel { shared_norm: true };
    spec.activation = activation(config, "hidden_act", "gelu_new")?;
    spec.rope = config.rope(spec.head_dim, spec.context, 0.5)?;
    spec.mlp = MlpLayout::Plain;
    spec.bias = Biases { qkv: true, o: true, mlp: true, head: true };
    spec.names = Names {
        final_norm: "model.final_layernorm",
        o: "self_attn.dense",
        q_norm: "self_attn.q_layernorm",
        k_norm: "self_attn.k_layernorm",
        mlp_in: &["mlp.fc1"],
        mlp_out: "mlp.fc2",
        ..LLAMA_NAMES
    };
    Ok(spec)
}

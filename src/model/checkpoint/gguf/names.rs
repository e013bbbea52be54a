//! GGUF names of tensors. They follow from a tensor's part in the decoder, so that one table serves every
//! family.

use crate::library::gguf::{GgufFile, GgufTensor};
use crate::model::spec::{DecoderSpec, MlpLayout, QkvLayout};

/// What matters about a tensor's part when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Q,
    K,
    V,
    /// q, k and v in one, which transformers has head by head.
    PerHead,
    Other,
}

/// Rows of a matrix that has more than what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub first: usize,
    /// Rows of the whole.
    pub of: usize,
}

/// Where a tensor is.
pub(super) struct Found<'a> {
    pub tensor: &'a GgufTensor,
    pub role: Role,
    pub part: Option<Part>,
}

/// GGUF name and role of a tensor of transformers.
fn name_and_role(spec: &DecoderSpec, name: &str) -> Option<(String, Role)> {
    let n = &spec.names;
    let (stem, kind) = name.rsplit_once('.')?;
    for (whole, short) in [(n.embed, "token_embd"), (n.final_norm, "output_norm"), (n.head, "output")] {
        if stem == whole {
            return Some((format!("{short}.{kind}"), Role::Other));
        }
    }
    let (before, after) = n.layer.split_once("{}")?;
    let (layer, stem) = stem.strip_prefix(before)?.split_once(after)?;
    let (short, role) = match stem {
        s if s == n.attn_norm => ("attn_norm", Role::Other),
        s if s == n.mlp_norm => ("ffn_norm", Role::Other),
        s if s == n.post_attn_norm => ("post_attention_norm", Role::Other),
        s if s == n.post_mlp_norm => ("post_ffw_norm", Role::Other),
        s if s == n.q_norm => ("attn_q_norm", Role::Other),
        s if s == n.k_norm => ("attn_k_norm", Role::Other),
        s if s == n.o => ("attn_output", Role::Other),
        s if s == n.mlp_out => ("ffn_down", Role::Other),
        s => match (n.qkv.iter().position(|q| *q == s), n.mlp_in.iter().position(|m| *m == s)) {
            (Some(0), _) if spec.qkv == QkvLayout::FusedPerHead => ("attn_qkv", Role::PerHead),
            (Some(0), _) if spec.qkv == QkvLayout::Fused => ("attn_qkv", Role::Other),
            (Some(0), _) => ("attn_q", Role::Q),
            (Some(1), _) => ("attn_k", Role::K),
            (Some(2), _) => ("attn_v", Role::V),
            (_, Some(0)) if spec.mlp == MlpLayout::Gated => ("ffn_gate", Role::Other),
            (_, Some(_)) => ("ffn_up", Role::Other),
            _ => return None,
        },
    };
    Some((format!("blk.{layer}.{short}.{kind}"), role))
}

/// The GGUF name of a tensor of transformers.
pub(super) fn of(spec: &DecoderSpec, name: &str) -> Option<String> {
    name_and_role(spec, name).map(|(name, _)| name)
}

/// The tensor that has what transformers calls `name`.
pub(super) fn find<'a>(file: &'a GgufFile, spec: &DecoderSpec, name: &str) -> Option<Found<'a>> {
    let (name, role) = name_and_role(spec, name)?;
    if let Some(tensor) = file.tensor(&name) {
        return Some(Found { tensor, role, part: None });
    }
    // Older files have q, k and v of Phi-2 in one matrix.
    let (q, kv) = (spec.q_width(), spec.kv_width());
    let (short, first) = match role {
        Role::Q => ("attn_q", 0),
        Role::K => ("attn_k", q),
        Role::V => ("attn_v", q + kv),
        _ => return None,
    };
    let tensor = file.tensor(&name.replace(short, "attn_qkv"))?;
    Some(Found { tensor, role, part: Some(Part { first, of: q + 2 * kv }) })
}

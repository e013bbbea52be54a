//! Names and shapes of everything that a decoder's specification asks of its files.

use super::spec::{BlockKind, DecoderSpec, MlpLayout, NormKind, QkvLayout};

/// A linear layer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinearShape {
    /// Its path within the block.
    pub name: &'static str,
    pub in_features: usize,
    pub out_features: usize,
    pub bias: bool,
}

impl DecoderSpec {
    /// The prefix of a block's names: `model.layers.3.`.
    pub(crate) fn prefix(&self, layer: usize) -> String {
        self.names.layer.replace("{}", &layer.to_string())
    }

    /// The linear layers of each block: those of q, k and v, o, the first of the MLP, its last.
    pub(crate) fn linear_shapes(&self) -> Vec<LinearShape> {
        let (n, hidden, inner, q, kv) =
            (&self.names, self.hidden, self.intermediate, self.q_width(), self.kv_width());
        let of =
            |name, in_features, out_features, bias| LinearShape { name, in_features, out_features, bias };
        let qkv: &[usize] = match self.qkv {
            QkvLayout::Split => &[q, kv, kv],
            QkvLayout::Fused | QkvLayout::FusedPerHead => &[q + 2 * kv],
        };
        let mlp: &[usize] = match self.mlp {
            MlpLayout::Gated => &[inner, inner],
            MlpLayout::GatedFused => &[2 * inner],
            MlpLayout::Plain => &[inner],
        };
        let mut all: Vec<LinearShape> =
            n.qkv.iter().zip(qkv).map(|(name, &width)| of(name, hidden, width, self.bias.qkv)).collect();
        all.push(of(n.o, q, hidden, self.bias.o));
        all.extend(n.mlp_in.iter().zip(mlp).map(|(name, &width)| of(name, hidden, width, self.bias.mlp)));
        all.push(of(n.mlp_out, inner, hidden, self.bias.mlp));
        all
    }

    /// The norms of each block, their widths and kinds.
    fn norm_shapes(&self) -> Vec<(&'static str, usize, NormKind)> {
        let n = &self.names;
        let mut all = vec![(n.attn_norm, self.hidden, self.norm)];
        if self.block != (BlockKind::Parallel { shared_norm: true }) {
            all.push((n.mlp_norm, self.hidden, self.norm));
        }
        if self.post_norms {
            all.extend([n.post_attn_norm, n.post_mlp_norm].map(|name| (name, self.hidden, self.norm)));
        }
        if let Some(kind) = self.qk_norm {
            all.extend([n.q_norm, n.k_norm].map(|name| (name, self.head_dim, kind)));
        }
        all
    }

    /// Every tensor that must be there, with its shape, in the order of the network.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>)> + '_ {
        let norm = |name: String, width: usize, kind: NormKind| {
            let bias = (kind == NormKind::Layer).then(|| (format!("{name}.bias"), vec![width]));
            std::iter::once((format!("{name}.weight"), vec![width])).chain(bias)
        };
        let embedding = (format!("{}.weight", self.names.embed), vec![self.vocab, self.hidden]);
        let layers = (0..self.layers).flat_map(move |layer| {
            let prefix = self.prefix(layer);
            let mut all = Vec::new();
            for (name, width, kind) in self.norm_shapes() {
                all.extend(norm(format!("{prefix}{name}"), width, kind));
            }
            for l in self.linear_shapes() {
                all.push((format!("{prefix}{}.weight", l.name), vec![l.out_features, l.in_features]));
                if l.bias {
                    all.push((format!("{prefix}{}.bias", l.name), vec![l.out_features]));
                }
            }
            all
        });
        let last = norm(self.names.final_norm.to_string(), self.hidden, self.norm);
        let head =
            (!self.tied).then(|| (format!("{}.weight", self.names.head), vec![self.vocab, self.hidden]));
        let bias =
            (!self.tied && self.bias.head).then(|| (format!("{}.bias", self.names.head), vec![self.vocab]));
        std::iter::once(embedding).chain(layers).chain(last).chain(head).chain(bias)
    }
}

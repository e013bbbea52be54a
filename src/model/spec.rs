//! A decoder-only transformer described by data: everything in which the families differ.

/// Normalisation before (and in Gemma 2 also after) attention and MLP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NormKind {
    /// x / rms(x) · w, or · (1 + w) with `unit_offset`.
    Rms { unit_offset: bool },
    /// (x − mean) / std · w + b.
    Layer,
}

/// How attention and MLP are put together in a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BlockKind {
    /// x + attention(norm x), then x + mlp(norm x).
    Sequential,
    /// x + attention(norm₁ x) + mlp(norm₂ x); with `shared_norm` both read the same norm.
    Parallel {
        /// Whether attention and MLP read the same norm.
        shared_norm: bool,
    },
}

/// The non-linearity of the MLP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    Silu,
    /// With the error function.
    Gelu,
    /// With the tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    Relu,
}

/// How query, key and value weights are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QkvLayout {
    /// Three matrices.
    Split,
    /// One matrix, rows of q, then of k, then of v (Phi-3).
    Fused,
    /// One matrix, rows of q, k and v of head 0, then of head 1, … (GPT-NeoX).
    FusedPerHead,
}

/// How the MLP's first matrices are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MlpLayout {
    /// act(gate x) · up x from two matrices.
    Gated,
    /// The same from one matrix, rows of gate, then of up (Phi-3).
    GatedFused,
    /// act(up x).
    Plain,
}

/// Rescaling of rotary frequencies for long contexts.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    /// All frequencies divided by `factor`; the context of training was `original`.
    Linear {
        factor: f64,
        original: usize,
    },
    /// Past `original` tokens the base of the powers grows with the length, by a factor of the context.
    Dynamic {
        factor: f64,
        original: usize,
    },
    /// Llama 3: long wavelengths divided by `factor`, short ones kept, a smooth ramp between.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
    /// YaRN: a ramp over dimensions between kept and divided frequencies; cos and sin times `attention`.
    Yarn {
        factor: f64,
        original: f64,
        beta_fast: f64,
        beta_slow: f64,
        attention: f64,
        truncate: bool,
    },
    /// Phi-3's LongRoPE: a divisor per dimension; long ones once the context passes `original`.
    Long {
        short: Vec<f64>,
        long: Vec<f64>,
        original: usize,
        attention: f64,
    },
}

impl RopeScaling {
    /// How many tokens a model reaches whose configuration says `context`: rescalings that stretch the context of
    /// training by a factor often stand beside that context.
    pub fn reach(&self, context: usize) -> usize {
        let stretched = match self {
            Self::Linear { factor, original } => *original as f64 * factor,
            Self::Dynamic { factor, original } => *original as f64 * factor,
            Self::Llama3 { factor, original, .. } | Self::Yarn { factor, original, .. } => original * factor,
            Self::None | Self::Long { .. } => 0.0,
        };
        // A length beyond this means nothing, and sums of it must fit.
        (stretched.min(f64::from(u32::MAX)) as usize).max(context)
    }
}

/// Rotary position embedding of the half-split layout (dimension i rotates with i + rotary/2).
#[derive(Clone, Debug, PartialEq)]
pub struct RopeSpec {
    pub theta: f64,
    /// How many of a head's dimensions rotate.
    pub dim: usize,
    pub scaling: RopeScaling,
}

/// Tensor names of a family; `{}` stands for the layer number.
#[derive(Clone, Debug, PartialEq)]
pub struct Names {
    pub embed: &'static str,
    pub final_norm: &'static str,
    pub head: &'static str,
    /// Prefix of one layer, with a dot at the end.
    pub layer: &'static str,
    pub attn_norm: &'static str,
    pub mlp_norm: &'static str,
    pub post_attn_norm: &'static str,
    pub post_mlp_norm: &'static str,
    /// q, k, v; or the fused matrix alone.
    pub qkv: &'static [&'static str],
    pub o: &'static str,
    pub q_norm: &'static str,
    pub k_norm: &'static str,
    /// gate, up; or the fused or only matrix alone.
    pub mlp_in: &'static [&'static str],
    pub mlp_out: &'static str,
}

/// One decoder, described.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// `model_type` of transformers.
    pub family: String,
    /// Tokens that the embedding has.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Longest context in tokens.
    pub context: usize,
    /// Which norm.
    pub norm: NormKind,
    /// What it adds to the variance.
    pub norm_eps: f64,
    /// How attention and MLP are put together.
    pub block: BlockKind,
    /// Norms also after attention and MLP, before the residual sum (Gemma 2).
    pub post_norms: bool,
    /// Norm of each head of q and k before the rotation (Qwen 3; Phi with `qk_layernorm`).
    pub qk_norm: Option<NormKind>,
    /// Rotary position embedding.
    pub rope: RopeSpec,
    /// A query sees this many positions, itself included.
    pub sliding_window: Option<usize>,
    /// Which layers slide; empty means all of them.
    pub sliding_layers: Vec<bool>,
    /// Scores are multiplied by this.
    pub attention_scale: f64,
    /// s → cap · tanh(s / cap).
    pub attention_softcap: Option<f64>,
    /// Bound of the logits: c·tanh(x/c).
    pub final_softcap: Option<f64>,
    /// Inside the MLP.
    pub activation: Activation,
    /// How q, k and v are stored.
    pub qkv: QkvLayout,
    /// How the MLP's projections are stored.
    pub mlp: MlpLayout,
    /// Embeddings are multiplied by this.
    pub embed_scale: Option<f64>,
    /// The head is the embedding.
    pub tied: bool,
    /// The family's linear layers have biases in attention (q, k, v), in o, in the MLP, in the head.
    pub bias: Biases,
    /// Names of the tensors.
    pub names: Names,
}

/// Where a family has biases.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Biases {
    pub qkv: bool,
    pub o: bool,
    pub mlp: bool,
    pub head: bool,
}

impl DecoderSpec {
    /// The window of one layer, if it slides.
    pub fn window(&self, layer: usize) -> Option<usize> {
        let slides = self.sliding_layers.get(layer).copied().unwrap_or(true);
        self.sliding_window.filter(|_| slides)
    }

    /// Whether q, k and v are layers of their own.
    pub fn has_split_qkv(&self) -> bool {
        self.qkv == QkvLayout::Split
    }

    /// Width of all query heads together.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

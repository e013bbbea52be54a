//! The arguments of operations besides the values they work on.

use std::ops::Range;

use candle_core::Tensor;

use super::dropout::Dropout;
use crate::Result;
use crate::model::constant::DeviceConst;
use crate::model::spec::NormKind;

/// Weights of a normalisation.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Path in transformers: `model.layers.3.input_layernorm`.
    pub name: String,
    /// What is taken out of a row.
    pub kind: NormKind,
    /// Added to the variance.
    pub eps: f32,
    /// [width]; `unit_offset` is already added.
    pub weight: DeviceConst,
    /// [width], for [`NormKind::Layer`].
    pub bias: Option<DeviceConst>,
}

impl Norm {
    /// The weight as files store it.
    pub(crate) fn stored_weight(&self) -> Vec<f32> {
        let offset = if self.kind == (NormKind::Rms { unit_offset: true }) { 1.0 } else { 0.0 };
        self.weight.iter().map(|w| w - offset).collect()
    }
}

/// Shape and masking of one layer's attention.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values, a divisor of the heads of queries.
    pub kv_heads: usize,
    /// Values per head.
    pub head_dim: usize,
    /// Factor on q · k.
    pub scale: f32,
    /// How many tokens each token sees, itself included; `None` for all before it.
    pub window: Option<usize>,
    /// Scores s become cap · tanh(s / cap).
    pub softcap: Option<f32>,
}

impl Attention {
    /// Width of a row of queries.
    pub(crate) fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of a row of keys or values.
    pub(crate) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

/// One sequence's part of a batch: `len` new rows from `start`, after `past` rows that are in its cache. The
/// segments of a batch follow one another without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First row of the sequence in the batch.
    pub start: usize,
    /// Number of its rows.
    pub len: usize,
    /// Rows that are in its cache already.
    pub past: usize,
}

/// A LoRA in training at one linear layer: y += s·B A x.
#[derive(Clone, Copy, Debug)]
pub struct LoraFactors<'a> {
    /// Rows of A.
    pub rank: usize,
    /// s.
    pub scale: f32,
    /// A [rank, in].
    pub a: &'a [f32],
    /// Bᵀ [rank, out].
    pub bt: &'a [f32],
    /// What is dropped from x.
    pub dropout: Option<Dropout>,
}

/// The rows of a batch that one LoRA in training works on. Where several share a batch, their rows stand in order and
/// do not overlap; rows between them have no LoRA.
#[derive(Clone, Debug)]
pub struct LoraPart<'a> {
    /// Of x and y.
    pub rows: Range<usize>,
    /// What is added to them.
    pub factors: LoraFactors<'a>,
}

/// Where the gradients of a LoRA in training are added.
#[derive(Debug)]
pub struct LoraGradients<'a> {
    /// Of A [rank, in].
    pub a: &'a mut [f32],
    /// Of Bᵀ [rank, out].
    pub bt: &'a mut [f32],
}

/// What the layers above the model add to the output y [rows, out] of a linear layer with input x [rows, in], with
/// one body for each implementation of [`super::Ops`].
pub trait Delta {
    /// Adds to `y`.
    fn on_host(&self, x: &[f32], y: &mut [f32]);

    /// `y` with what is added; `None` where only the host can do it.
    ///
    /// # Errors
    /// Those of the device.
    fn on_device(&self, x: &Tensor, y: &Tensor) -> Result<Option<Tensor>>;
}

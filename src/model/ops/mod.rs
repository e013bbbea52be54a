//! Everything the decoder, routing and training compute on whole batches, behind one trait. A model is loaded with
//! one implementation: [`HostOps`], kernels over slices for the CPU, or [`DeviceOps`], candle's operations, which
//! every device has. Nobody above asks where the values are.

mod activations;
mod arguments;
mod device;
mod dropout;
mod host;
#[cfg(test)]
pub(super) mod tests;
mod weight;

use std::fmt::Debug;
use std::ops::Range;

use candle_core::Device;

pub use activations::Activations;
pub use arguments::{Attention, Delta, LoraFactors, LoraGradients, LoraPart, Norm, Segment};
pub use device::DeviceOps;
pub use dropout::{Dropout, spread_bits};
pub use host::HostOps;
pub use weight::Weight;

use super::constant::DeviceConst;
use super::kv_cache::KvLayer;
use super::packed::row_block::ReadRows;
use super::precision::Precision;
use super::rope::RopeTable;
use super::spec::Activation;
use crate::Result;

/// The operations. All values are f32 of shape [rows, width]; what is written is `&mut`. Every method fails only
/// as its device does.
pub trait Ops: Debug + Send + Sync {
    /// Where the values are.
    fn device(&self) -> &Device;

    /// The weight [out, in] that `read` gives, stored in this precision.
    fn load_weight(&self, precision: Precision, shape: (usize, usize), read: &ReadRows) -> Result<Weight>;

    /// Zeros.
    fn zeros(&self, rows: usize, width: usize) -> Result<Activations>;

    /// Normalises each row of `x`, or each stretch as long as the norm's weight in it (q/k norms).
    fn norm(&self, norm: &Norm, x: &Activations) -> Result<Activations>;

    /// Gradient of [`Self::norm`] with respect to `x`, given that of the output. The weights are frozen.
    fn norm_backward(&self, norm: &Norm, x: &Activations, dy: &Activations) -> Result<Activations>;

    /// act(x).
    fn activate(&self, kind: Activation, x: &Activations) -> Result<Activations>;

    /// Gradient of [`Self::activate`].
    fn activate_backward(&self, kind: Activation, x: &Activations, dy: &Activations) -> Result<Activations>;

    /// act(gate) · up.
    fn gated(&self, kind: Activation, gate: &Activations, up: &Activations) -> Result<Activations>;

    /// Gradients of [`Self::gated`] with respect to gate and up.
    fn gated_backward(
        &self,
        kind: Activation,
        gate: &Activations,
        up: &Activations,
        dy: &Activations,
    ) -> Result<(Activations, Activations)>;

    /// y += x.
    fn add(&self, y: &mut Activations, x: &Activations) -> Result<()>;

    /// Adds a vector to every row.
    fn add_bias(&self, y: &mut Activations, bias: &DeviceConst) -> Result<()>;

    /// y *= factor.
    fn scale(&self, y: &mut Activations, factor: f32) -> Result<()>;

    /// s → cap · tanh(s / cap).
    fn softcap(&self, y: &mut Activations, cap: f32) -> Result<()>;

    /// Some columns of `x`, as values of their own.
    fn columns(&self, x: &Activations, columns: Range<usize>) -> Result<Activations>;

    /// The columns of all parts, side by side.
    fn concat_columns(&self, parts: &[&Activations]) -> Result<Activations>;

    /// Rows of `x` by number.
    fn select_rows(&self, x: &Activations, rows: &[usize]) -> Result<Activations>;

    /// Adds the rows of `part` to rows of `y` that are zero so far, each at its number in `rows`, which differ.
    fn put_rows(&self, y: &mut Activations, part: &Activations, rows: &[usize]) -> Result<()>;

    /// Rotates every head of `x` [rows, heads · head_dim] by the angles of its position. `sign` is 1, or −1 for
    /// the backward pass (the transpose).
    fn rotate(&self, x: &mut Activations, table: &RopeTable, sign: f32) -> Result<()>;

    /// Causal attention: mixed values [rows, heads · head_dim] for queries `q` of the same shape, from the keys
    /// and values [rows, kv_heads · head_dim] of the same tokens.
    fn attention(
        &self,
        attention: &Attention,
        qkv: [&Activations; 3],
        segments: &[Segment],
    ) -> Result<Activations>;

    /// [`Self::attention`] with the keys and values of each segment in its cache, those of its own tokens
    /// included.
    fn attention_cached(
        &self,
        attention: &Attention,
        q: &Activations,
        segments: &[Segment],
        cached: &[&KvLayer],
    ) -> Result<Activations>;

    /// Gradients of q, k, v for segments without a past, given that of the output.
    fn attention_backward(
        &self,
        attention: &Attention,
        qkv: [&Activations; 3],
        dout: &Activations,
        segments: &[Segment],
    ) -> Result<[Activations; 3]>;

    /// Appends some rows of `k` and `v` to a layer of a cache.
    fn append(&self, layer: &mut KvLayer, k: &Activations, v: &Activations, rows: Range<usize>)
    -> Result<()>;

    /// x · prototypeᵀ [rows, experts], on the host, where experts are chosen. `prototypes` are [experts, in].
    fn scores(&self, x: &Activations, prototypes: &DeviceConst) -> Result<Vec<f32>>;

    /// y [rows, out] += what `delta` makes of x [rows, in].
    fn add_delta(&self, delta: &dyn Delta, x: &Activations, y: &mut Activations) -> Result<()>;

    /// y [rows, out] += s·B A x for x [rows, in], each part's rows with its own A and B.
    fn add_lora(&self, parts: &[LoraPart], x: &Activations, y: &mut Activations) -> Result<()>;

    /// Backward pass of [`Self::add_lora`], given the gradient of the output: adds the gradients of each part's A and
    /// Bᵀ to its `gradients`, and that of x to `dx`, if it is wanted. What a part gets is, to the last bit on the host,
    /// what it would get alone.
    fn lora_backward(
        &self,
        parts: &[LoraPart],
        gradients: &mut [LoraGradients],
        x: &Activations,
        dy: &Activations,
        dx: Option<&mut Activations>,
    ) -> Result<()>;

    /// Cross-entropy in nats of each row of `logits` [rows, vocabulary], which has one target and one weight. With
    /// `gradient` the logits become the gradient of the weighted sum, before the soft cap of the logits; without, they
    /// are used up.
    fn cross_entropy(
        &self,
        logits: &mut Activations,
        targets: &[u32],
        weights: &[f32],
        softcap: Option<f32>,
        gradient: bool,
    ) -> Result<Vec<f64>>;
}

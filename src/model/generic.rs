//! The decoder's parts as operations that candle has for every device: what runs on a GPU. On the CPU the
//! kernels of [`super::ops`], [`super::attention`] and [`super::rope`] do the same faster; tests compare the
//! two. All tensors are f32 and of shape [rows, width] unless said otherwise.

use std::cell::Cell;

use candle_core::{D, DType, Tensor};

use super::attention::{Attention, Segment};
use super::row::Row;
use super::spec::{Activation, NormKind};
use crate::Result;

thread_local! {
    static EVERYWHERE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` with the operations of a GPU also on the CPU, so that they can be tested without one.
pub fn with_generic_operations<T>(f: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            EVERYWHERE.set(self.0);
        }
    }
    let _restore = Restore(EVERYWHERE.replace(true));
    f()
}

/// Whether work on `x` goes through this module.
pub(crate) fn wanted(x: &Tensor) -> bool {
    on(x.device())
}

/// Whether a model on `device` runs through this module.
pub(crate) fn on(device: &candle_core::Device) -> bool {
    !device.is_cpu() || EVERYWHERE.get()
}

/// `y` := `new`, in place. Both contiguous.
pub(crate) fn assign(y: &Tensor, new: &Tensor) -> Result<()> {
    Ok(y.slice_set(&new.contiguous()?, 0, 0)?)
}

/// y += x, in place.
pub(crate) fn add_assign(y: &Tensor, x: &Tensor) -> Result<()> {
    assign(y, &(y + x)?)
}

/// `values` on the device of `like`.
pub(crate) fn upload(values: &[f32], shape: impl Into<candle_core::Shape>, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::from_slice(values, shape.into(), like.device())?)
}

/// Rows of `x` by number.
pub(crate) fn select_rows(x: &Tensor, rows: &[usize]) -> Result<Tensor> {
    let rows: Vec<u32> = rows.iter().map(|&r| r as u32).collect();
    Ok(x.index_select(&Tensor::from_slice(&rows, rows.len(), x.device())?, 0)?)
}

/// The rows of `part` at their places in `total` rows of zeros.
pub(crate) fn scatter_rows(part: &Tensor, rows: &[usize], total: usize) -> Result<Tensor> {
    let rows: Vec<u32> = rows.iter().map(|&r| r as u32).collect();
    let rows = Tensor::from_slice(&rows, rows.len(), part.device())?;
    let zeros = Tensor::zeros((total, part.dim(1)?), part.dtype(), part.device())?;
    Ok(zeros.index_add(&rows, part, 0)?)
}

/// x̂ and 1 / deviation of each stretch of `width` values; the first of shape [stretches, width].
fn normalised(kind: NormKind, eps: f32, width: usize, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let x = x.reshape(((), width))?;
    let x = match kind {
        NormKind::Rms { .. } => x,
        NormKind::Layer => x.broadcast_sub(&x.mean_keepdim(1)?)?,
    };
    let inverse = (x.sqr()?.mean_keepdim(1)? + f64::from(eps))?.sqrt()?.recip()?;
    Ok((x.broadcast_mul(&inverse)?, inverse))
}

/// Normalises each stretch of `weight.len()` values.
pub(crate) fn norm(kind: NormKind, eps: f32, weight: &Row, bias: Option<&Row>, x: &Tensor) -> Result<Tensor> {
    let y = normalised(kind, eps, weight.len(), x)?.0.broadcast_mul(&weight.on_device_of(x)?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(&bias.on_device_of(x)?)?,
        None => y,
    };
    Ok(y.reshape(x.shape())?)
}

/// Gradient of [`norm`] with respect to `x`.
pub(crate) fn norm_backward(
    kind: NormKind,
    eps: f32,
    weight: &Row,
    x: &Tensor,
    dy: &Tensor,
) -> Result<Tensor> {
    let width = weight.len();
    let (hat, inverse) = normalised(kind, eps, width, x)?;
    let g = dy.reshape(((), width))?.broadcast_mul(&weight.on_device_of(x)?)?;
    let along = hat.broadcast_mul(&(&g * &hat)?.mean_keepdim(1)?)?;
    let dx = match kind {
        NormKind::Rms { .. } => (g - along)?,
        NormKind::Layer => (g.broadcast_sub(&g.mean_keepdim(1)?)? - along)?,
    };
    Ok(dx.broadcast_mul(&inverse)?.reshape(x.shape())?)
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((x.neg()?.exp()? + 1.0)?.recip()?)
}

const GELU_A: f64 = 0.797_884_560_802_865_4; // √(2/π)
const GELU_B: f64 = 0.044_715;

/// tanh(a (x + b x³)) of the tanh approximation.
fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    Ok(((x + (x.sqr()? * x)?.affine(GELU_B, 0.0)?)? * GELU_A)?.tanh()?)
}

/// Φ(x).
fn gelu_cdf(x: &Tensor) -> Result<Tensor> {
    Ok((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)?)
}

/// act(x).
pub(crate) fn plain(kind: Activation, x: &Tensor) -> Result<Tensor> {
    Ok(match kind {
        Activation::Silu => (x * sigmoid(x)?)?,
        Activation::Gelu => (x * gelu_cdf(x)?)?,
        Activation::GeluTanh => (x * gelu_tanh(x)?.affine(0.5, 0.5)?)?,
        Activation::Relu => x.relu()?,
    })
}

/// act′(x).
fn slope(kind: Activation, x: &Tensor) -> Result<Tensor> {
    Ok(match kind {
        Activation::Silu => {
            let s = sigmoid(x)?;
            (&s * ((x * s.affine(-1.0, 1.0)?)? + 1.0)?)?
        }
        Activation::Gelu => {
            let density = (x.sqr()? * -0.5)?.exp()?.affine(0.398_942_280_401_432_7, 0.0)?;
            (gelu_cdf(x)? + (x * density)?)?
        }
        Activation::GeluTanh => {
            let t = gelu_tanh(x)?;
            let inner = x.sqr()?.affine(3.0 * GELU_B, 1.0)?.affine(0.5 * GELU_A, 0.0)?;
            let rise = ((x * t.sqr()?.affine(-1.0, 1.0)?)? * inner)?;
            (t.affine(0.5, 0.5)? + rise)?
        }
        Activation::Relu => x.gt(0.0)?.to_dtype(DType::F32)?,
    })
}

/// Gradient of [`plain`].
pub(crate) fn plain_backward(kind: Activation, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    Ok((dy * slope(kind, x)?)?)
}

/// act(gate) · up.
pub(crate) fn gated(kind: Activation, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    Ok((plain(kind, gate)? * up)?)
}

/// Gradients of [`gated`] with respect to gate and up.
pub(crate) fn gated_backward(
    kind: Activation,
    gate: &Tensor,
    up: &Tensor,
    dy: &Tensor,
) -> Result<(Tensor, Tensor)> {
    Ok((((dy * up)? * slope(kind, gate)?)?, (dy * plain(kind, gate)?)?))
}

/// cap · tanh(y / cap), in place.
pub(crate) fn softcap(y: &Tensor, cap: f32) -> Result<()> {
    assign(y, &capped(y, cap)?)
}

fn capped(s: &Tensor, cap: f32) -> Result<Tensor> {
    let cap = f64::from(cap);
    Ok(((s / cap)?.tanh()? * cap)?)
}

/// Rotates the first 2 · half dimensions of every head of `x` [rows, heads · head_dim], in place. `cos` and
/// `sin` are [rows, half]; `sign` is −1 for the backward pass.
pub(crate) fn rotate(x: &Tensor, head_dim: usize, cos: &Tensor, sin: &Tensor, sign: f32) -> Result<()> {
    let (rows, half) = cos.dims2()?;
    let heads = x.reshape((rows, (), head_dim))?;
    let (cos, sin) = (cos.unsqueeze(1)?, (sin.unsqueeze(1)? * f64::from(sign))?);
    let (a, b) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
    let rest = head_dim - 2 * half;
    let turned = if rest > 0 {
        Tensor::cat(&[&first, &second, &heads.narrow(2, 2 * half, rest)?.contiguous()?], 2)?
    } else {
        Tensor::cat(&[&first, &second], 2)?
    };
    assign(x, &turned.reshape(x.shape())?)
}

/// Along the last dimension.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let high = scores.max_keepdim(D::Minus1)?;
    let raised = scores.broadcast_sub(&high)?.exp()?;
    Ok(raised.broadcast_div(&raised.sum_keepdim(D::Minus1)?)?)
}

/// Sequences of one length that are worked on together.
#[derive(Clone, Copy)]
struct Batch {
    sequences: usize,
    len: usize,
    past: usize,
}

impl Attention {
    /// [sequences · kv_heads, group · len, head_dim] from rows of queries.
    fn grouped(&self, q: &Tensor, b: Batch) -> Result<Tensor> {
        let group = self.heads / self.kv_heads;
        let q = q.reshape((b.sequences, b.len, self.kv_heads, group, self.head_dim))?;
        let q = q.permute((0, 2, 3, 1, 4))?.contiguous()?;
        Ok(q.reshape((b.sequences * self.kv_heads, group * b.len, self.head_dim))?)
    }

    /// The inverse of [`Self::grouped`].
    fn ungrouped(&self, x: &Tensor, b: Batch) -> Result<Tensor> {
        let group = self.heads / self.kv_heads;
        let x = x.reshape((b.sequences, self.kv_heads, group, b.len, self.head_dim))?;
        let x = x.permute((0, 3, 1, 2, 4))?.contiguous()?;
        Ok(x.reshape((b.sequences * b.len, self.heads * self.head_dim))?)
    }

    /// [sequences · kv_heads, total, head_dim] from rows of keys or values.
    fn by_head(&self, k: &Tensor, b: Batch) -> Result<Tensor> {
        let total = b.past + b.len;
        let k = k.reshape((b.sequences, total, self.kv_heads, self.head_dim))?;
        Ok(k.permute((0, 2, 1, 3))?.contiguous()?.reshape((
            b.sequences * self.kv_heads,
            total,
            self.head_dim,
        ))?)
    }

    /// The inverse of [`Self::by_head`].
    fn by_row(&self, k: &Tensor, b: Batch) -> Result<Tensor> {
        let total = b.past + b.len;
        let k = k.reshape((b.sequences, self.kv_heads, total, self.head_dim))?;
        let k = k.permute((0, 2, 1, 3))?.contiguous()?;
        Ok(k.reshape((b.sequences * total, self.kv_heads * self.head_dim))?)
    }

    /// Scores after the soft cap, and probabilities: [sequences · kv_heads, group · len, total].
    fn probabilities_of(&self, q: &Tensor, k: &Tensor, b: Batch) -> Result<(Tensor, Tensor)> {
        let total = b.past + b.len;
        let mut scores = (q.matmul(&k.transpose(1, 2)?)? * f64::from(self.scale))?;
        if let Some(cap) = self.softcap {
            scores = capped(&scores, cap)?;
        }
        // A single row sees all there is, unless a window hides the oldest.
        if b.len == 1 && self.window.is_none_or(|window| total <= window) {
            let p = softmax(&scores)?;
            return Ok((scores, p));
        }
        let device = q.device();
        let row = (Tensor::arange(0f32, b.len as f32, device)? + b.past as f64)?.unsqueeze(1)?;
        let column = Tensor::arange(0f32, total as f32, device)?.unsqueeze(0)?;
        let mut hidden = column.broadcast_gt(&row)?;
        if let Some(window) = self.window {
            // Seen: row − column < window.
            let early = (column + window as f64)?.broadcast_le(&row)?;
            hidden = (hidden + early)?;
        }
        // A number far below every score: an infinity would turn into NaN when multiplied by 0.
        let mask = (hidden.to_dtype(DType::F32)? * -1e30)?;
        let groups = self.heads / self.kv_heads;
        let wide = scores.reshape((scores.dim(0)?, groups, b.len, total))?.broadcast_add(&mask)?;
        let p = softmax(&wide)?.reshape(scores.shape())?;
        Ok((scores, p))
    }

    /// Consecutive segments of one shape, as (first row, batch, first segment).
    fn batches(segments: &[Segment]) -> Vec<(usize, usize, Batch)> {
        let mut all: Vec<(usize, usize, Batch)> = Vec::new();
        for (i, s) in segments.iter().enumerate() {
            match all.last_mut() {
                Some((_, _, b)) if (b.len, b.past) == (s.len, s.past) => b.sequences += 1,
                _ => all.push((s.start, i, Batch { sequences: 1, len: s.len, past: s.past })),
            }
        }
        all
    }

    /// [`Attention::forward`] by operations. `keys` and `values` of each segment are [past + len, kv width].
    pub(super) fn forward_generic(
        &self,
        q: &Tensor,
        segments: &[Segment],
        kv: &[(Tensor, Tensor)],
    ) -> Result<Tensor> {
        let mut parts = Vec::new();
        for (start, first, mut b) in Self::batches(segments) {
            let total = b.past + b.len;
            // Rows that no query sees need not be looked at.
            let seen = self.window.map_or(total, |window| total.min(window + b.len - 1));
            b.past = seen - b.len;
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for (k, v) in &kv[first..first + b.sequences] {
                keys.push(k.narrow(0, total - seen, seen)?);
                values.push(v.narrow(0, total - seen, seen)?);
            }
            let queries = self.grouped(&q.narrow(0, start, b.sequences * b.len)?, b)?;
            let (_, p) = self.probabilities_of(&queries, &self.by_head(&Tensor::cat(&keys, 0)?, b)?, b)?;
            let mixed = p.matmul(&self.by_head(&Tensor::cat(&values, 0)?, b)?)?;
            parts.push(self.ungrouped(&mixed, b)?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// [`Attention::backward`] by operations.
    pub(super) fn backward_generic(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        dout: &Tensor,
        segments: &[Segment],
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let (mut dqs, mut dks, mut dvs) = (Vec::new(), Vec::new(), Vec::new());
        for (start, _, b) in Self::batches(segments) {
            let rows = b.sequences * b.len;
            let (q, dout) = (
                self.grouped(&q.narrow(0, start, rows)?, b)?,
                self.grouped(&dout.narrow(0, start, rows)?, b)?,
            );
            let (k, v) =
                (self.by_head(&k.narrow(0, start, rows)?, b)?, self.by_head(&v.narrow(0, start, rows)?, b)?);
            let (scores, p) = self.probabilities_of(&q, &k, b)?;
            let dp = dout.matmul(&v.transpose(1, 2)?)?;
            let mean = (&dp * &p)?.sum_keepdim(D::Minus1)?;
            let mut ds = (&p * dp.broadcast_sub(&mean)?)?;
            if let Some(cap) = self.softcap {
                ds = (ds * (scores / f64::from(cap))?.sqr()?.affine(-1.0, 1.0)?)?;
            }
            let ds = (ds * f64::from(self.scale))?;
            dqs.push(self.ungrouped(&ds.matmul(&k)?, b)?);
            dks.push(self.by_row(&ds.transpose(1, 2)?.matmul(&q)?, b)?);
            dvs.push(self.by_row(&p.transpose(1, 2)?.matmul(&dout)?, b)?);
        }
        Ok((Tensor::cat(&dqs, 0)?, Tensor::cat(&dks, 0)?, Tensor::cat(&dvs, 0)?))
    }
}

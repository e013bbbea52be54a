//! Normalisations, activation functions, soft caps and rotations.

use candle_core::{DType, Tensor};

use crate::Result;
use crate::model::ops::Norm;
use crate::model::rope::RopeTable;
use crate::model::spec::{Activation, NormKind};

/// x̂ and 1 / deviation of each stretch of `width` values; the first of shape [stretches, width].
fn normalised(kind: NormKind, eps: f32, width: usize, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let x = x.reshape(((), width))?;
    let x = match kind {
        NormKind::Rms { .. } => x,
        NormKind::Layer => x.broadcast_sub(&x.mean_keepdim(1)?)?,
    };
    let square = (x.sqr()?.mean_keepdim(1)? + f64::from(eps))?;
    // Of squares that overflow it is no number, where 1 / √s = 0 would pass values off as none.
    let inverse = match kind {
        NormKind::Rms { .. } => (square.sqrt()? / square)?,
        NormKind::Layer => (square.sqrt()?.recip()? + (square * 0.0)?)?,
    };
    Ok((x.broadcast_mul(&inverse)?, inverse))
}

/// Normalises each stretch as long as the weight.
pub fn norm(norm: &Norm, x: &Tensor) -> Result<Tensor> {
    let (width, device) = (norm.weight.len(), x.device());
    let (hat, _) = normalised(norm.kind, norm.eps, width, x)?;
    let y = hat.broadcast_mul(&norm.weight.on(device, width)?)?;
    let y = match &norm.bias {
        Some(bias) => y.broadcast_add(&bias.on(device, width)?)?,
        None => y,
    };
    Ok(y.reshape(x.shape())?)
}

/// Gradient of [`norm`] with respect to `x`.
pub fn norm_backward(norm: &Norm, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let width = norm.weight.len();
    let (hat, inverse) = normalised(norm.kind, norm.eps, width, x)?;
    let g = dy.reshape(((), width))?.broadcast_mul(&norm.weight.on(x.device(), width)?)?;
    let along = hat.broadcast_mul(&(&g * &hat)?.mean_keepdim(1)?)?;
    let dx = match norm.kind {
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
pub fn plain(kind: Activation, x: &Tensor) -> Result<Tensor> {
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
pub fn plain_backward(kind: Activation, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    Ok((dy * slope(kind, x)?)?)
}

/// act(gate) · up.
pub fn gated(kind: Activation, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    Ok((plain(kind, gate)? * up)?)
}

/// Gradients of [`gated`] with respect to gate and up.
pub fn gated_backward(kind: Activation, gate: &Tensor, up: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((((dy * up)? * slope(kind, gate)?)?, (dy * plain(kind, gate)?)?))
}

/// cap · tanh(s / cap).
pub fn softcap(s: &Tensor, cap: f32) -> Result<Tensor> {
    let cap = f64::from(cap);
    Ok(((s / cap)?.tanh()? * cap)?)
}

/// `x` [rows, heads · head_dim] with the first 2 · half dimensions of every head rotated.
pub fn rotate(x: &Tensor, table: &RopeTable, sign: f32) -> Result<Tensor> {
    let (half, head_dim) = (table.half, table.head_dim);
    if half == 0 {
        return Ok(x.clone());
    }
    let (rows, device) = (x.dim(0)?, x.device());
    let heads = x.reshape((rows, (), head_dim))?;
    let cos = table.cos.on(device, (rows, 1, half))?;
    let sin = (table.sin.on(device, (rows, 1, half))? * f64::from(sign))?;
    let (a, b) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
    let rest = head_dim - 2 * half;
    let rotated = if rest > 0 {
        Tensor::cat(&[&first, &second, &heads.narrow(2, 2 * half, rest)?.contiguous()?], 2)?
    } else {
        Tensor::cat(&[&first, &second], 2)?
    };
    Ok(rotated.reshape(x.shape())?)
}

//! LoRA in training and the loss.

use candle_core::{Device, Tensor};

use crate::Result;
use crate::model::ops::{LoraFactors, LoraPart};

/// A LoRA's parts on a device.
struct Uploaded {
    /// [rank, in].
    a: Tensor,
    /// [rank, out].
    bt: Tensor,
    /// [rows, in], the same as on the host.
    mask: Option<Tensor>,
}

impl Uploaded {
    fn new(lora: &LoraFactors, rows: usize, device: &Device) -> Result<Self> {
        let upload = |v: &[f32], rows: usize| Tensor::from_slice(v, (rows, v.len() / rows.max(1)), device);
        let width = lora.a.len() / lora.rank;
        let mask = lora.dropout.map(|dropout| upload(&dropout.mask(rows, width), rows)).transpose()?;
        Ok(Self { a: upload(lora.a, lora.rank)?, bt: upload(lora.bt, lora.rank)?, mask })
    }

    /// mask · x.
    fn masked(&self, x: &Tensor) -> Result<Tensor> {
        match &self.mask {
            Some(mask) => Ok((x * mask)?),
            None => Ok(x.clone()),
        }
    }
}

/// s·B A (mask · x).
pub fn lora(lora: &LoraFactors, x: &Tensor) -> Result<Tensor> {
    let uploaded = Uploaded::new(lora, x.dim(0)?, x.device())?;
    let z = uploaded.masked(x)?.matmul(&uploaded.a.t()?)?;
    Ok((z.matmul(&uploaded.bt)? * f64::from(lora.scale))?)
}

/// Gradients of A and Bᵀ, and, where it is wanted, that of x: mask · Aᵀ dz.
pub fn lora_backward(
    lora: &LoraFactors,
    x: &Tensor,
    dy: &Tensor,
    wants_dx: bool,
) -> Result<(Vec<f32>, Vec<f32>, Option<Tensor>)> {
    let uploaded = Uploaded::new(lora, x.dim(0)?, x.device())?;
    let x = uploaded.masked(x)?;
    let z = (x.matmul(&uploaded.a.t()?)? * f64::from(lora.scale))?;
    let dz = (dy.matmul(&uploaded.bt.t()?)? * f64::from(lora.scale))?;
    let dx = if wants_dx { Some(uploaded.masked(&dz.matmul(&uploaded.a)?)?) } else { None };
    let flat = |t: Tensor| -> Result<Vec<f32>> { Ok(t.flatten_all()?.to_vec1()?) };
    Ok((flat(dz.t()?.matmul(&x)?)?, flat(z.t()?.matmul(dy)?)?, dx))
}

/// What was computed for each part's rows [rows of the part, width] as one tensor of all `rows`, with zeros between
/// them; `None` where there is nothing.
pub fn spread(parts: &[LoraPart], each: &[Tensor], rows: usize) -> Result<Option<Tensor>> {
    let Some(first) = each.first() else { return Ok(None) };
    let nothing = |rows: usize| Tensor::zeros((rows, first.dim(1)?), first.dtype(), first.device());
    let (mut all, mut at) = (Vec::with_capacity(2 * each.len()), 0);
    for (part, values) in parts.iter().zip(each) {
        if part.rows.start > at {
            all.push(nothing(part.rows.start - at)?);
        }
        all.push(values.clone());
        at = part.rows.end;
    }
    if rows > at {
        all.push(nothing(rows - at)?);
    }
    Ok(Some(Tensor::cat(&all, 0)?))
}

/// Cross-entropy of each row of `logits` [rows, vocabulary], and the gradient of the weighted sum before the soft cap.
pub fn cross_entropy(
    logits: &Tensor,
    targets: &[u32],
    weights: &[f32],
    softcap: Option<f32>,
) -> Result<(Vec<f64>, Tensor)> {
    let ids = Tensor::from_slice(targets, (targets.len(), 1), logits.device())?;
    let high = logits.max_keepdim(1)?;
    let raised = logits.broadcast_sub(&high)?.exp()?;
    let total = raised.sum_keepdim(1)?;
    let losses = ((total.log()? + high)? - logits.gather(&ids, 1)?)?;
    let losses: Vec<f32> = losses.flatten_all()?.to_vec1()?;
    let weights = Tensor::from_slice(weights, (weights.len(), 1), logits.device())?;
    let p = raised.broadcast_div(&total)?.broadcast_mul(&weights)?;
    let mut d = p.scatter_add(&ids, &weights.neg()?, 1)?;
    if let Some(cap) = softcap {
        d = (d * (logits / f64::from(cap))?.sqr()?.affine(-1.0, 1.0)?)?;
    }
    Ok((losses.into_iter().map(f64::from).collect(), d))
}

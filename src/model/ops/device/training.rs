//! LoRA in training and the loss.

use candle_core::{Device, Tensor};

use crate::Result;
use crate::model::ops::LoraFactors;

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

/// Summed cross-entropy of `logits` [rows, vocabulary], and its gradient before the soft cap, times `weight`.
pub fn cross_entropy(
    logits: &Tensor,
    targets: &[u32],
    weight: f32,
    softcap: Option<f32>,
) -> Result<(f64, Tensor)> {
    let ids = Tensor::from_slice(targets, (targets.len(), 1), logits.device())?;
    let high = logits.max_keepdim(1)?;
    let raised = logits.broadcast_sub(&high)?.exp()?;
    let total = raised.sum_keepdim(1)?;
    let losses = ((total.log()? + high)? - logits.gather(&ids, 1)?)?;
    let losses: Vec<f32> = losses.flatten_all()?.to_vec1()?;
    let p = (raised.broadcast_div(&total)? * f64::from(weight))?;
    let own = Tensor::full(-weight, ids.shape(), logits.device())?;
    let mut d = p.scatter_add(&ids, &own, 1)?;
    if let Some(cap) = softcap {
        d = (d * (logits / f64::from(cap))?.sqr()?.affine(-1.0, 1.0)?)?;
    }
    Ok((losses.iter().copied().map(f64::from).sum(), d))
}

//! LoRA in training on a GPU: the same sums as in [`super::lora`], as products of whole matrices.

use candle_core::Tensor;

use super::lora::TrainedLora;
use crate::Result;
use crate::model::generic::{add_assign, upload};

/// A [rank, in] and Bᵀ [rank, out] on the device of `like`.
fn factors(m: &TrainedLora, like: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((upload(&m.a, (m.rank, m.in_features), like)?, upload(&m.bt, (m.rank, m.out_features), like)?))
}

/// y [rows, out] += s·B A (mask · x), in place.
pub fn apply(m: &TrainedLora, scale: f32, mask: Option<&Tensor>, x: &Tensor, y: &Tensor) -> Result<()> {
    let (a, bt) = factors(m, x)?;
    let x = match mask {
        Some(mask) => (x * mask)?,
        None => x.clone(),
    };
    add_assign(y, &(x.matmul(&a.t()?)?.matmul(&bt)? * f64::from(scale))?)
}

/// Gradients of A and Bᵀ, and in place dx [rows, in] += mask · Aᵀ dz.
pub fn backward(
    m: &TrainedLora,
    scale: f32,
    mask: Option<&Tensor>,
    x: &Tensor,
    dy: &Tensor,
    dx: Option<&Tensor>,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let (a, bt) = factors(m, x)?;
    let x = match mask {
        Some(mask) => (x * mask)?,
        None => x.clone(),
    };
    let z = (x.matmul(&a.t()?)? * f64::from(scale))?;
    let dz = (dy.matmul(&bt.t()?)? * f64::from(scale))?;
    if let Some(dx) = dx {
        let back = dz.matmul(&a)?;
        add_assign(
            dx,
            &match mask {
                Some(mask) => (back * mask)?,
                None => back,
            },
        )?;
    }
    let flat = |t: Tensor| -> Result<Vec<f32>> { Ok(t.flatten_all()?.to_vec1()?) };
    Ok((flat(dz.t()?.matmul(&x)?)?, flat(z.t()?.matmul(dy)?)?))
}

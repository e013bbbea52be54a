//! A frozen linear layer: y = x Wᵀ + b.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device, Module, Tensor};

use super::generic;
use super::ops;
use super::panels::Panels;
use super::row::Row;
use super::tensor::{from_vec, values as values_of};
use crate::Result;

/// How weights are held while the model runs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats, dequantised from the file if need be.
    #[default]
    F32,
    /// bf16 weights and inputs, f32 sums: twice the speed of f32 where the CPU multiplies bf16.
    Bf16,
    /// 8-bit blocks of 32 with a scale (Q8_0): a third of the memory traffic of f32.
    Q8,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Q8 => "q8",
        })
    }
}

#[derive(Debug)]
enum Weight {
    /// [in, out], contiguous: the fast layout for few rows.
    Dense(Tensor),
    /// [out, in]: shared with the embedding, or on a GPU, there also bf16.
    Stored(Tensor),
    Packed(Panels),
    /// 8 bits on a GPU.
    Blocks(Arc<QTensor>, QMatMul),
}

/// How a weight [out, in] is kept; `None` for f32 on the CPU, which keeps another layout.
fn pack(
    values: &[f32],
    (out_features, in_features): (usize, usize),
    precision: Precision,
    device: &Device,
) -> Result<Option<Weight>> {
    if generic::on(device) {
        let stored = || Tensor::from_slice(values, (out_features, in_features), device);
        return Ok(Some(match precision {
            Precision::F32 => Weight::Stored(stored()?),
            Precision::Bf16 => Weight::Stored(stored()?.to_dtype(DType::BF16)?),
            Precision::Q8 if in_features.is_multiple_of(32) => {
                let blocks = Arc::new(QTensor::quantize(&stored()?, GgmlDType::Q8_0)?);
                Weight::Blocks(Arc::clone(&blocks), QMatMul::from_arc(blocks)?)
            }
            Precision::Q8 => Weight::Stored(stored()?),
        }));
    }
    Ok(match precision {
        Precision::F32 => None,
        Precision::Bf16 => Some(Weight::Packed(Panels::bf16(values, out_features, in_features))),
        Precision::Q8 => Some(Weight::Packed(Panels::q8(values, out_features, in_features))),
    })
}

/// `x` · `w` where `w` may be bf16: then both are multiplied as bf16.
fn product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    if w.dtype() == x.dtype() {
        return Ok(x.matmul(w)?);
    }
    Ok(x.to_dtype(w.dtype())?.matmul(w)?.to_dtype(x.dtype())?)
}

/// One linear layer of the base model.
#[derive(Debug)]
pub struct Linear {
    /// Path in transformers: `model.layers.3.self_attn.q_proj`.
    pub module: String,
    pub in_features: usize,
    pub out_features: usize,
    weight: Weight,
    bias: Option<Row>,
    /// Row i of the running layer is row `order[i]` of the stored one (fused heads are regrouped).
    pub order: Option<Arc<Vec<u32>>>,
}

/// `values` [rows, columns] as [columns, rows].
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    use rayon::prelude::*;
    const TILE: usize = 32;
    let mut out = vec![0f32; values.len()];
    out.par_chunks_mut((rows * TILE).max(1)).enumerate().for_each(|(block, out)| {
        let first = block * TILE;
        let width = out.len() / rows.max(1);
        for r0 in (0..rows).step_by(TILE) {
            for c in 0..width {
                for r in r0..(r0 + TILE).min(rows) {
                    out[c * rows + r] = values[r * columns + first + c];
                }
            }
        }
    });
    out
}

/// Rows of `width` values in the given order.
fn pick_rows(from: &[f32], order: &[u32], width: usize) -> Vec<f32> {
    order.iter().flat_map(|&r| &from[r as usize * width..(r as usize + 1) * width]).copied().collect()
}

impl Linear {
    /// A layer from stored values [out, in]. With `order`, rows are regrouped.
    pub(crate) fn new(
        module: String,
        mut values: Vec<f32>,
        (out_features, in_features): (usize, usize),
        mut bias: Option<Vec<f32>>,
        order: Option<Arc<Vec<u32>>>,
        precision: Precision,
        device: &Device,
    ) -> Result<Self> {
        if let Some(order) = &order {
            values = pick_rows(&values, order, in_features);
            bias = bias.map(|b| pick_rows(&b, order, 1));
        }
        let weight = match pack(&values, (out_features, in_features), precision, device)? {
            Some(weight) => weight,
            None => {
                let turned = transpose(&values, out_features, in_features);
                Weight::Dense(Tensor::from_vec(turned, (in_features, out_features), &Device::Cpu)?)
            }
        };
        Ok(Self { module, in_features, out_features, weight, bias: bias.map(Row::from), order })
    }

    /// A head that shares the embedding's tensor [vocabulary, hidden].
    pub(crate) fn tied(module: String, embedding: &Tensor, precision: Precision) -> Result<Self> {
        let (out_features, in_features) = embedding.dims2()?;
        let shape = (out_features, in_features);
        let weight = if precision == Precision::F32 {
            Weight::Stored(embedding.clone())
        } else {
            pack(&values_of(embedding)?, shape, precision, embedding.device())?
                .unwrap_or_else(|| Weight::Stored(embedding.clone()))
        };
        Ok(Self { module, in_features, out_features, weight, bias: None, order: None })
    }

    /// The weights as they are used, dequantised if need be: row-major [out, in], rows in running order.
    pub(crate) fn weights(&self) -> Result<Vec<f32>> {
        Ok(match &self.weight {
            Weight::Dense(w) => transpose(&values_of(w)?, self.in_features, self.out_features),
            Weight::Stored(w) => values_of(&w.to_dtype(DType::F32)?)?.to_vec(),
            Weight::Packed(w) => w.unpack(),
            Weight::Blocks(w, _) => values_of(&w.dequantize(&Device::Cpu)?)?.to_vec(),
        })
    }

    /// Where the weights are.
    pub(crate) fn device(&self) -> Device {
        match &self.weight {
            Weight::Dense(w) | Weight::Stored(w) => w.device().clone(),
            Weight::Packed(_) => Device::Cpu,
            Weight::Blocks(w, _) => w.device(),
        }
    }

    /// The bias, in running order.
    pub(crate) fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// Turns `stored` values, `width` for each row of the stored layer, into running order.
    pub(crate) fn in_running_order(&self, stored: Vec<f32>, width: usize) -> Vec<f32> {
        match &self.order {
            None => stored,
            Some(order) => pick_rows(&stored, order, width),
        }
    }

    /// x [rows, in] → [rows, out].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = match &self.weight {
            Weight::Dense(w) => x.matmul(w)?,
            Weight::Stored(w) => product(x, &w.t()?)?,
            Weight::Blocks(_, w) => w.forward(x)?,
            Weight::Packed(w) => {
                let mut y = vec![0f32; x.dim(0)? * self.out_features];
                w.forward(&values_of(x)?, &mut y);
                from_vec(y, (x.dim(0)?, self.out_features))?
            }
        };
        if let Some(bias) = &self.bias {
            ops::add_bias(&y, bias)?;
        }
        Ok(y)
    }

    /// Gradient with respect to x, given that of y: dy [rows, out] → [rows, in].
    pub fn backward(&self, dy: &Tensor) -> Result<Tensor> {
        Ok(match &self.weight {
            Weight::Dense(w) => dy.matmul(&w.t()?)?,
            Weight::Stored(w) => product(dy, w)?,
            Weight::Blocks(w, _) => dy.matmul(&w.dequantize(dy.device())?)?,
            Weight::Packed(w) => {
                let mut dx = vec![0f32; dy.dim(0)? * self.in_features];
                w.backward(&values_of(dy)?, &mut dx);
                from_vec(dx, (dy.dim(0)?, self.in_features))?
            }
        })
    }
}

//! A frozen linear layer: y = x Wᵀ + b.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::ops;
use super::panels::Panels;
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
    /// [out, in], shared with the embedding.
    Shared(Tensor),
    Packed(Panels),
}

/// Weights [out, in] packed as `precision` asks; `None` for f32.
fn pack(values: &[f32], (out_features, in_features): (usize, usize), precision: Precision) -> Option<Panels> {
    match precision {
        Precision::F32 => None,
        Precision::Bf16 => Some(Panels::bf16(values, out_features, in_features)),
        Precision::Q8 => Some(Panels::q8(values, out_features, in_features)),
    }
}

/// One linear layer of the base model.
#[derive(Debug)]
pub struct Linear {
    /// Path in transformers: `model.layers.3.self_attn.q_proj`.
    pub module: String,
    pub in_features: usize,
    pub out_features: usize,
    weight: Weight,
    bias: Option<Vec<f32>>,
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
    ) -> Result<Self> {
        if let Some(order) = &order {
            values = pick_rows(&values, order, in_features);
            bias = bias.map(|b| pick_rows(&b, order, 1));
        }
        let weight = match pack(&values, (out_features, in_features), precision) {
            Some(panels) => Weight::Packed(panels),
            None => {
                let turned = transpose(&values, out_features, in_features);
                Weight::Dense(Tensor::from_vec(turned, (in_features, out_features), &Device::Cpu)?)
            }
        };
        Ok(Self { module, in_features, out_features, weight, bias, order })
    }

    /// A head that shares the embedding's tensor [vocabulary, hidden].
    pub(crate) fn tied(module: String, embedding: &Tensor, precision: Precision) -> Result<Self> {
        let (out_features, in_features) = embedding.dims2()?;
        let weight = match pack(&values_of(embedding)?, (out_features, in_features), precision) {
            Some(panels) => Weight::Packed(panels),
            None => Weight::Shared(embedding.clone()),
        };
        Ok(Self { module, in_features, out_features, weight, bias: None, order: None })
    }

    /// The weights as they are used, dequantised if need be: row-major [out, in], rows in running order.
    pub(crate) fn weights(&self) -> Result<Vec<f32>> {
        Ok(match &self.weight {
            Weight::Dense(w) => transpose(&values_of(w)?, self.in_features, self.out_features),
            Weight::Shared(w) => values_of(w)?.to_vec(),
            Weight::Packed(w) => w.unpack(),
        })
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
            Weight::Shared(w) => x.matmul(&w.t()?)?,
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
            Weight::Shared(w) => dy.matmul(w)?,
            Weight::Packed(w) => {
                let mut dx = vec![0f32; dy.dim(0)? * self.in_features];
                w.backward(&values_of(dy)?, &mut dx);
                from_vec(dx, (dy.dim(0)?, self.in_features))?
            }
        })
    }
}

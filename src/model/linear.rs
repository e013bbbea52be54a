//! A frozen linear layer: y = x Wᵀ + b.

use std::ops::Range;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device, Module, Tensor};

use super::generic;
use super::ops;
use super::packed::PackedWeight;
use super::packed::row_block::{self, ReadRows};
use super::precision::Precision;
use super::row::Row;
use super::tensor::{from_vec, values as values_of};
use crate::{Error, Result};

#[derive(Debug)]
enum Weight {
    Packed(PackedWeight),
    /// [out, in] on a GPU, there also bf16.
    Stored(Tensor),
    /// 8 bits on a GPU.
    Blocks(Arc<QTensor>, QMatMul),
}

impl Weight {
    /// The panels, where it is packed.
    fn packed(&self) -> Option<&PackedWeight> {
        match self {
            Weight::Packed(w) => Some(w),
            _ => None,
        }
    }

    /// x [rows, in] → [rows, out].
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Weight::Stored(w) => product(x, &w.t()?),
            Weight::Blocks(_, w) => Ok(w.forward(x)?),
            Weight::Packed(w) => {
                let rows = x.dim(0)?;
                let [y] = PackedWeight::forward([w], &values_of(x)?, rows);
                from_vec(y, (rows, w.outputs))
            }
        }
    }
}

/// How the weights of a layer are to be held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding<'a> {
    pub precision: Precision,
    pub device: &'a Device,
}

impl Holding<'_> {
    /// The weight [out, in] that `read` gives, held so.
    fn weight(self, (out_features, in_features): (usize, usize), read: &ReadRows) -> Result<Weight> {
        let shape = (out_features, in_features);
        let stored =
            || Tensor::from_vec(row_block::read_whole(shape, read)?, shape, self.device).map_err(Error::from);
        if generic::on(self.device) {
            return Ok(match self.precision {
                Precision::F32 => Weight::Stored(stored()?),
                Precision::Bf16 => Weight::Stored(stored()?.to_dtype(DType::BF16)?),
                Precision::Q8 if in_features.is_multiple_of(32) => {
                    let blocks = Arc::new(QTensor::quantize(&stored()?, GgmlDType::Q8_0)?);
                    Weight::Blocks(Arc::clone(&blocks), QMatMul::from_arc(blocks)?)
                }
                Precision::Q8 => Weight::Stored(stored()?),
            });
        }
        Ok(Weight::Packed(PackedWeight::new(self.precision, shape, read)?))
    }
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

/// Rows of `width` values in the given order.
fn pick_rows(from: &[f32], order: &[u32], width: usize) -> Vec<f32> {
    order.iter().flat_map(|&r| &from[r as usize * width..(r as usize + 1) * width]).copied().collect()
}

impl Linear {
    /// A layer whose weight [out, in], rows in running order, `read` gives. With `order` the stored `bias` is
    /// regrouped.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn new(
        module: String,
        shape: (usize, usize),
        read: &ReadRows,
        mut bias: Option<Vec<f32>>,
        order: Option<Arc<Vec<u32>>>,
        holding: Holding,
    ) -> Result<Self> {
        if let Some(order) = &order {
            bias = bias.map(|b| pick_rows(&b, order, 1));
        }
        let weight = holding.weight(shape, read)?;
        let (out_features, in_features) = shape;
        Ok(Self { module, in_features, out_features, weight, bias: bias.map(Row::from), order })
    }

    /// A layer of `values` [out, in] in f32.
    pub(crate) fn dense(
        module: String,
        shape: (usize, usize),
        values: &[f32],
        device: &Device,
    ) -> Result<Self> {
        let holding = Holding { precision: Precision::F32, device };
        let read = |rows: Range<usize>, out: &mut [f32]| {
            out.copy_from_slice(&values[rows.start * shape.1..rows.end * shape.1]);
            Ok(())
        };
        Self::new(module, shape, &read, None, None, holding)
    }

    /// The weights of some outputs [rows, in] in f32, as they are used: an embedding's rows. All of `outputs`
    /// must be in range.
    pub(crate) fn rows(&self, outputs: &[u32]) -> Result<Tensor> {
        let numbers = |w: &Device| Tensor::from_slice(outputs, outputs.len(), w);
        Ok(match &self.weight {
            Weight::Packed(w) => {
                let mut rows = Vec::with_capacity(outputs.len() * self.in_features);
                outputs.iter().for_each(|&output| w.row(output as usize, &mut rows));
                from_vec(rows, (outputs.len(), self.in_features))?
            }
            Weight::Stored(w) => w.index_select(&numbers(w.device())?, 0)?.to_dtype(DType::F32)?,
            Weight::Blocks(w, _) => w.embedding(&numbers(&w.device())?)?,
        })
    }

    /// The weights as they are used, dequantised if need be: row-major [out, in], rows in running order.
    pub(crate) fn weights(&self) -> Result<Vec<f32>> {
        Ok(match &self.weight {
            Weight::Stored(w) => values_of(&w.to_dtype(DType::F32)?)?.to_vec(),
            Weight::Packed(w) => w.unpack(),
            Weight::Blocks(w, _) => values_of(&w.dequantize(&Device::Cpu)?)?.to_vec(),
        })
    }

    /// How the weights are held.
    fn precision(&self) -> Precision {
        match &self.weight {
            Weight::Packed(w) => w.precision(),
            Weight::Blocks(..) => Precision::Q8,
            Weight::Stored(w) if w.dtype() == DType::F32 => Precision::F32,
            Weight::Stored(_) => Precision::Bf16,
        }
    }

    /// How far each weight of the files may be from that of `row`, a row of [`Self::weights`]: by as much as
    /// holding it rounds.
    pub(crate) fn rounding(&self, row: &[f32]) -> Vec<f32> {
        match self.precision() {
            Precision::F32 => return vec![0.0; row.len()],
            Precision::Bf16 => return row.iter().map(|w| w.abs() / 256.0).collect(),
            Precision::Q8 => {}
        }
        // Half a step of a block of 32, and up to 127 times what f16 rounds off a step. Steps below the normal
        // numbers of f16 have few digits.
        let step = |block: &[f32]| block.iter().fold(0f32, |most, w| most.max(w.abs())) / 127.0;
        row.chunks(32).flat_map(|block| vec![(0.57 * step(block)).max(4e-6); block.len()]).collect()
    }

    /// Where the weights are.
    pub(crate) fn device(&self) -> Device {
        match &self.weight {
            Weight::Stored(w) => w.device().clone(),
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

    /// From now on 8-bit weights are widened to bf16, and their inputs are not rounded to 8 bits.
    pub(crate) fn widen(&mut self) {
        if let Weight::Packed(panels) = &mut self.weight {
            panels.rounds_inputs = false;
        }
    }

    /// x [rows, in] → [rows, out].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [y] = Self::forward_all([self], x)?;
        Ok(y)
    }

    /// The outputs of layers that share an input.
    pub(crate) fn forward_all<const N: usize>(layers: [&Linear; N], x: &Tensor) -> Result<[Tensor; N]> {
        let alike = |l: &&Linear| l.precision() == layers[0].precision();
        let packed: Vec<&PackedWeight> =
            layers.into_iter().filter(alike).filter_map(|l| l.weight.packed()).collect();
        let outputs: Vec<Tensor> = match <[&PackedWeight; N]>::try_from(packed) {
            Ok(packed) => {
                let rows = x.dim(0)?;
                let outputs = PackedWeight::forward(packed, &values_of(x)?, rows);
                let tensor = |(y, l): (_, &Linear)| from_vec(y, (rows, l.out_features));
                outputs.into_iter().zip(layers).map(tensor).collect::<Result<_>>()?
            }
            Err(_) => layers.iter().map(|l| l.weight.forward(x)).collect::<Result<_>>()?,
        };
        for (y, layer) in outputs.iter().zip(layers) {
            if let Some(bias) = &layer.bias {
                ops::add_bias(y, bias)?;
            }
        }
        outputs.try_into().map_err(|_| Error::msg("a layer gave no output"))
    }

    /// Gradient with respect to x, given that of y: dy [rows, out] → [rows, in].
    pub fn backward(&self, dy: &Tensor) -> Result<Tensor> {
        Ok(match &self.weight {
            Weight::Stored(w) => product(dy, w)?,
            Weight::Blocks(w, _) => dy.matmul(&w.dequantize(dy.device())?)?,
            Weight::Packed(w) => {
                let rows = dy.dim(0)?;
                from_vec(w.backward(&values_of(dy)?, rows), (rows, self.in_features))?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_weights_and_near_those_of_the_file() {
        let shape = (40, 64);
        let values: Vec<f32> =
            (0..shape.0 * shape.1).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013).collect();
        let read = |rows: Range<usize>, out: &mut [f32]| {
            out.copy_from_slice(&values[rows.start * 64..rows.end * 64]);
            Ok(())
        };
        let (device, wanted) = (Device::Cpu, [3u32, 39, 0, 3]);
        for precision in [Precision::F32, Precision::Bf16, Precision::Q8] {
            let linear = || {
                let holding = Holding { precision, device: &device };
                Linear::new("l".into(), shape, &read, None, None, holding).unwrap()
            };
            let gpu = generic::with_generic_operations(linear);
            for linear in [linear(), gpu] {
                let all = linear.weights().unwrap();
                for (held, stored) in all.chunks(64).zip(values.chunks(64)) {
                    let off = held.iter().zip(stored).map(|(h, s)| (h - s).abs());
                    assert!(
                        off.zip(linear.rounding(held)).all(|(off, most)| off <= most * 1.001),
                        "{precision}"
                    );
                }
                let rows = linear.rows(&wanted).unwrap();
                assert_eq!(rows.dims(), [4, 64]);
                for (row, at) in values_of(&rows).unwrap().chunks(64).zip(wanted) {
                    assert_eq!(row, &all[at as usize * 64..][..64], "{precision} {at}");
                }
            }
        }
    }
}

//! A frozen linear layer: y = x Wᵀ + b.

use std::ops::Range;
use std::sync::Arc;

use super::constant::DeviceConst;
use super::ops::{Activations, Ops, Weight};
use super::packed::row_block::ReadRows;
use super::precision::Precision;
use crate::Result;

/// One linear layer of the base model.
#[derive(Debug)]
pub struct Linear {
    /// Path in transformers: `model.layers.3.self_attn.q_proj`.
    pub module: String,
    /// Columns of the weight.
    pub in_features: usize,
    /// Rows of the weight.
    pub out_features: usize,
    weight: Weight,
    bias: Option<DeviceConst>,
    /// Row i of the running layer is row `order[i]` of the stored one (fused heads are regrouped).
    pub order: Option<Arc<Vec<u32>>>,
}

/// Rows of `width` values in the given order.
fn pick_rows(from: &[f32], order: &[u32], width: usize) -> Vec<f32> {
    order.iter().flat_map(|&r| &from[r as usize * width..(r as usize + 1) * width]).copied().collect()
}

impl Linear {
    /// A layer whose weight [out, in], rows in running order, was read. With `order` the stored `bias` is regrouped.
    pub(crate) fn new(
        module: String,
        (out_features, in_features): (usize, usize),
        weight: Weight,
        mut bias: Option<Vec<f32>>,
        order: Option<Arc<Vec<u32>>>,
    ) -> Self {
        if let Some(order) = &order {
            bias = bias.map(|b| pick_rows(&b, order, 1));
        }
        Self { module, in_features, out_features, weight, bias: bias.map(DeviceConst::from), order }
    }

    /// A layer of `values` [out, in] in f32.
    pub(crate) fn dense(
        module: String,
        shape: (usize, usize),
        values: &[f32],
        ops: &dyn Ops,
    ) -> Result<Self> {
        let read = |rows: Range<usize>, out: &mut [f32]| {
            out.copy_from_slice(&values[rows.start * shape.1..rows.end * shape.1]);
            Ok(())
        };
        let read: &ReadRows = &read;
        Ok(Self::new(module, shape, ops.load_weight(Precision::F32, shape, read)?, None, None))
    }

    /// How the weights are stored.
    pub(crate) fn precision(&self) -> Precision {
        self.weight.precision()
    }

    /// The weights of some outputs [rows, in] in f32, as they are used: an embedding's rows. All of `outputs`
    /// must be in range.
    pub(crate) fn rows(&self, outputs: &[u32]) -> Result<Activations> {
        self.weight.rows(outputs)
    }

    /// The weights as they are used, dequantised if need be: row-major [out, in], rows in running order.
    pub(crate) fn weights(&self) -> Result<Vec<f32>> {
        self.weight.unpack()
    }

    /// How far each weight of the files may be from that of `row`, a row of [`Self::weights`]: by as much as
    /// storing it rounds.
    pub(crate) fn rounding(&self, row: &[f32]) -> Vec<f32> {
        match self.weight.precision() {
            Precision::F32 => return vec![0.0; row.len()],
            Precision::Bf16 => return row.iter().map(|w| w.abs() / 256.0).collect(),
            Precision::Q8 => {}
        }
        // Half a step of a block of 32, and up to 127 times what f16 rounds off a step. Steps below the normal
        // numbers of f16 have few digits.
        let step = |block: &[f32]| block.iter().fold(0f32, |most, w| most.max(w.abs())) / 127.0;
        row.chunks(32).flat_map(|block| vec![(0.57 * step(block)).max(4e-6); block.len()]).collect()
    }

    /// The bias, in running order.
    pub(crate) fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// `stored` values, `width` for each row of the stored layer, in running order.
    pub(crate) fn in_running_order(&self, stored: Vec<f32>, width: usize) -> Vec<f32> {
        match &self.order {
            None => stored,
            Some(order) => pick_rows(&stored, order, width),
        }
    }

    /// From now on 8-bit weights are dequantised to bf16, and their inputs are not rounded to 8 bits.
    pub(crate) fn dequantise(&mut self) {
        self.weight.dequantise();
    }

    /// x [rows, in] → [rows, out].
    pub(crate) fn forward(&self, ops: &dyn Ops, x: &Activations) -> Result<Activations> {
        let [y] = Self::forward_all([self], ops, x)?;
        Ok(y)
    }

    /// The outputs of layers that share an input.
    pub(crate) fn forward_all<const N: usize>(
        layers: [&Linear; N],
        ops: &dyn Ops,
        x: &Activations,
    ) -> Result<[Activations; N]> {
        let mut outputs = Weight::forward_all(layers.map(|layer| &layer.weight), x)?;
        for (y, layer) in outputs.iter_mut().zip(layers) {
            if let Some(bias) = &layer.bias {
                ops.add_bias(y, bias)?;
            }
        }
        Ok(outputs)
    }

    /// Gradient with respect to x, given that of y: dy [rows, out] → [rows, in].
    pub(crate) fn backward(&self, dy: &Activations) -> Result<Activations> {
        self.weight.backward(dy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ops::tests::both;
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
        let wanted = [3u32, 39, 0, 3];
        let precisions = [Precision::F32, Precision::Bf16, Precision::Q8];
        for (precision, ops) in precisions.into_iter().flat_map(|p| both().map(|ops| (p, ops))) {
            let weight = ops.load_weight(precision, shape, &read).unwrap();
            let linear = Linear::new("l".into(), shape, weight, None, None);
            let all = linear.weights().unwrap();
            for (held, stored) in all.chunks(64).zip(values.chunks(64)) {
                let off = held.iter().zip(stored).map(|(h, s)| (h - s).abs());
                assert!(off.zip(linear.rounding(held)).all(|(off, most)| off <= most * 1.001), "{precision}");
            }
            let rows = linear.rows(&wanted).unwrap();
            assert_eq!(rows.shape(), (4, 64));
            for (row, at) in rows.values().unwrap().chunks(64).zip(wanted) {
                assert_eq!(row, &all[at as usize * 64..][..64], "{precision} {at}");
            }
        }
    }
}

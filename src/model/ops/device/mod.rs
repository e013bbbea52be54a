//! The operations that candle has for every device: what runs on a GPU. The host's kernels do the same faster on a
//! CPU; the tests of [`super`] compare the two.

mod attention;
mod elementwise;
mod training;

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use super::{Activations, Attention, Delta, LoraFactors, Norm, Ops, Segment, Weight};
use crate::Result;
use crate::model::constant::DeviceConst;
use crate::model::kv_cache::KvLayer;
use crate::model::packed::row_block::ReadRows;
use crate::model::precision::Precision;
use crate::model::rope::RopeTable;
use crate::model::simd::axpy;
use crate::model::spec::Activation;

/// The operations on one of candle's devices, of which the CPU is one.
#[derive(Clone, Debug)]
pub struct DeviceOps {
    device: Device,
}

impl DeviceOps {
    /// The operations on `device`.
    pub fn new(device: Device) -> Self {
        Self { device }
    }

    /// Values on this device.
    fn of(&self, x: &Activations) -> Result<Tensor> {
        x.tensor(&self.device)
    }

    fn numbers(&self, rows: &[usize]) -> Result<Tensor> {
        let rows: Vec<u32> = rows.iter().map(|&r| r as u32).collect();
        Ok(Tensor::from_slice(&rows, rows.len(), &self.device)?)
    }
}

impl Ops for DeviceOps {
    fn device(&self) -> &Device {
        &self.device
    }

    fn load_weight(&self, precision: Precision, shape: (usize, usize), read: &ReadRows) -> Result<Weight> {
        Weight::on_device(precision, shape, read, &self.device)
    }

    fn zeros(&self, rows: usize, width: usize) -> Result<Activations> {
        Activations::on_device(Tensor::zeros((rows, width), DType::F32, &self.device)?)
    }

    fn norm(&self, norm: &Norm, x: &Activations) -> Result<Activations> {
        Activations::on_device(elementwise::norm(norm, &self.of(x)?)?)
    }

    fn norm_backward(&self, norm: &Norm, x: &Activations, dy: &Activations) -> Result<Activations> {
        Activations::on_device(elementwise::norm_backward(norm, &self.of(x)?, &self.of(dy)?)?)
    }

    fn activate(&self, kind: Activation, x: &Activations) -> Result<Activations> {
        Activations::on_device(elementwise::plain(kind, &self.of(x)?)?)
    }

    fn activate_backward(&self, kind: Activation, x: &Activations, dy: &Activations) -> Result<Activations> {
        Activations::on_device(elementwise::plain_backward(kind, &self.of(x)?, &self.of(dy)?)?)
    }

    fn gated(&self, kind: Activation, gate: &Activations, up: &Activations) -> Result<Activations> {
        Activations::on_device(elementwise::gated(kind, &self.of(gate)?, &self.of(up)?)?)
    }

    fn gated_backward(
        &self,
        kind: Activation,
        gate: &Activations,
        up: &Activations,
        dy: &Activations,
    ) -> Result<(Activations, Activations)> {
        let (d_gate, d_up) =
            elementwise::gated_backward(kind, &self.of(gate)?, &self.of(up)?, &self.of(dy)?)?;
        Ok((Activations::on_device(d_gate)?, Activations::on_device(d_up)?))
    }

    fn add(&self, y: &mut Activations, x: &Activations) -> Result<()> {
        y.replace((self.of(y)? + self.of(x)?)?)
    }

    fn add_bias(&self, y: &mut Activations, bias: &DeviceConst) -> Result<()> {
        y.replace(self.of(y)?.broadcast_add(&bias.on(&self.device, bias.len())?)?)
    }

    fn scale(&self, y: &mut Activations, factor: f32) -> Result<()> {
        y.replace((self.of(y)? * f64::from(factor))?)
    }

    fn softcap(&self, y: &mut Activations, cap: f32) -> Result<()> {
        y.replace(elementwise::softcap(&self.of(y)?, cap)?)
    }

    fn columns(&self, x: &Activations, columns: Range<usize>) -> Result<Activations> {
        Activations::on_device(self.of(x)?.narrow(1, columns.start, columns.len())?)
    }

    fn concat_columns(&self, parts: &[&Activations]) -> Result<Activations> {
        let parts = parts.iter().map(|part| self.of(part)).collect::<Result<Vec<_>>>()?;
        Activations::on_device(Tensor::cat(&parts, 1)?)
    }

    fn select_rows(&self, x: &Activations, rows: &[usize]) -> Result<Activations> {
        Activations::on_device(self.of(x)?.index_select(&self.numbers(rows)?, 0)?)
    }

    fn put_rows(&self, y: &mut Activations, part: &Activations, rows: &[usize]) -> Result<()> {
        y.replace(self.of(y)?.index_add(&self.numbers(rows)?, &self.of(part)?, 0)?)
    }

    fn rotate(&self, x: &mut Activations, table: &RopeTable, sign: f32) -> Result<()> {
        x.replace(elementwise::rotate(&self.of(x)?, table, sign)?)
    }

    fn attention(
        &self,
        attention: &Attention,
        [q, k, v]: [&Activations; 3],
        segments: &[Segment],
    ) -> Result<Activations> {
        let (k, v) = (self.of(k)?, self.of(v)?);
        let own = |s: &Segment| -> Result<(Tensor, Tensor)> {
            Ok((k.narrow(0, s.start, s.len)?, v.narrow(0, s.start, s.len)?))
        };
        let kv: Vec<(Tensor, Tensor)> = segments.iter().map(own).collect::<Result<_>>()?;
        Activations::on_device(attention.forward_on_device(&self.of(q)?, segments, &kv)?)
    }

    fn attention_cached(
        &self,
        attention: &Attention,
        q: &Activations,
        segments: &[Segment],
        cached: &[&KvLayer],
    ) -> Result<Activations> {
        let kv: Vec<(Tensor, Tensor)> = cached.iter().map(|c| c.on_device()).collect::<Result<_>>()?;
        Activations::on_device(attention.forward_on_device(&self.of(q)?, segments, &kv)?)
    }

    fn attention_backward(
        &self,
        attention: &Attention,
        [q, k, v]: [&Activations; 3],
        dout: &Activations,
        segments: &[Segment],
    ) -> Result<[Activations; 3]> {
        let (q, k, v, dout) = (self.of(q)?, self.of(k)?, self.of(v)?, self.of(dout)?);
        let (dq, dk, dv) = attention.backward_on_device(&q, &k, &v, &dout, segments)?;
        Ok([Activations::on_device(dq)?, Activations::on_device(dk)?, Activations::on_device(dv)?])
    }

    fn append(
        &self,
        layer: &mut KvLayer,
        k: &Activations,
        v: &Activations,
        rows: Range<usize>,
    ) -> Result<()> {
        let some = |x: &Activations| -> Result<Tensor> {
            Ok(self.of(x)?.narrow(0, rows.start, rows.len())?.contiguous()?)
        };
        layer.append_on_device(&some(k)?, &some(v)?)
    }

    fn scores(&self, x: &Activations, prototypes: &DeviceConst) -> Result<Vec<f32>> {
        let width = x.width();
        let prototypes = prototypes.on(&self.device, (prototypes.len() / width.max(1), width))?;
        Ok(self.of(x)?.matmul(&prototypes.t()?)?.flatten_all()?.to_vec1()?)
    }

    fn add_delta(&self, delta: &dyn Delta, x: &Activations, y: &mut Activations) -> Result<()> {
        match delta.on_device(&self.of(x)?, &self.of(y)?)? {
            Some(new) => y.replace(new),
            None => {
                let x = x.values()?;
                y.edit(|y| delta.on_host(&x, y))
            }
        }
    }

    fn add_lora(&self, lora: &LoraFactors, x: &Activations, y: &mut Activations) -> Result<()> {
        y.replace((self.of(y)? + training::lora(lora, &self.of(x)?)?)?)
    }

    fn lora_backward(
        &self,
        lora: &LoraFactors,
        x: &Activations,
        dy: &Activations,
        dx: Option<&mut Activations>,
        (grad_a, grad_bt): (&mut [f32], &mut [f32]),
    ) -> Result<()> {
        let (ga, gb, back) = training::lora_backward(lora, &self.of(x)?, &self.of(dy)?, dx.is_some())?;
        if let (Some(dx), Some(back)) = (dx, back) {
            dx.replace((self.of(dx)? + back)?)?;
        }
        axpy(1.0, &ga, grad_a);
        axpy(1.0, &gb, grad_bt);
        Ok(())
    }

    fn cross_entropy(
        &self,
        logits: &mut Activations,
        targets: &[u32],
        weight: f32,
        softcap: Option<f32>,
        gradient: bool,
    ) -> Result<f64> {
        let (loss, d) = training::cross_entropy(&self.of(logits)?, targets, weight, softcap)?;
        if gradient {
            logits.replace(d)?;
        }
        Ok(loss)
    }
}

//! The operations that candle has for every device: what runs on a GPU. The host's kernels do the same faster on a
//! CPU; the tests of [`super`] compare the two.

mod attention;
mod elementwise;
mod training;

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use super::{Activations, Attention, Delta, LoraGradients, LoraPart, Norm, Ops, Segment, Weight};
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

    fn add_lora(&self, parts: &[LoraPart], x: &Activations, y: &mut Activations) -> Result<()> {
        let x = self.of(x)?;
        let each: Result<Vec<Tensor>> =
            parts.iter().map(|part| training::lora(&part.factors, &rows_of(&x, part)?)).collect();
        match training::spread(parts, &each?, x.dim(0)?)? {
            Some(added) => y.replace((self.of(y)? + added)?),
            None => Ok(()),
        }
    }

    fn lora_backward(
        &self,
        parts: &[LoraPart],
        gradients: &mut [LoraGradients],
        x: &Activations,
        dy: &Activations,
        dx: Option<&mut Activations>,
    ) -> Result<()> {
        let (x, dy) = (self.of(x)?, self.of(dy)?);
        let mut all = Vec::with_capacity(parts.len());
        for (part, own) in parts.iter().zip(gradients) {
            let (x, dy) = (rows_of(&x, part)?, rows_of(&dy, part)?);
            let (a, bt, back) = training::lora_backward(&part.factors, &x, &dy, dx.is_some())?;
            axpy(1.0, &a, own.a);
            axpy(1.0, &bt, own.bt);
            all.extend(back);
        }
        if let Some(dx) = dx
            && let Some(back) = training::spread(parts, &all, x.dim(0)?)?
        {
            dx.replace((self.of(dx)? + back)?)?;
        }
        Ok(())
    }

    fn cross_entropy(
        &self,
        logits: &mut Activations,
        targets: &[u32],
        weights: &[f32],
        softcap: Option<f32>,
        gradient: bool,
    ) -> Result<Vec<f64>> {
        let (losses, d) = training::cross_entropy(&self.of(logits)?, targets, weights, softcap)?;
        if gradient {
            logits.replace(d)?;
        }
        Ok(losses)
    }
}

/// A part's rows of `x`.
fn rows_of(x: &Tensor, part: &LoraPart) -> Result<Tensor> {
    Ok(x.narrow(0, part.rows.start, part.rows.len())?)
}

//! The CPU's kernels: over slices, on all threads.

mod attention;
mod lora;
mod loss;
mod mlp;
mod norm;
mod rope;
mod rows;
mod scores;

use std::ops::Range;

use candle_core::Device;

use super::{Activations, Attention, Delta, LoraGradients, LoraPart, Norm, Ops, Segment, Weight};
use crate::Result;
use crate::model::constant::DeviceConst;
use crate::model::kv_cache::KvLayer;
use crate::model::packed::row_block::ReadRows;
use crate::model::precision::Precision;
use crate::model::rope::RopeTable;
use crate::model::spec::Activation;

/// The operations on the CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostOps;

/// Values of the shape of `x`.
fn like(x: &Activations, values: Vec<f32>) -> Activations {
    Activations::new(x.shape(), values)
}

impl Ops for HostOps {
    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn load_weight(&self, precision: Precision, shape: (usize, usize), read: &ReadRows) -> Result<Weight> {
        Weight::on_host(precision, shape, read)
    }

    fn zeros(&self, rows: usize, width: usize) -> Result<Activations> {
        Ok(Activations::new((rows, width), vec![0.0; rows * width]))
    }

    fn norm(&self, norm: &Norm, x: &Activations) -> Result<Activations> {
        Ok(like(x, norm::forward(norm, &x.values()?)))
    }

    fn norm_backward(&self, norm: &Norm, x: &Activations, dy: &Activations) -> Result<Activations> {
        Ok(like(x, norm::backward(norm, &x.values()?, &dy.values()?)))
    }

    fn activate(&self, kind: Activation, x: &Activations) -> Result<Activations> {
        Ok(like(x, mlp::plain(kind, &x.values()?)))
    }

    fn activate_backward(&self, kind: Activation, x: &Activations, dy: &Activations) -> Result<Activations> {
        Ok(like(x, mlp::plain_backward(kind, &x.values()?, &dy.values()?)))
    }

    fn gated(&self, kind: Activation, gate: &Activations, up: &Activations) -> Result<Activations> {
        Ok(like(gate, mlp::gated(kind, &gate.values()?, &up.values()?)))
    }

    fn gated_backward(
        &self,
        kind: Activation,
        gate: &Activations,
        up: &Activations,
        dy: &Activations,
    ) -> Result<(Activations, Activations)> {
        let [d_gate, d_up] = mlp::gated_backward(kind, &gate.values()?, &up.values()?, &dy.values()?);
        Ok((like(gate, d_gate), like(up, d_up)))
    }

    fn add(&self, y: &mut Activations, x: &Activations) -> Result<()> {
        let x = x.values()?;
        y.edit(|y| rows::add(y, &x))
    }

    fn add_bias(&self, y: &mut Activations, bias: &DeviceConst) -> Result<()> {
        y.edit(|y| rows::add_bias(y, bias))
    }

    fn scale(&self, y: &mut Activations, factor: f32) -> Result<()> {
        y.edit(|y| y.iter_mut().for_each(|v| *v *= factor))
    }

    fn softcap(&self, y: &mut Activations, cap: f32) -> Result<()> {
        y.edit(|y| rows::softcap(y, cap))
    }

    fn columns(&self, x: &Activations, columns: Range<usize>) -> Result<Activations> {
        let shape = (x.rows(), columns.len());
        Ok(Activations::new(shape, rows::columns(&x.values()?, x.width(), columns)))
    }

    fn concat_columns(&self, parts: &[&Activations]) -> Result<Activations> {
        let rows = parts.first().map_or(0, |part| part.rows());
        let width = parts.iter().map(|part| part.width()).sum();
        let values = parts.iter().map(|part| part.values()).collect::<Result<Vec<_>>>()?;
        let parts: Vec<(&[f32], usize)> =
            values.iter().zip(parts).map(|(values, part)| (&**values, part.width())).collect();
        Ok(Activations::new((rows, width), rows::concat_columns(&parts, rows)))
    }

    fn select_rows(&self, x: &Activations, rows: &[usize]) -> Result<Activations> {
        Ok(Activations::new((rows.len(), x.width()), rows::select(&x.values()?, x.width(), rows)))
    }

    fn put_rows(&self, y: &mut Activations, part: &Activations, rows: &[usize]) -> Result<()> {
        let values = part.values()?;
        y.edit(|y| rows::put(y, &values, part.width(), rows))
    }

    fn rotate(&self, x: &mut Activations, table: &RopeTable, sign: f32) -> Result<()> {
        let width = x.width();
        x.edit(|x| rope::rotate(x, width, table, sign))
    }

    fn attention(
        &self,
        attention: &Attention,
        [q, k, v]: [&Activations; 3],
        segments: &[Segment],
    ) -> Result<Activations> {
        let (keys, values, width) = (k.values()?, v.values()?, attention.kv_width());
        let (keys, values): (&[f32], &[f32]) = (&keys, &values);
        let mixed = attention::forward(attention, &q.values()?, segments, |i| {
            let (from, to) = (segments[i].start * width, (segments[i].start + segments[i].len) * width);
            (&keys[from..to], &values[from..to])
        });
        Ok(like(q, mixed))
    }

    fn attention_cached(
        &self,
        attention: &Attention,
        q: &Activations,
        segments: &[Segment],
        cached: &[&KvLayer],
    ) -> Result<Activations> {
        let mixed = attention::forward(attention, &q.values()?, segments, |i| cached[i].on_host());
        Ok(like(q, mixed))
    }

    fn attention_backward(
        &self,
        attention: &Attention,
        [q, k, v]: [&Activations; 3],
        dout: &Activations,
        segments: &[Segment],
    ) -> Result<[Activations; 3]> {
        let (qv, kv, vv) = (q.values()?, k.values()?, v.values()?);
        let [dq, dk, dv] = attention::backward(attention, [&qv, &kv, &vv], &dout.values()?, segments);
        Ok([like(q, dq), like(k, dk), like(v, dv)])
    }

    fn append(
        &self,
        layer: &mut KvLayer,
        k: &Activations,
        v: &Activations,
        rows: Range<usize>,
    ) -> Result<()> {
        let of = |x: &Activations| rows.start * x.width()..rows.end * x.width();
        layer.append(&k.values()?[of(k)], &v.values()?[of(v)]);
        Ok(())
    }

    fn scores(&self, x: &Activations, prototypes: &DeviceConst) -> Result<Vec<f32>> {
        Ok(scores::scores(&x.values()?, x.width(), prototypes))
    }

    fn add_delta(&self, delta: &dyn Delta, x: &Activations, y: &mut Activations) -> Result<()> {
        let x = x.values()?;
        y.edit(|y| delta.on_host(&x, y))
    }

    fn add_lora(&self, parts: &[LoraPart], x: &Activations, y: &mut Activations) -> Result<()> {
        let (x, width) = ((&*x.values()?, x.width()), y.width());
        y.edit(|y| lora::add(parts, x, (y, width)))
    }

    fn lora_backward(
        &self,
        parts: &[LoraPart],
        gradients: &mut [LoraGradients],
        x: &Activations,
        dy: &Activations,
        dx: Option<&mut Activations>,
    ) -> Result<()> {
        let (x, dy) = ((&*x.values()?, x.width()), (&*dy.values()?, dy.width()));
        match dx {
            Some(dx) => dx.edit(|dx| lora::backward(parts, gradients, x, dy, Some(dx))),
            None => {
                lora::backward(parts, gradients, x, dy, None);
                Ok(())
            }
        }
    }

    fn cross_entropy(
        &self,
        logits: &mut Activations,
        targets: &[u32],
        weights: &[f32],
        softcap: Option<f32>,
        gradient: bool,
    ) -> Result<Vec<f64>> {
        let gradient = gradient.then_some(loss::Gradient { softcap });
        let vocab = logits.width();
        logits.edit(|logits| loss::cross_entropy(logits, vocab, targets, weights, gradient))
    }
}

//! Frozen weights, as each implementation stores them.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device, Module, Tensor};

use super::Activations;
use crate::model::packed::PackedWeight;
use crate::model::packed::row_block::{ReadRows, read_whole};
use crate::model::precision::Precision;
use crate::model::tensor::values as values_of;
use crate::{Error, Result};

/// A weight matrix [out, in]. It multiplies where it is stored.
#[derive(Debug)]
pub struct Weight(Storage);

#[derive(Debug)]
enum Storage {
    Host(PackedWeight),
    /// [out, in] on a device, f32 or bf16.
    Dense(Tensor),
    /// 8 bits on a device.
    Blocks(Arc<QTensor>, QMatMul),
}

/// `x` · `w` where `w` may be bf16: then both are multiplied as bf16.
fn product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    if w.dtype() == x.dtype() {
        return Ok(x.matmul(w)?);
    }
    Ok(x.to_dtype(w.dtype())?.matmul(w)?.to_dtype(x.dtype())?)
}

impl Weight {
    /// The weight that `read` gives, packed for the CPU's kernels.
    pub(super) fn on_host(precision: Precision, shape: (usize, usize), read: &ReadRows) -> Result<Self> {
        Ok(Self(Storage::Host(PackedWeight::new(precision, shape, read)?)))
    }

    /// The weight that `read` gives, on a device.
    pub(super) fn on_device(
        precision: Precision,
        shape: (usize, usize),
        read: &ReadRows,
        device: &Device,
    ) -> Result<Self> {
        let dense = Tensor::from_vec(read_whole(shape, read)?, shape, device)?;
        Ok(Self(match precision {
            Precision::F32 => Storage::Dense(dense),
            Precision::Bf16 => Storage::Dense(dense.to_dtype(DType::BF16)?),
            Precision::Q8 if shape.1.is_multiple_of(32) => {
                let blocks = Arc::new(QTensor::quantize(&dense, GgmlDType::Q8_0)?);
                Storage::Blocks(Arc::clone(&blocks), QMatMul::from_arc(blocks)?)
            }
            Precision::Q8 => Storage::Dense(dense),
        }))
    }

    /// How the weights are stored.
    pub fn precision(&self) -> Precision {
        match &self.0 {
            Storage::Host(w) => w.precision(),
            Storage::Blocks(..) => Precision::Q8,
            Storage::Dense(w) if w.dtype() == DType::F32 => Precision::F32,
            Storage::Dense(_) => Precision::Bf16,
        }
    }

    /// x Wᵀ [rows, out] for each of `weights` and one x [rows, in].
    ///
    /// # Errors
    /// Those of the device.
    pub fn forward_all<const N: usize>(weights: [&Weight; N], x: &Activations) -> Result<[Activations; N]> {
        let alike = |w: &&Weight| w.precision() == weights[0].precision();
        fn on_host(w: &Weight) -> Option<&PackedWeight> {
            if let Storage::Host(w) = &w.0 { Some(w) } else { None }
        }
        let packed: Vec<&PackedWeight> = weights.iter().copied().filter(alike).filter_map(on_host).collect();
        if let Ok(packed) = <[&PackedWeight; N]>::try_from(packed) {
            let mut outputs = packed.map(|w| w.outputs).into_iter();
            let rows = x.rows();
            return Ok(PackedWeight::forward(packed, &x.values()?, rows)
                .map(|y| Activations::new((rows, outputs.next().unwrap_or(0)), y)));
        }
        let outputs: Vec<Activations> = weights.iter().map(|w| w.forward(x)).collect::<Result<_>>()?;
        outputs.try_into().map_err(|_| Error::msg("a layer gave no output"))
    }

    fn forward(&self, x: &Activations) -> Result<Activations> {
        match &self.0 {
            Storage::Host(w) => {
                let [y] = PackedWeight::forward([w], &x.values()?, x.rows());
                Ok(Activations::new((x.rows(), w.outputs), y))
            }
            Storage::Dense(w) => Activations::on_device(product(&x.tensor(w.device())?, &w.t()?)?),
            Storage::Blocks(blocks, w) => Activations::on_device(w.forward(&x.tensor(&blocks.device())?)?),
        }
    }

    /// dy W [rows, in] for dy [rows, out].
    ///
    /// # Errors
    /// Those of the device.
    pub fn backward(&self, dy: &Activations) -> Result<Activations> {
        match &self.0 {
            Storage::Host(w) => {
                let dx = w.backward(&dy.values()?, dy.rows());
                Ok(Activations::new((dy.rows(), w.inputs), dx))
            }
            Storage::Dense(w) => Activations::on_device(product(&dy.tensor(w.device())?, w)?),
            Storage::Blocks(w, _) => {
                let device = w.device();
                Activations::on_device(dy.tensor(&device)?.matmul(&w.dequantize(&device)?)?)
            }
        }
    }

    /// The weights of some outputs [outputs, in] in f32, as they are used: an embedding's rows. All of `outputs`
    /// must be in range.
    ///
    /// # Errors
    /// Those of the device.
    pub fn rows(&self, outputs: &[u32]) -> Result<Activations> {
        let numbers = |device: &Device| Tensor::from_slice(outputs, outputs.len(), device);
        match &self.0 {
            Storage::Host(w) => {
                let mut rows = Vec::with_capacity(outputs.len() * w.inputs);
                outputs.iter().for_each(|&output| w.row(output as usize, &mut rows));
                Ok(Activations::new((outputs.len(), w.inputs), rows))
            }
            Storage::Dense(w) => {
                Activations::on_device(w.index_select(&numbers(w.device())?, 0)?.to_dtype(DType::F32)?)
            }
            Storage::Blocks(w, _) => Activations::on_device(w.embedding(&numbers(&w.device())?)?),
        }
    }

    /// All weights as they are used, dequantised if need be: row-major [out, in], on the host.
    ///
    /// # Errors
    /// Those of the device.
    pub fn unpack(&self) -> Result<Vec<f32>> {
        Ok(match &self.0 {
            Storage::Host(w) => w.unpack(),
            Storage::Dense(w) => values_of(&w.to_dtype(DType::F32)?)?.to_vec(),
            Storage::Blocks(w, _) => values_of(&w.dequantize(&Device::Cpu)?)?.to_vec(),
        })
    }

    /// From now on 8-bit weights are dequantised to bf16, and their inputs are not rounded to 8 bits.
    pub fn dequantise(&mut self) {
        if let Storage::Host(packed) = &mut self.0 {
            packed.rounds_inputs = false;
        }
    }
}

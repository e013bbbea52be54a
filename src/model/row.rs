//! Small constants of a model, such as norm weights and biases, that every device needs.

use std::ops::Deref;
use std::sync::OnceLock;

use candle_core::Tensor;

use super::generic;
use crate::Result;

/// A vector of f32 that does not change. On another device it goes there once and stays.
#[derive(Clone, Debug, Default)]
pub struct Row {
    values: Vec<f32>,
    there: OnceLock<Tensor>,
}

impl Row {
    /// The values on the device of `like`: [length].
    pub(crate) fn on_device_of(&self, like: &Tensor) -> Result<Tensor> {
        if let Some(there) = self.there.get()
            && there.device().same_device(like.device())
        {
            return Ok(there.clone());
        }
        let new = generic::upload(&self.values, self.values.len(), like)?;
        // Where it lives on yet another device, this one is for once.
        let _ = self.there.set(new.clone());
        Ok(new)
    }
}

impl From<Vec<f32>> for Row {
    fn from(values: Vec<f32>) -> Self {
        Self { values, there: OnceLock::new() }
    }
}

impl Deref for Row {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_goes_to_a_device_once() {
        let row = Row::from(vec![1.0, -2.5, 3.0]);
        let like = Tensor::zeros(1, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
        let (first, second) = (row.on_device_of(&like).unwrap(), row.on_device_of(&like).unwrap());
        assert_eq!(first.to_vec1::<f32>().unwrap(), *row);
        assert_eq!(first.id(), second.id());
    }
}

//! Constants of a model, such as norm weights and biases, that every device needs.

use std::ops::Deref;
use std::sync::OnceLock;

use candle_core::{Device, Shape, Tensor};

use crate::Result;

/// f32 values that seldom change. They go to a device when they are first needed on it, and stay.
#[derive(Clone, Debug, Default)]
pub struct DeviceConst {
    values: Vec<f32>,
    on_device: OnceLock<Tensor>,
}

impl DeviceConst {
    /// The values on `device`, in this shape.
    pub(crate) fn on(&self, device: &Device, shape: impl Into<Shape>) -> Result<Tensor> {
        let uploaded = self.on_device.get().filter(|tensor| tensor.device().same_device(device));
        let flat = match uploaded {
            Some(tensor) => tensor.clone(),
            None => {
                let new = Tensor::from_slice(&self.values, self.values.len(), device)?;
                // Where the values are on another device already, this copy is for once.
                let _ = self.on_device.set(new.clone());
                new
            }
        };
        Ok(flat.reshape(shape.into())?)
    }

    /// The values, to be changed: a device then gets them again.
    pub(crate) fn edit(&mut self) -> &mut Vec<f32> {
        self.on_device = OnceLock::new();
        &mut self.values
    }
}

impl From<Vec<f32>> for DeviceConst {
    fn from(values: Vec<f32>) -> Self {
        Self { values, on_device: OnceLock::new() }
    }
}

impl Deref for DeviceConst {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_goes_to_a_device_once_unless_it_changes() {
        let mut constant = DeviceConst::from(vec![1.0, -2.5, 3.0]);
        let values = |c: &DeviceConst| c.on(&Device::Cpu, (1, 3)).unwrap().to_vec2::<f32>().unwrap();
        let uploaded = |c: &DeviceConst| c.on_device.get().map(Tensor::id);
        assert_eq!(values(&constant), [[1.0, -2.5, 3.0]]);
        let first = uploaded(&constant);
        assert_eq!(values(&constant), [[1.0, -2.5, 3.0]]);
        assert!(first.is_some() && uploaded(&constant) == first);
        constant.edit()[1] = 4.0;
        assert_eq!(uploaded(&constant), None);
        assert_eq!(values(&constant), [[1.0, 4.0, 3.0]]);
    }
}

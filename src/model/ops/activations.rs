//! What flows through the decoder.

use std::borrow::Cow;

use candle_core::{Device, Tensor};

use crate::{Error, Result};

/// f32 values of shape [rows, width], on the host or on a device. Nothing else refers to them: what changes them
/// takes them by `&mut`.
#[derive(Debug)]
pub struct Activations {
    rows: usize,
    width: usize,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Host(Vec<f32>),
    /// Contiguous. Never written in place: a change puts another tensor here.
    Device(Tensor),
}

impl Activations {
    /// Values on the host, row after row.
    ///
    /// # Panics
    /// If their number is not rows × width (a bug in the caller, not bad input).
    pub fn new((rows, width): (usize, usize), values: Vec<f32>) -> Self {
        assert_eq!(values.len(), rows * width, "values of {rows} × {width}");
        Self { rows, width, place: Place::Host(values) }
    }

    /// A tensor [rows, width] on a device.
    ///
    /// # Errors
    /// When it has another number of dimensions.
    pub fn on_device(tensor: Tensor) -> Result<Self> {
        let (rows, width) = tensor.dims2()?;
        Ok(Self { rows, width, place: Place::Device(tensor.contiguous()?) })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// (rows, width).
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.width)
    }

    /// The values, row after row: borrowed on the host, copied from a device.
    ///
    /// # Errors
    /// Those of the device.
    pub fn values(&self) -> Result<Cow<'_, [f32]>> {
        Ok(match &self.place {
            Place::Host(values) => Cow::Borrowed(values),
            Place::Device(tensor) => Cow::Owned(tensor.flatten_all()?.to_vec1()?),
        })
    }

    /// The values as a tensor [rows, width] on `device`; copied where they are on the host.
    ///
    /// # Errors
    /// Those of the device.
    pub fn tensor(&self, device: &Device) -> Result<Tensor> {
        Ok(match &self.place {
            Place::Host(values) => Tensor::from_slice(values, self.shape(), device)?,
            Place::Device(tensor) => tensor.clone(),
        })
    }

    /// The values as a tensor where they are, without a copy.
    ///
    /// # Errors
    /// None that is known.
    pub fn into_tensor(self) -> Result<Tensor> {
        match self.place {
            Place::Host(values) => Ok(Tensor::from_vec(values, (self.rows, self.width), &Device::Cpu)?),
            Place::Device(tensor) => Ok(tensor),
        }
    }

    /// Changes the values on the host. Those of a device come here and go back.
    ///
    /// # Errors
    /// Those of the device.
    pub fn edit<T>(&mut self, change: impl FnOnce(&mut [f32]) -> T) -> Result<T> {
        match &mut self.place {
            Place::Host(values) => Ok(change(values)),
            Place::Device(tensor) => {
                let mut values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
                let result = change(&mut values);
                *tensor = Tensor::from_vec(values, (self.rows, self.width), tensor.device())?;
                Ok(result)
            }
        }
    }

    /// Puts the values of `tensor`, which has the same shape, in the place of these.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn replace(&mut self, tensor: Tensor) -> Result<()> {
        if tensor.dims() != [self.rows, self.width] {
            return Err(Error::msg("an operation changed the shape of its output"));
        }
        self.place = Place::Device(tensor.contiguous()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_on_the_host_and_on_a_device() {
        let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let tensor = Tensor::from_slice(&values, (2, 3), &Device::Cpu).unwrap();
        let across = Activations::on_device(tensor.t().unwrap()).unwrap();
        assert_eq!(
            (across.shape(), &*across.values().unwrap()),
            ((3, 2), &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0][..])
        );
        for mut x in [Activations::new((2, 3), values.clone()), Activations::on_device(tensor).unwrap()] {
            assert_eq!(&*x.values().unwrap(), values);
            let last = x.edit(|v| std::mem::replace(&mut v[5], 0.0)).unwrap();
            assert_eq!((last, x.values().unwrap()[5]), (6.0, 0.0));
            assert_eq!(x.tensor(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap()[1], [4.0, 5.0, 0.0]);
            x.replace(Tensor::ones((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap()).unwrap();
            assert_eq!(x.into_tensor().unwrap().to_vec2::<f32>().unwrap(), [[1.0; 3]; 2]);
        }
    }

    #[test]
    fn another_shape_is_refused() {
        let mut x = Activations::new((1, 2), vec![0.0; 2]);
        let other = Tensor::ones((2, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(x.replace(other).is_err());
    }
}

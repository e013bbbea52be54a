//! The factors of many experts on a device.

use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Tensor};

use super::lora::{Factors, Lora, Store};
use crate::Result;

/// The factors of a module's experts on the device of the base model, once they were needed on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceStack(OnceLock<Arc<Stack>>);

impl DeviceStack {
    /// The factors that `loras` have in `store`, at a module of (in, out) features.
    pub fn on(
        &self,
        device: &Device,
        store: &Store,
        loras: &[Option<Lora>],
        size: (usize, usize),
    ) -> Result<&Stack> {
        if let Some(stack) = self.0.get() {
            return Ok(stack);
        }
        let new = Arc::new(Stack::new(device, store, loras, size)?);
        Ok(self.0.get_or_init(|| new))
    }
}

/// The factors of all experts, one below the other, in the dtype of their files.
#[derive(Debug)]
pub(crate) struct Stack {
    /// [Σ rank, in].
    a: Tensor,
    /// [Σ rank, out].
    bt: Tensor,
    /// First row of every expert, and the end.
    starts: Vec<usize>,
}

/// The dtype that stores all of `factors` as they are.
fn common_dtype<'a>(factors: impl Iterator<Item = Factors<'a>>) -> DType {
    let mut all = factors.map(|factors| factors.dtype());
    let Some(first) = all.next() else { return DType::F32 };
    if all.all(|dtype| dtype == first) { first } else { DType::F32 }
}

/// `factors` of `width` columns below one another.
fn below_one_another<'a>(
    factors: impl Iterator<Item = Factors<'a>> + Clone,
    width: usize,
    device: &Device,
) -> Result<Tensor> {
    let dtype = common_dtype(factors.clone());
    let mut rows = Vec::new();
    let mut wide = Vec::new();
    for factors in factors {
        factors.widen(&mut wide);
        rows.extend_from_slice(&wide);
    }
    Ok(Tensor::from_slice(&rows, (rows.len() / width.max(1), width), device)?.to_dtype(dtype)?)
}

impl Stack {
    fn new(device: &Device, store: &Store, loras: &[Option<Lora>], size: (usize, usize)) -> Result<Self> {
        let mut starts = vec![0];
        let mut end = 0;
        for lora in loras {
            end += lora.as_ref().map_or(0, |l| l.rank);
            starts.push(end);
        }
        Ok(Self {
            a: below_one_another(loras.iter().flatten().map(|l| store.a(l, size)), size.0, device)?,
            bt: below_one_another(loras.iter().flatten().map(|l| store.bt(l, size)), size.1, device)?,
            starts,
        })
    }

    /// A [Σ rank, in] and Bᵀ [Σ rank, out] of some experts, in f32.
    pub fn pick(&self, experts: impl Iterator<Item = usize>) -> Result<(Tensor, Tensor)> {
        let rows = experts.flat_map(|expert| self.starts[expert]..self.starts[expert + 1]);
        let rows: Vec<u32> = rows.map(|row| row as u32).collect();
        let (mut a, mut bt) = (self.a.clone(), self.bt.clone());
        if rows.len() < a.dim(0)? {
            let rows = Tensor::from_slice(&rows, rows.len(), a.device())?;
            (a, bt) = (a.index_select(&rows, 0)?, bt.index_select(&rows, 0)?);
        }
        Ok((a.to_dtype(DType::F32)?, bt.to_dtype(DType::F32)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::lora::Kind;
    use super::*;

    #[test]
    fn factors_keep_a_dtype_that_all_of_them_have() {
        let dtype = |kinds: &[Kind]| {
            let (mut store, mut loras) = (Store::default(), vec![None]);
            for &kind in kinds {
                let parts = super::super::lora::Parts {
                    rank: 2,
                    scale: 1.0,
                    a: vec![0.5; 6],
                    bt: vec![0.25; 4],
                    shift: Vec::new(),
                    magnitude: Vec::new(),
                };
                loras.push(Some(parts.finish((3, 2), kind).stack(&mut store)));
            }
            let stack = Stack::new(&Device::Cpu, &store, &loras, (3, 2)).unwrap();
            assert_eq!(
                (stack.a.dims(), stack.bt.dims()),
                (&[2 * kinds.len(), 3][..], &[2 * kinds.len(), 2][..])
            );
            let (a, bt) = stack.pick(1..2).unwrap();
            assert_eq!(a.to_vec2::<f32>().unwrap(), [[0.5; 3]; 2]);
            assert_eq!(bt.to_vec2::<f32>().unwrap(), [[0.25; 2]; 2]);
            stack.a.dtype()
        };
        assert_eq!(dtype(&[Kind::Bf16, Kind::Bf16]), DType::BF16);
        assert_eq!(dtype(&[Kind::F16]), DType::F16);
        assert_eq!(dtype(&[Kind::Bf16, Kind::F16]), DType::F32);
    }
}

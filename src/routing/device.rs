//! The experts' LoRA on a device: the sums of [`super::apply`] as products of whole matrices. Scores come to the
//! host, where experts are chosen, and the chosen weights go back; rows of hidden width stay where they are.
//!
//! Every token meets the rows of every expert that some token of the batch chose, with weight 0 where it chose
//! another: work grows with the experts in use, not with the library.

use candle_core::Tensor;

use super::experts::StackedModule;
use super::lora::Lora;
use super::mix::Mix;
use crate::Result;

/// An expert that some row chose.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Speaker {
    expert: u32,
    rank: usize,
    scale: f32,
    /// Its first column in z = x Aᵀ.
    column: usize,
}

/// Every expert that some row chose and that has the module, once, by number.
fn speakers(loras: &[Option<Lora>], chosen: &[(u32, f32)]) -> Vec<Speaker> {
    let mut experts: Vec<u32> = chosen.iter().filter(|c| c.1 != 0.0).map(|c| c.0).collect();
    experts.sort_unstable();
    experts.dedup();
    let mut column = 0;
    let mut all = Vec::with_capacity(experts.len());
    for expert in experts {
        let Some(lora) = loras.get(expert as usize).and_then(Option::as_ref) else { continue };
        all.push(Speaker { expert, rank: lora.rank, scale: lora.scale, column });
        column += lora.rank;
    }
    all
}

/// The weight of each column of z in each row, [rows, columns]; times the expert's scale where `scaled`.
fn spread(
    speaking: &[Speaker],
    columns: usize,
    chosen: &[(u32, f32)],
    width: usize,
    scaled: bool,
) -> Vec<f32> {
    let mut weights = vec![0f32; chosen.len() / width * columns];
    for (weights, chosen) in weights.chunks_mut(columns).zip(chosen.chunks(width)) {
        for &(expert, w) in chosen.iter().filter(|c| c.1 != 0.0) {
            if let Ok(at) = speaking.binary_search_by_key(&expert, |s| s.expert) {
                let s = speaking[at];
                weights[s.column..s.column + s.rank].fill(if scaled { w * s.scale } else { w });
            }
        }
    }
    weights
}

/// y [rows, out] with the chosen experts' LoRA of x [rows, in] added, for a module without extras. `chosen` is
/// [rows, width].
pub(super) fn add(
    module: &StackedModule,
    mix: Mix,
    x: &Tensor,
    y: &Tensor,
    chosen: &[(u32, f32)],
    width: usize,
) -> Result<Tensor> {
    let speaking = speakers(&module.loras, chosen);
    let Some(last) = speaking.last().filter(|last| last.rank > 0) else { return Ok(y.clone()) };
    let (columns, rows, device) = (last.column + last.rank, x.dim(0)?, x.device());
    let stack = module.device_stack.on(device, &module.store, &module.loras, module.size())?;
    let (a, bt) = stack.pick(speaking.iter().map(|s| s.expert as usize))?;
    let weights = |scaled| {
        Tensor::from_slice(&spread(&speaking, columns, chosen, width, scaled), (rows, columns), device)
    };
    let z = x.matmul(&a.t()?)?;
    let z = match mix {
        Mix::Outputs => (z * weights(true)?)?,
        // z = Σ w (A x), then Σ w s (B z): ranks and scales are equal.
        Mix::Factors => {
            let weights = weights(false)?;
            let shape = (rows, speaking.len(), last.rank);
            let mixed = (z * &weights)?.reshape(shape)?.sum_keepdim(1)?;
            let again = weights.reshape(shape)?.broadcast_mul(&mixed)?;
            again.reshape((rows, columns))?.affine(f64::from(last.scale), 0.0)?
        }
    };
    Ok((y + z.matmul(&bt)?)?)
}

#[cfg(test)]
mod tests {
    use super::super::apply::{Rows, add_factors, add_outputs};
    use candle_core::{DType, Device};

    use super::super::lora::{Kind, Parts};
    use super::*;

    const SIZE: (usize, usize) = (9, 7);

    fn wave(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| ((i as f32 + 1.0) * step).sin()).collect()
    }

    /// Experts of these (rank, scale, dtype); rank 0 means that the expert lacks the module.
    fn module(experts: &[(usize, f32, &str)]) -> StackedModule {
        let mut module = StackedModule::new(0, SIZE, experts.len());
        let entry = |(e, &(rank, scale, dtype)): (usize, &(usize, f32, &str))| {
            let step = 0.31 + 0.17 * e as f32;
            let (a, bt) = (wave(rank * SIZE.0, step), wave(rank * SIZE.1, step + 0.05));
            let parts = Parts { rank, scale, a, bt, shift: Vec::new(), magnitude: Vec::new() };
            (rank > 0).then(|| parts.finish(SIZE, Kind::named(dtype)))
        };
        module.restack(&experts.iter().enumerate().map(entry).collect::<Vec<_>>());
        module
    }

    /// Largest difference between both ways of adding what `chosen` says.
    fn apart(module: &StackedModule, mix: Mix, chosen: &[(u32, f32)], width: usize) -> f32 {
        let rows = chosen.len() / width;
        let (x, before) = (wave(rows * SIZE.0, 0.7), wave(rows * SIZE.1, 0.9));
        let mut wanted = before.clone();
        let input = Rows { x: &x, width: SIZE.0 };
        match mix {
            Mix::Outputs => add_outputs(module, &input, &mut wanted, chosen, width),
            Mix::Factors => add_factors(module, &input, &mut wanted, chosen, width),
        }
        let tensor = |v: &[f32], width| Tensor::from_slice(v, (rows, width), &Device::Cpu).unwrap();
        let y = add(module, mix, &tensor(&x, SIZE.0), &tensor(&before, SIZE.1), chosen, width).unwrap();
        let found: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(found.len(), wanted.len());
        found.iter().zip(&wanted).map(|(f, w)| (f - w).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn outputs_are_added_as_on_the_host() {
        let kinds = [
            [(2, 1.5, "f32"), (0, 0.0, "f32"), (4, 0.3, "f32"), (1, 1.0, "f32")],
            [(2, 1.4, "bf16"), (3, 0.7, "bf16"), (4, 0.3, "bf16"), (0, 0.0, "bf16")],
            [(2, 1.4, "f16"), (3, 0.7, "bf16"), (4, 0.3, "f32"), (1, 1.1, "f16")],
        ];
        for kind in kinds {
            let module = module(&kind);
            let all =
                [(0, 0.5), (1, 0.3), (3, 0.2), (2, 1.0), (0, 0.0), (0, 0.0), (1, 0.9), (2, 0.1), (0, 0.0)];
            let few = [(2, 0.6), (0, 0.4), (2, 1.0), (0, 0.0)];
            for (chosen, width) in [(&all[..], 3), (&few[..], 2), (&[(1, 1.0)], 1), (&[(0, 0.0)], 1)] {
                let off = apart(&module, Mix::Outputs, chosen, width);
                assert!(off < 1e-5, "{kind:?} {chosen:?}: {off}");
            }
        }
    }

    #[test]
    fn factors_are_mixed_as_on_the_host() {
        let module = module(&[(3, 0.8, "f32"), (3, 0.8, "f32"), (0, 0.0, "f32"), (3, 0.8, "f32")]);
        let all = [(3, 0.7), (0, 0.3), (1, 1.0), (2, 0.0), (2, 0.5), (3, 0.5)];
        for (chosen, width) in [(&all[..], 2), (&all[..2], 2), (&[(1, 1.0)], 1), (&[(2, 1.0)], 1)] {
            let off = apart(&module, Mix::Factors, chosen, width);
            assert!(off < 1e-5, "{chosen:?}: {off}");
        }
    }

    #[test]
    fn only_experts_that_were_chosen_take_part() {
        let module = module(&vec![(2, 1.0, "bf16"); 200]);
        let chosen = [(17, 0.5), (199, 0.5), (17, 1.0), (3, 0.0)];
        let speaking = speakers(&module.loras, &chosen);
        assert_eq!(speaking.iter().map(|s| (s.expert, s.column)).collect::<Vec<_>>(), [(17, 0), (199, 2)]);
        let stack =
            module.device_stack.on(&Device::Cpu, &module.store, &module.loras, module.size()).unwrap();
        let (a, bt) = stack.pick(0..200).unwrap();
        assert_eq!((a.dims(), bt.dims()), (&[400, 9][..], &[400, 7][..]));
        let (a, bt) = stack.pick(speaking.iter().map(|s| s.expert as usize)).unwrap();
        assert_eq!((a.dims(), bt.dims(), a.dtype()), (&[4, 9][..], &[4, 7][..], DType::F32));
        assert!(apart(&module, Mix::Outputs, &chosen, 2) < 1e-5);
    }
}

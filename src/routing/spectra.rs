//! The right singular vectors of all experts at a module, one below the other, so that one product gives Vᵀx of all
//! of them.

use std::ops::Range;

use rayon::prelude::*;

use super::lora::{Lora, Store};
use crate::Result;
use crate::analysis::{Directions, directions};
use crate::model::ops::Weight;
use crate::model::tensor::transpose;
use crate::model::{Activations, Ops, Precision};

/// V and S of s·B·A = U S Vᵀ of all experts at a module.
#[derive(Debug)]
pub(crate) struct Spectra {
    /// [Σ rank, in]; `None` where there is nothing to multiply.
    weight: Option<Weight>,
    /// The same transposed, for an embedding: [vocabulary, Σ rank].
    by_token: Vec<f32>,
    /// First vector of every expert, and the end.
    starts: Vec<usize>,
    /// Singular values, times the scale.
    sigma: Vec<f32>,
}

impl Spectra {
    /// Those of `loras` in `store` at a module of (in, out) features. Vectors are stored as the base model's weights
    /// are, in `precision`, where `ops` has them.
    ///
    /// # Errors
    /// Those of the device.
    pub fn new(
        loras: &[Option<Lora>],
        store: &Store,
        candidate: &[bool],
        size: (usize, usize),
        hold: &Hold,
    ) -> Result<Self> {
        let of_expert = |(lora, candidate): (&Option<Lora>, &bool)| {
            let lora = lora.as_ref().filter(|_| *candidate)?;
            let parts = lora.parts(store, size);
            let b = transpose(&parts.bt, parts.rank, size.1);
            Some((directions(&parts.a, &b, parts.rank, size.0, size.1), parts.scale.abs()))
        };
        let found: Vec<Option<(Directions, f32)>> = loras.par_iter().zip(candidate).map(of_expert).collect();
        let (mut starts, mut sigma, mut vectors) = (vec![0], Vec::new(), Vec::new());
        for found in &found {
            if let Some((Directions { vectors: own, sigma: values }, scale)) = found {
                vectors.extend_from_slice(own);
                sigma.extend(values.iter().map(|s| *s as f32 * scale));
            }
            starts.push(sigma.len());
        }
        let (mut weight, mut by_token) = (None, Vec::new());
        match hold {
            Hold::Linear(..) if sigma.is_empty() => {}
            Hold::Linear(ops, precision) => {
                let read = |rows: Range<usize>, out: &mut [f32]| {
                    out.copy_from_slice(&vectors[rows.start * size.0..rows.end * size.0]);
                    Ok(())
                };
                weight = Some(ops.load_weight(*precision, (sigma.len(), size.0), &read)?);
            }
            Hold::Embedding => by_token = transpose(&vectors, sigma.len(), size.0),
        }
        Ok(Self { weight, by_token, starts, sigma })
    }

    /// Vectors of all experts.
    pub fn width(&self) -> usize {
        self.sigma.len()
    }

    /// Vᵀx of all experts [rows, Σ rank]; `None` where there is none.
    pub fn along(&self, x: &Activations) -> Result<Option<Activations>> {
        let Some(weight) = &self.weight else { return Ok(None) };
        let [y] = Weight::forward_all([weight], x)?;
        Ok(Some(y))
    }

    /// The rank of all experts, where it is one.
    fn rank(&self) -> Option<usize> {
        let rank = self.starts.get(1).copied().filter(|rank| *rank > 0)?;
        let same = self.starts.iter().enumerate().all(|(at, start)| *start == at * rank);
        same.then_some(rank)
    }

    /// √Σ (w y)² over the directions of each expert, for rows `along` [rows, Σ rank]: into `scores` [rows, experts]. w is
    /// σ where `weighted`, else 1.
    pub fn lengths(&self, along: &[f32], scores: &mut [f32], weighted: bool) {
        let experts = self.starts.len() - 1;
        let one = vec![1.0; if weighted { 0 } else { self.width() }];
        let factors = if weighted { &self.sigma } else { &one };
        let rows = scores.chunks_mut(experts.max(1)).zip(along.chunks(self.width().max(1)));
        match self.rank() {
            Some(4) => rows.for_each(|(scores, along)| lengths::<4>(along, factors, scores)),
            Some(8) => rows.for_each(|(scores, along)| lengths::<8>(along, factors, scores)),
            Some(16) => rows.for_each(|(scores, along)| lengths::<16>(along, factors, scores)),
            _ => rows.for_each(|(scores, along)| {
                for (score, ends) in scores.iter_mut().zip(self.starts.windows(2)) {
                    let (along, factors) = (&along[ends[0]..ends[1]], &factors[ends[0]..ends[1]]);
                    *score = along.iter().zip(factors).map(|(y, w)| (y * w) * (y * w)).sum::<f32>().sqrt();
                }
            }),
        }
    }

    /// The same for rows of the one-hot matrix of an embedding.
    pub fn along_tokens(&self, ids: &[u32]) -> Vec<f32> {
        let width = self.width();
        let of_token = |&id: &u32| self.by_token.get(id as usize * width..(id as usize + 1) * width);
        ids.iter().filter_map(of_token).flatten().copied().collect()
    }
}

/// √Σ (w y)² of experts of one rank.
fn lengths<const RANK: usize>(along: &[f32], factors: &[f32], scores: &mut [f32]) {
    let (along, _) = along.as_chunks::<RANK>();
    let (factors, _) = factors.as_chunks::<RANK>();
    for ((score, along), factors) in scores.iter_mut().zip(along).zip(factors) {
        let mut sum = 0f32;
        for (y, w) in along.iter().zip(factors) {
            sum += (y * w) * (y * w);
        }
        *score = sum.sqrt();
    }
}

/// How a module's vectors are stored.
pub(crate) enum Hold<'a> {
    /// To be multiplied with rows.
    Linear(&'a dyn Ops, Precision),
    /// To be looked up by token.
    Embedding,
}

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
    /// Those of `loras` in `store` at a module of (in, out) features. Vectors are held as the base model's weights
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

    /// By expert: where its values are, and its singular values, strongest first; none where it is no candidate.
    pub fn experts(&self) -> impl Iterator<Item = (Range<usize>, &[f32])> {
        self.starts.windows(2).map(|ends| {
            let range = ends[0]..ends[1];
            (range.clone(), &self.sigma[range])
        })
    }

    /// Vᵀx of all experts [rows, Σ rank], on the host.
    pub fn along(&self, x: &Activations) -> Result<Vec<f32>> {
        let Some(weight) = &self.weight else { return Ok(Vec::new()) };
        let [y] = Weight::forward_all([weight], x)?;
        Ok(y.values()?.into_owned())
    }

    /// The same for rows of the one-hot matrix of an embedding.
    pub fn along_tokens(&self, ids: &[u32]) -> Vec<f32> {
        let width = self.width();
        let of_token = |&id: &u32| self.by_token.get(id as usize * width..(id as usize + 1) * width);
        ids.iter().filter_map(of_token).flatten().copied().collect()
    }
}

/// How a module's vectors are held.
pub(crate) enum Hold<'a> {
    /// To be multiplied with rows.
    Linear(&'a dyn Ops, Precision),
    /// To be looked up by token.
    Embedding,
}

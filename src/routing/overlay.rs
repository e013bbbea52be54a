//! What experts change in the parameters of the base model that they replace.
//!
//! Nothing says which token should use a replaced parameter, so they apply only where an expert has the same
//! weight everywhere: alone, or in a mean. There, all experts together make one [`Overlay`] of differences to
//! the base model, Σ w (W′ − W), whose cost does not grow with their number.

use std::collections::{BTreeMap, HashMap};

use super::experts::{ExpertSet, StackedModule};
use super::replaced::{Place, Places, Replaced};
use crate::library::{Adapter, Stored, StoredRows};
use crate::model::simd::{axpy, dot};
use crate::model::{Activations, Decoder, DeviceConst, Linear, Norm, Ops};
use crate::{Error, Result};

/// [`Replaced`] with its file open.
struct Opened<'a> {
    e: usize,
    w: f32,
    replaced: &'a Replaced,
    adapter: Adapter,
}

impl Opened<'_> {
    /// The parameters of this expert with their places.
    fn stored(&self) -> impl Iterator<Item = (Place, &Stored)> {
        let found = |name: &str| self.adapter.replaced.iter().find(|stored| stored.name == name);
        self.replaced.stored.iter().filter_map(move |(place, name)| Some((*place, found(name)?)))
    }

    /// The trained rows of this expert with their places.
    fn tokens(&self) -> impl Iterator<Item = (Place, &StoredRows)> {
        let found = |name: &str| self.adapter.tokens.iter().find(|rows| rows.module == name);
        self.replaced.tokens.iter().filter_map(move |(place, name)| Some((*place, found(name)?)))
    }
}

/// What experts with constant weights change at one linear layer.
#[derive(Debug, Default)]
struct Change {
    /// Σ w (W′ − W).
    weight: Option<Linear>,
    /// Σ w (b′ − b).
    bias: Option<DeviceConst>,
    /// Σ w (row′ − row) of single outputs.
    rows: BTreeMap<u32, Vec<f32>>,
}

/// What experts with constant weights change in the base model.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    linears: HashMap<usize, Change>,
    norms: HashMap<String, Norm>,
    /// [vocabulary, hidden].
    embedding: Option<Vec<f32>>,
    rows: BTreeMap<u32, Vec<f32>>,
}

/// acc += w · gain(i) · (new − base) at every index i.
fn accumulate(acc: &mut [f32], w: f32, new: &[f32], base: &[f32], gain: impl Fn(usize) -> f32) {
    for (at, ((acc, new), base)) in acc.iter_mut().zip(new).zip(base).enumerate() {
        *acc += w * gain(at) * (new - base);
    }
}

impl Overlay {
    /// The overlay of experts with these weights; `None` where they replace nothing.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn new(experts: &ExpertSet, weights: &[(usize, f32)], decoder: &Decoder) -> Result<Option<Self>> {
        let weights: HashMap<usize, f32> = weights.iter().copied().collect();
        let speaking: Vec<(usize, f32, &Replaced)> = experts
            .replaced
            .iter()
            .filter_map(|(e, replaced)| Some((*e, *weights.get(e)?, replaced)))
            .collect();
        if speaking.is_empty() {
            return Ok(None);
        }
        let places = Places::new(decoder);
        let mut overlay = Self::default();
        let mut sums: BTreeMap<Place, Vec<f32>> = BTreeMap::new();
        for (e, w, replaced) in speaking {
            // One file at a time: there may be more experts than files can be open.
            let opened = Opened { e, w, replaced, adapter: replaced.expert.load()? };
            for (place, stored) in opened.stored() {
                let base = places.base(place)?;
                let sum = sums.entry(place).or_insert_with(|| vec![0.0; base.len()]);
                let new = places.read(place, stored)?;
                // DoRA stretches the outputs of the weights that the expert has.
                match place {
                    Place::Weight(at) => {
                        let width = places.linears[at].in_features;
                        let gain = gain(experts.linears[at].as_ref(), e);
                        accumulate(sum, w, &new, &base, |i| gain.map_or(1.0, |gain| gain[i / width]));
                    }
                    Place::Embedding => {
                        let width = decoder.spec.hidden;
                        let gain = gain(experts.embedding.as_ref(), e);
                        accumulate(sum, w, &new, &base, |i| gain.map_or(1.0, |gain| gain[i % width]));
                    }
                    _ => accumulate(sum, w, &new, &base, |_| 1.0),
                }
            }
            overlay.put_tokens(&opened, &places)?;
        }
        for (place, sum) in sums {
            overlay.put(place, sum, &places)?;
        }
        Ok(Some(overlay))
    }

    fn put(&mut self, place: Place, sum: Vec<f32>, places: &Places) -> Result<()> {
        match place {
            Place::Weight(at) => {
                let base = places.linears[at];
                let shape = (base.out_features, base.in_features);
                let name = base.module.clone();
                let linear = Linear::dense(name, shape, &sum, &**places.decoder.ops())?;
                self.linears.entry(at).or_default().weight = Some(linear);
            }
            Place::Bias(at) => self.linears.entry(at).or_default().bias = Some(sum.into()),
            Place::NormWeight(at) => self.norm(places.norms[at]).weight = sum.into(),
            Place::NormBias(at) => self.norm(places.norms[at]).bias = Some(sum.into()),
            Place::Embedding => self.embedding = Some(sum),
        }
        Ok(())
    }

    /// The difference to a norm, zero so far.
    fn norm(&mut self, base: &Norm) -> &mut Norm {
        self.norms.entry(base.name.clone()).or_insert_with(|| Norm {
            weight: vec![0.0; base.weight.len()].into(),
            bias: None,
            ..base.clone()
        })
    }

    fn put_tokens(&mut self, opened: &Opened, places: &Places) -> Result<()> {
        for (place, rows) in opened.tokens() {
            // A trained row takes the place of what the expert's table says, if it has one of its own.
            let own = opened.stored().find(|(other, _)| *other == place);
            let before = match own {
                Some((place, stored)) => places.read(place, stored)?,
                None => places.base(place)?,
            };
            let new = rows.values()?;
            let into = match place {
                Place::Weight(at) => &mut self.linears.entry(at).or_default().rows,
                _ => &mut self.rows,
            };
            for (&id, new) in rows.ids.iter().zip(new.chunks(rows.width)) {
                let from = id as usize * rows.width;
                let Some(before) = before.get(from..from + rows.width) else {
                    return Err(Error::msg(format!(
                        "expert {} trains a token that the model lacks",
                        opened.e
                    )));
                };
                let sum = into.entry(id).or_insert_with(|| vec![0.0; rows.width]);
                accumulate(sum, opened.w, new, before, |_| 1.0);
            }
        }
        Ok(())
    }

    /// Adds to the output `y` of a linear layer for input `x`.
    pub fn apply(&self, ops: &dyn Ops, linear: usize, x: &Activations, y: &mut Activations) -> Result<()> {
        let Some(change) = self.linears.get(&linear) else { return Ok(()) };
        if let Some(weight) = &change.weight {
            ops.add(y, &weight.forward(ops, x)?)?;
        }
        if let Some(bias) = &change.bias {
            ops.add_bias(y, bias)?;
        }
        if change.rows.is_empty() {
            return Ok(());
        }
        let (width, out) = (x.width(), y.width());
        let x = x.values()?;
        y.edit(|y| {
            for (y, x) in y.chunks_mut(out).zip(x.chunks(width)) {
                for (&at, row) in &change.rows {
                    y[at as usize] += dot(x, row);
                }
            }
        })
    }

    /// Adds to the output `y` of a norm for input `x`.
    pub fn norm_output(&self, ops: &dyn Ops, name: &str, x: &Activations, y: &mut Activations) -> Result<()> {
        match self.norms.get(name) {
            Some(norm) => ops.add(y, &ops.norm(norm, x)?),
            None => Ok(()),
        }
    }

    /// Adds to the embeddings `x` [tokens, hidden].
    pub fn embed(&self, tokens: &[u32], x: &mut Activations) -> Result<()> {
        if self.embedding.is_none() && self.rows.is_empty() {
            return Ok(());
        }
        let hidden = x.width();
        x.edit(|x| {
            for (x, &token) in x.chunks_mut(hidden).zip(tokens) {
                if let Some(table) = &self.embedding {
                    let at = token as usize * hidden;
                    axpy(1.0, &table[at..at + hidden], x);
                }
                if let Some(row) = self.rows.get(&token) {
                    axpy(1.0, row, x);
                }
            }
        })
    }
}

/// DoRA's m / n of an expert at a module.
fn gain(module: Option<&StackedModule>, e: usize) -> Option<&[f32]> {
    module?.loras.get(e)?.as_ref()?.gain()
}

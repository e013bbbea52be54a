//! Parameters of the base model that experts replace (`modules_to_save`, biases, trained tokens).
//!
//! Nothing says which token should use a replaced parameter, so they apply only where an expert has the same
//! weight everywhere: alone, or in a mean. There, all experts together make one [`Overlay`] of differences to
//! the base model, Σ w (W′ − W), whose cost does not grow with their number.

use std::collections::{BTreeMap, HashMap};

use super::experts::ExpertSet;
use crate::library::{Adapter, Expert, Stored, StoredRows};
use crate::model::simd::{axpy, dot};
use crate::model::{Activations, Decoder, DeviceConst, Linear, Norm, Ops};
use crate::text::counted;
use crate::{Error, Result};

/// Where a parameter of the base model is: in a linear layer (by its number, the head included), in a norm
/// (by its number), or the embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Weight(usize),
    Bias(usize),
    NormWeight(usize),
    NormBias(usize),
    Embedding,
}

/// The parameters of a decoder by their names.
pub(crate) struct Places<'a> {
    decoder: &'a Decoder,
    linears: Vec<&'a Linear>,
    norms: Vec<&'a Norm>,
    named: HashMap<String, (Place, Vec<usize>)>,
}

impl<'a> Places<'a> {
    pub fn new(decoder: &'a Decoder) -> Self {
        let mut linears = decoder.linears();
        linears.push(&decoder.head);
        let norms = decoder.norms();
        let mut named = HashMap::new();
        for (at, linear) in linears.iter().enumerate() {
            let (i, o) = (linear.in_features, linear.out_features);
            named.insert(format!("{}.weight", linear.module), (Place::Weight(at), vec![o, i]));
            named.insert(format!("{}.bias", linear.module), (Place::Bias(at), vec![o]));
        }
        for (at, norm) in norms.iter().enumerate() {
            let shape = vec![norm.weight.len()];
            named.insert(format!("{}.weight", norm.name), (Place::NormWeight(at), shape.clone()));
            named.insert(format!("{}.bias", norm.name), (Place::NormBias(at), shape));
        }
        let spec = &decoder.spec;
        let shape = vec![spec.vocab, spec.hidden];
        named.insert(format!("{}.weight", spec.names.embed), (Place::Embedding, shape));
        Self { decoder, linears, norms, named }
    }

    /// The base model's values, in running order; a missing bias is zeros.
    fn base(&self, place: Place) -> Result<Vec<f32>> {
        Ok(match place {
            Place::Weight(at) => self.linears[at].weights()?,
            Place::Bias(at) => {
                let linear = self.linears[at];
                linear.bias().map_or_else(|| vec![0.0; linear.out_features], <[f32]>::to_vec)
            }
            Place::NormWeight(at) => self.norms[at].stored_weight(),
            Place::NormBias(at) => {
                let norm = self.norms[at];
                norm.bias.as_deref().map_or_else(|| vec![0.0; norm.weight.len()], <[f32]>::to_vec)
            }
            Place::Embedding => self.decoder.table().weights()?,
        })
    }

    /// The layer whose weight it is.
    fn linear(&self, place: Place) -> Option<&'a Linear> {
        match place {
            Place::Weight(at) => self.linears.get(at).copied(),
            Place::Embedding => Some(self.decoder.table()),
            Place::Bias(_) | Place::NormWeight(_) | Place::NormBias(_) => None,
        }
    }

    /// Values of a stored parameter, in running order.
    fn read(&self, place: Place, stored: &Stored) -> Result<Vec<f32>> {
        let values = stored.values()?;
        Ok(match place {
            Place::Weight(at) => self.linears[at].in_running_order(values, self.linears[at].in_features),
            Place::Bias(at) => self.linears[at].in_running_order(values, 1),
            Place::NormWeight(_) | Place::NormBias(_) | Place::Embedding => values,
        })
    }

    fn head(&self) -> usize {
        self.linears.len() - 1
    }
}

/// The parameters that one expert replaces. They stay in its file, which is opened when a router needs them.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    expert: Expert,
    /// Where a parameter goes, with its name.
    stored: Vec<(Place, String)>,
    /// Where trained rows go (the embedding or the head), with the name of their module.
    tokens: Vec<(Place, String)>,
}

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

/// What [`Replaced::new`] finds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub replaced: Option<Replaced>,
    /// What the base model has no place for.
    pub missing: Option<String>,
    /// What was to be a copy of the base model's weights and is not.
    pub differing: Option<String>,
}

impl Replaced {
    /// Finds the places of what `adapter` replaces.
    ///
    /// # Errors
    /// A reason why the expert does not fit: shapes that differ, tokens out of range, unreadable files.
    pub fn find(expert: &Expert, adapter: &Adapter, places: &Places) -> Result<Found, String> {
        if adapter.replaced.is_empty() && adapter.tokens.is_empty() {
            return Ok(Found::default());
        }
        let (mut stored_at, mut tokens, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        let (mut differing, mut copied) = (None, false);
        for stored in &adapter.replaced {
            let Some((place, shape)) = places.named.get(&stored.name) else {
                missing.push(stored.name.clone());
                continue;
            };
            if *shape != stored.shape {
                return Err(format!(
                    "{} is {:?} in the expert, {shape:?} in the base model",
                    stored.name, stored.shape
                ));
            }
            if stored.copy {
                let difference = difference(places, *place, stored).map_err(|e| e.to_string())?;
                let Some(difference) = difference else { continue };
                differing = Some(format!(
                    "its copy of {}, which differs from the base model's by {:.1} %",
                    stored.name,
                    100.0 * difference
                ));
            } else {
                // Only to see that it can be read.
                stored.values().map_err(|e| e.to_string())?;
            }
            stored_at.push((*place, stored.name.clone()));
            copied |= stored.copy && *place == Place::Embedding;
        }
        let spec = &places.decoder.spec;
        let head = Place::Weight(places.head());
        // A copy of the embedding goes into the table of the base model, which the head may share.
        if spec.tied && copied && !stored_at.iter().any(|(place, _)| *place == head) {
            stored_at.push((head, format!("{}.weight", spec.names.embed)));
        }
        for rows in &adapter.tokens {
            let place = match rows.module.as_str() {
                name if name == spec.names.embed => Place::Embedding,
                name if name == places.decoder.head.module => head,
                _ => {
                    missing.push(format!("trained tokens of {}", rows.module));
                    continue;
                }
            };
            if rows.width != spec.hidden {
                return Err(format!(
                    "trained tokens of {} have {} numbers, the base model's {}",
                    rows.module, rows.width, spec.hidden
                ));
            }
            if let Some(id) = rows.ids.iter().find(|id| **id as usize >= spec.vocab) {
                return Err(format!("trains token {id}, but the base model has {} tokens", spec.vocab));
            }
            rows.values().map_err(|e| e.to_string())?;
            tokens.push((place, rows.module.clone()));
        }
        // One table serves both: so do its trained rows, unless the head has its own.
        if spec.tied && !tokens.iter().any(|(place, _)| *place == head) {
            let shared: Vec<_> = tokens.iter().map(|(_, module)| (head, module.clone())).collect();
            tokens.extend(shared);
        }
        let missing = match missing.as_slice() {
            [] => None,
            [one] => Some(format!("not applied: {one}, which the base model does not have")),
            [first, ..] => Some(format!(
                "not applied: {} that the base model does not have (such as {first})",
                counted(missing.len(), "parameter")
            )),
        };
        let any = !stored_at.is_empty() || !tokens.is_empty();
        let replaced = any.then(|| Self { expert: expert.clone(), stored: stored_at, tokens });
        Ok(Found { replaced, missing, differing })
    }

    /// Stored values of a replaced parameter, in the order of the file.
    pub fn weight(&self, name: &str) -> Result<Option<Vec<f32>>> {
        if !self.stored.iter().any(|(_, stored)| stored == name) {
            return Ok(None);
        }
        let adapter = self.expert.load()?;
        adapter.replaced.iter().find(|stored| stored.name == name).map(Stored::values).transpose()
    }
}

/// ‖copy − base‖ / ‖base‖, if it is more than the rounding of the file's type.
fn difference(places: &Places, place: Place, stored: &Stored) -> Result<Option<f64>> {
    let (copy, base) = (places.read(place, stored)?, places.base(place)?);
    let linear = places.linear(place);
    let width = linear.map_or(base.len(), |linear| linear.in_features).max(1);
    let same = copy.chunks(width).zip(base.chunks(width)).all(|(copy, base)| {
        // The base model's weights are rounded where they are held in few bits.
        let held = linear.map_or_else(|| vec![0.0; width], |linear| linear.rounding(base));
        let near = |((c, b), held): ((&f32, &f32), f32)| {
            (c - b).abs() <= stored.rounding() * (b.abs() + held) + held + 1e-7
        };
        copy.iter().zip(base).zip(held).all(near)
    });
    if same {
        return Ok(None);
    }
    let square = |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v) * f64::from(v)).sum::<f64>();
    let apart = square(&mut copy.iter().zip(&base).map(|(c, b)| c - b));
    Ok(Some((apart / square(&mut base.iter().copied()).max(f64::MIN_POSITIVE)).sqrt()))
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
fn gain(module: Option<&super::experts::StackedModule>, e: usize) -> Option<&[f32]> {
    module?.loras.get(e)?.as_ref()?.gain()
}

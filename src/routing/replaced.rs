//! Parameters of the base model that experts replace (`modules_to_save`, biases, trained tokens): where they go,
//! and whether they fit. [`super::overlay`] applies them.

use std::collections::HashMap;

use crate::Result;
use crate::library::{Adapter, Expert, Stored};
use crate::model::{Decoder, Linear, Norm};

/// Where a parameter of the base model is: in a linear layer (by its number, the head included), in a norm
/// (by its number), or the embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Weight(usize),
    Bias(usize),
    NormWeight(usize),
    NormBias(usize),
    Embedding,
}

/// The parameters of a decoder by their names.
pub(crate) struct Places<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) linears: Vec<&'a Linear>,
    pub(super) norms: Vec<&'a Norm>,
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
    pub(super) fn base(&self, place: Place) -> Result<Vec<f32>> {
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
    pub(super) fn read(&self, place: Place, stored: &Stored) -> Result<Vec<f32>> {
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
    pub(super) expert: Expert,
    /// Where a parameter goes, with its name.
    pub(super) stored: Vec<(Place, String)>,
    /// Where trained rows go (the embedding or the head), with the name of their module.
    pub(super) tokens: Vec<(Place, String)>,
}

/// What [`Replaced::find`] finds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub replaced: Option<Replaced>,
    /// What was to be a copy of the base model's weights and is not.
    pub differing: Option<String>,
}

impl Replaced {
    /// Finds the places of what `adapter`, which fits the base model, replaces there. What it has no place for was
    /// reported when that was found out.
    ///
    /// # Errors
    /// Unreadable files.
    pub fn find(expert: &Expert, adapter: &Adapter, places: &Places) -> Result<Found> {
        if adapter.replaced.is_empty() && adapter.tokens.is_empty() {
            return Ok(Found::default());
        }
        let (mut stored_at, mut tokens) = (Vec::new(), Vec::new());
        let (mut differing, mut copied) = (None, false);
        for stored in &adapter.replaced {
            let Some((place, _)) = places.named.get(&stored.name).filter(|(_, shape)| *shape == stored.shape)
            else {
                continue;
            };
            if stored.copy {
                let difference = difference(places, *place, stored)?;
                let Some(difference) = difference else { continue };
                differing = Some(stored.differing(difference));
            } else {
                // Only to see that it can be read.
                stored.values()?;
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
                _ => continue,
            };
            rows.values()?;
            tokens.push((place, rows.module.clone()));
        }
        // One table serves both: so do its trained rows, unless the head has its own.
        if spec.tied && !tokens.iter().any(|(place, _)| *place == head) {
            let shared: Vec<_> = tokens.iter().map(|(_, module)| (head, module.clone())).collect();
            tokens.extend(shared);
        }
        let any = !stored_at.is_empty() || !tokens.is_empty();
        let replaced = any.then(|| Self { expert: expert.clone(), stored: stored_at, tokens });
        Ok(Found { replaced, differing })
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
    // The base model's weights are rounded where they are stored in few bits.
    let held = |row: &[f32]| linear.map_or_else(|| vec![0.0; row.len()], |linear| linear.rounding(row));
    Ok(stored.difference(&copy, &base, width, held))
}

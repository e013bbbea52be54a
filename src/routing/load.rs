//! Reading a library's experts for a base model.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::experts::{ExpertSet, StackedModule};
use super::lora::{Entry, Kind, Lora, Matrix, Parts};
use super::replaced::{Found, Places, Replaced};
use crate::analysis::{ExpertFactors, PrototypeCache};
use crate::library::{Expert, LoraModule, Skipped, content_sha256, fit_base};
use crate::memory::check_room;
use crate::model::tensor::transpose;
use crate::model::{Decoder, Linear};
use crate::text::counted;
use crate::{Cancel, Error, Result};

/// The places of a decoder that can carry LoRA, in the order of the network: the embedding, the linear
/// layers, the head.
pub(super) struct Sites<'a> {
    decoder: &'a Decoder,
    linears: Vec<&'a Linear>,
    index: HashMap<&'a str, usize>,
}

impl<'a> Sites<'a> {
    pub fn new(decoder: &'a Decoder) -> Self {
        let mut linears = decoder.linears();
        linears.push(&decoder.head);
        let mut index: HashMap<&str, usize> =
            linears.iter().enumerate().map(|(at, l)| (l.module.as_str(), at + 1)).collect();
        index.insert(decoder.spec.names.embed, 0);
        Self { decoder, linears, index }
    }

    /// The linear layer of a site; `None` for the embedding.
    fn linear(&self, site: usize) -> Option<&'a Linear> {
        self.linears.get(site.checked_sub(1)?).copied()
    }

    fn name(&self, site: usize) -> &'a str {
        self.linear(site).map_or(self.decoder.spec.names.embed, |l| l.module.as_str())
    }

    /// (in, out) features of a site.
    fn size(&self, site: usize) -> (usize, usize) {
        let spec = &self.decoder.spec;
        self.linear(site).map_or((spec.vocab, spec.hidden), |l| (l.in_features, l.out_features))
    }

    /// Stored values, `width` for each output, in running order.
    fn ordered(&self, site: usize, stored: Vec<f32>, width: usize) -> Vec<f32> {
        match self.linear(site) {
            Some(linear) => linear.in_running_order(stored, width),
            None => stored,
        }
    }

    /// Calls `f` with the base model's weights at a site.
    pub fn with_weights<T>(&self, site: usize, f: impl FnOnce(Matrix) -> T) -> Result<T> {
        Ok(match self.linear(site) {
            Some(linear) => f(Matrix { values: &linear.weights()?, strides: (linear.in_features, 1) }),
            // The layer of an embedding is its table transposed: hidden × vocabulary.
            None => {
                let table = self.decoder.table().weights()?;
                f(Matrix { values: &table, strides: (1, self.decoder.spec.hidden) })
            }
        })
    }

    /// One module of an expert, with its A, B and prototype as they are stored.
    fn entry(
        &self,
        site: usize,
        module: &LoraModule,
        kind: Kind,
        (a, b): (Vec<f32>, Vec<f32>),
        mut prototype: Vec<f32>,
    ) -> Result<Entry> {
        let (rank, scale) = (module.shape.rank, module.shape.scale as f32);
        if scale == 0.0 {
            prototype.fill(0.0);
        }
        let vector = |values: Option<Vec<f32>>| values.map_or(Vec::new(), |v| self.ordered(site, v, 1));
        let mut shift = vector(module.bias()?);
        shift.iter_mut().for_each(|v| *v *= scale);
        let size = self.size(site);
        let magnitude = match module.shape.initial_magnitude {
            true => self.with_weights(site, |base| lengths_of(&base.squares(size)))?,
            false => vector(module.magnitude()?),
        };
        let parts = Parts {
            rank,
            scale,
            a,
            bt: transpose(&self.ordered(site, b, rank), size.1, rank),
            shift,
            magnitude,
        };
        Ok(Entry { parts, kind, prototype })
    }
}

/// Lengths by their squares.
fn lengths_of(squares: &[f64]) -> Vec<f32> {
    squares.iter().map(|square| square.sqrt() as f32).collect()
}

/// Bytes that an expert's factors take in a stack.
fn stored_bytes(expert: &Expert) -> u64 {
    expert.parameters.saturating_mul(Kind::named(&expert.dtype).bytes())
}

/// An expert as it was read.
struct Loaded {
    /// The LoRA at each site.
    loras: HashMap<usize, Entry>,
    found: Found,
    /// Names its factors.
    content: String,
    /// Names all that it has.
    whole: String,
}

fn load(expert: &Expert, sites: &Sites, places: &Places, cache: &PrototypeCache) -> Result<Loaded> {
    let adapter = expert.load()?;
    let kind = Kind::named(&expert.dtype);
    let mut loras = HashMap::with_capacity(adapter.modules.len());
    // A prototype lies on the side of the input: the order of a running layer's outputs is nothing to it.
    let ExpertFactors { values, prototypes, key } = cache.factors(&adapter)?;
    for ((module, values), prototype) in adapter.modules.iter().zip(values).zip(prototypes) {
        let Some(&site) = sites.index.get(module.shape.module.as_str()) else { continue };
        loras.insert(site, sites.entry(site, module, kind, values, prototype.vector)?);
    }
    let found = Replaced::find(expert, &adapter, places)?;
    let is_plain = adapter.modules.iter().all(LoraModule::is_plain)
        && adapter.replaced.is_empty()
        && adapter.tokens.is_empty();
    let whole = if is_plain { key.clone() } else { format!("{key} {}", content_sha256(&expert.path)?) };
    Ok(Loaded { loras, found, content: key, whole })
}

impl ExpertSet {
    /// Loads `experts` for `decoder`, computing the prototypes that `cache` does not know. Those that cannot be
    /// used or do not fit are skipped with their reason. `progress` gets (experts done, experts in all).
    pub fn load(
        experts: &[&Expert],
        decoder: &Decoder,
        cache: &PrototypeCache,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Self> {
        let (sites, places, base) = (Sites::new(decoder), Places::new(decoder), decoder.spec.base_shape());
        let mut skipped = Vec::new();
        // What of each only the base model shows.
        let mut lacking: HashMap<usize, Vec<String>> = HashMap::new();
        let mut fitting: Vec<(usize, &Expert)> = Vec::with_capacity(experts.len());
        // Sums of ranks by site and kind: what is stored then needs no more than it has.
        let mut rooms: HashMap<(usize, Kind), usize> = HashMap::new();
        for (at, &expert) in experts.iter().enumerate() {
            // Once as stored, and twice as f32 while it is read.
            let fits = fit_base(expert, &base);
            let fits =
                fits.and_then(|lacks| check_room(stored_bytes(expert).saturating_mul(5)).map(|()| lacks));
            match fits {
                Ok(lacks) => {
                    fitting.push((at, expert));
                    lacking.insert(at, lacks);
                }
                Err(reason) => skipped.push((at, Skipped::new(&expert.name, reason))),
            }
        }
        let mut stacks: Vec<Option<StackedModule>> = Vec::new();
        stacks.resize_with(sites.linears.len() + 1, || None);
        for (expert, shape) in fitting.iter().flat_map(|(_, e)| e.modules.iter().map(move |m| (e, m))) {
            let Some(&site) = sites.index.get(shape.module.as_str()) else { continue };
            let new = || StackedModule::new(0, sites.size(site), fitting.len());
            let room = rooms.entry((site, Kind::named(&expert.dtype))).or_insert(0usize);
            *room += shape.rank;
            stacks[site].get_or_insert_with(new);
        }
        let all = fitting.iter().map(|(_, expert)| stored_bytes(expert)).fold(0, u64::saturating_add);
        check_room(all).map_err(|problem| {
            Error::msg(format!("{} together {problem}: use fewer", counted(fitting.len(), "expert")))
        })?;
        for ((site, kind), ranks) in rooms {
            if let Some(stack) = &mut stacks[site] {
                stack.reserve(kind, ranks);
            }
        }
        let mut set = Self::default();
        let mut names = Vec::with_capacity(fitting.len());
        let mut contents = Vec::with_capacity(fitting.len());
        let mut wholes = Vec::with_capacity(fitting.len());
        // Their files are open and their weights in memory twice: no more than are worked on.
        let together = rayon::current_num_threads();
        for (done, some) in fitting.chunks(together).enumerate() {
            cancel.check()?;
            progress(done * together, fitting.len());
            let loaded: Vec<_> = some.par_iter().map(|(_, e)| load(e, &sites, &places, cache)).collect();
            let mut usable = Vec::with_capacity(loaded.len());
            for ((at, expert), loaded) in some.iter().zip(loaded) {
                let Loaded { loras, found, content, whole } = match loaded {
                    Ok(loaded) => loaded,
                    Err(error) => {
                        if matches!(error, Error::NotFinite { .. }) {
                            set.not_finite.push(expert.name.clone());
                        }
                        skipped.push((*at, Skipped::new(&expert.name, error.to_string())));
                        continue;
                    }
                };
                let Found { replaced, differing } = found;
                // Where the library was read for this base model, the expert says it itself.
                let said = expert.not_applied(false).unwrap_or_default();
                let lacks = lacking.remove(at).unwrap_or_default().into_iter();
                let lacks = lacks.filter(|line| !said.contains(line.as_str()));
                set.partial.extend(lacks.map(|reason| Skipped::new(&expert.name, reason)));
                set.unrouted.extend(differing.map(|what| Skipped::new(&expert.name, what)));
                set.replaced.extend(replaced.map(|replaced| (names.len(), replaced)));
                names.push(expert.name.clone());
                contents.push(content);
                wholes.push(whole);
                usable.push(loras);
            }
            stacks.par_iter_mut().enumerate().for_each(|(site, stack)| {
                if let Some(stack) = stack {
                    usable.iter().for_each(|loras| stack.push(loras.get(&site)));
                }
            });
        }
        cache.tidy();
        progress(fitting.len(), fitting.len());
        let mut modules = Vec::new();
        for (site, stack) in stacks.iter_mut().enumerate() {
            // Those that could not be read after all may have been the only ones here.
            *stack = stack.take().filter(|stack| stack.loras.iter().any(Option::is_some));
            let Some(stack) = stack else { continue };
            cancel.check()?;
            stack.position = modules.len();
            modules.push(sites.name(site).to_string());
            if stack.extras {
                stack.bias = sites.linear(site).and_then(Linear::bias).unwrap_or_default().to_vec();
                let own = |e: usize| set.own_weights(e, &sites, site);
                sites.measure(site, stack, own)?;
            }
        }
        let mut stacks = stacks.into_iter();
        (set.embedding, set.linears) = (stacks.next().flatten(), stacks.collect());
        (set.names, set.modules) = (Arc::new(names), Arc::new(modules));
        (set.contents, set.wholes) = (Arc::new(contents), Arc::new(wholes));
        // In the library's order, whenever they were found out.
        skipped.sort_by_key(|(at, _)| *at);
        set.skipped = skipped.into_iter().map(|(_, skipped)| skipped).collect();
        Ok(set)
    }

    /// The weights that an expert has at a site instead of the base model's, in the base model's layout.
    pub(super) fn own_weights(&self, expert: usize, sites: &Sites, site: usize) -> Result<Option<Vec<f32>>> {
        let Some((_, replaced)) = self.replaced.iter().find(|(e, _)| *e == expert) else { return Ok(None) };
        let own = replaced.weight(&format!("{}.weight", sites.name(site)))?;
        Ok(own.map(|v| sites.linear(site).map_or(v.clone(), |l| l.in_running_order(v, l.in_features))))
    }
}

impl Sites<'_> {
    /// Measures DoRA's lengths of a stack against the base model's weights, or those of the expert itself.
    pub fn measure(
        &self,
        site: usize,
        stack: &mut StackedModule,
        own: impl Fn(usize) -> Result<Option<Vec<f32>>> + Sync,
    ) -> Result<()> {
        let dora = |lora: &Lora| lora.extras.as_deref().is_some_and(|e| !e.magnitude.is_empty());
        if !stack.loras.iter().flatten().any(dora) {
            return Ok(());
        }
        let size = self.size(site);
        self.with_weights(site, |base| {
            let squares = base.squares(size);
            let StackedModule { loras, store, .. } = stack;
            loras.par_iter_mut().enumerate().try_for_each(|(e, lora)| {
                let Some(lora) = lora.as_mut().filter(|lora| dora(lora)) else { return Ok(()) };
                match own(e)? {
                    Some(own) => {
                        let own = Matrix { values: &own, ..base };
                        lora.measure(store, own, &own.squares(size), size);
                    }
                    None => lora.measure(store, base, &squares, size),
                }
                Ok(())
            })
        })?
    }
}

//! A library's experts, stacked module by module for one base model.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::lora::{Lora, Matrix, Parts};
use super::replaced::{Places, Replaced};
use crate::library::{Adapter, Expert, LoraModule, find_name, nearest};
use crate::model::tensor::values;
use crate::model::{Decoder, Linear, transpose};
use crate::{Cancel, Error, Result};

/// All experts at one module.
#[derive(Clone, Debug)]
pub(crate) struct StackedModule {
    /// Position among the routed modules.
    pub position: usize,
    pub in_features: usize,
    pub out_features: usize,
    /// One an expert; `None` where it lacks the module.
    pub loras: Vec<Option<Lora>>,
    /// [experts, in]; a zero row where an expert is no candidate.
    pub prototypes: Vec<f32>,
    /// Whether an expert has ΔW ≠ 0 here.
    pub candidate: Vec<bool>,
    /// Whether an expert has more than A and B here.
    pub extras: bool,
    /// The layer's own bias, where `extras` needs it; else empty.
    pub bias: Vec<f32>,
}

impl StackedModule {
    fn new(position: usize, (in_features, out_features): (usize, usize), experts: usize) -> Self {
        Self {
            position,
            in_features,
            out_features,
            loras: Vec::with_capacity(experts),
            prototypes: vec![0.0; experts * in_features],
            candidate: Vec::with_capacity(experts),
            extras: false,
            bias: Vec::new(),
        }
    }

    /// Replaces all experts' LoRA.
    pub fn restack(&mut self, entries: Vec<Option<(Lora, Vec<f32>)>>) {
        let size = (self.in_features, self.out_features);
        let bias = std::mem::take(&mut self.bias);
        *self = Self { bias, ..Self::new(self.position, size, entries.len()) };
        entries.into_iter().for_each(|entry| self.push(entry));
    }

    fn push(&mut self, entry: Option<(Lora, Vec<f32>)>) {
        let at = self.loras.len() * self.in_features;
        let candidate = entry.as_ref().is_some_and(|(_, vector)| vector.iter().any(|v| *v != 0.0));
        if let (true, Some((_, vector))) = (candidate, &entry) {
            self.prototypes[at..at + self.in_features].copy_from_slice(vector);
        }
        self.candidate.push(candidate);
        self.extras |= entry.as_ref().is_some_and(|(lora, _)| lora.extras.is_some());
        self.loras.push(entry.map(|(lora, _)| lora));
    }
}

/// The experts that fit a base model, ready to be routed over.
#[derive(Clone, Debug)]
pub struct ExpertSet {
    /// In the library's order.
    pub names: Arc<Vec<String>>,
    /// Modules that at least one expert adapts, in the order of the network.
    pub modules: Arc<Vec<String>>,
    /// Experts left out, with the reason.
    pub skipped: Vec<(String, String)>,
    /// What of an expert is not applied by any router, as found out with this base model.
    pub partial: Vec<(String, String)>,
    /// What of an expert is not applied by Arrow, as found out with this base model.
    pub unrouted: Vec<(String, String)>,
    /// Experts whose mean was taken out of all others; they do not speak themselves.
    pub general: Vec<String>,
    /// One a linear layer of the decoder, then the head.
    pub(crate) linears: Vec<Option<StackedModule>>,
    pub(crate) embedding: Option<StackedModule>,
    /// Parameters that experts replace, with the number of the expert.
    pub(crate) replaced: Vec<(usize, Replaced)>,
}

/// The places of a decoder that can carry LoRA.
struct Sites<'a> {
    decoder: &'a Decoder,
    /// In the order of the network, then the head.
    linears: Vec<&'a Linear>,
    index: HashMap<&'a str, &'a Linear>,
}

impl<'a> Sites<'a> {
    fn new(decoder: &'a Decoder) -> Self {
        let mut linears = decoder.linears();
        linears.push(&decoder.head);
        let index = linears.iter().map(|l| (l.module.as_str(), *l)).collect();
        Self { decoder, linears, index }
    }

    /// (in, out) features of a module.
    fn size(&self, module: &str, embedding: bool) -> Option<(usize, usize)> {
        if embedding {
            let spec = &self.decoder.spec;
            return (module == spec.names.embed).then_some((spec.vocab, spec.hidden));
        }
        self.index.get(module).map(|l| (l.in_features, l.out_features))
    }

    /// Whether `expert` fits the decoder; the reason where it does not.
    fn fits(&self, expert: &Expert) -> Result<(), String> {
        for shape in &expert.modules {
            let Some(size) = self.size(&shape.module, shape.embedding) else {
                return Err(format!("the base model has no module {}", shape.module));
            };
            if size != (shape.in_features, shape.out_features) {
                return Err(format!(
                    "{} is {} → {} in the expert, {} → {} in the base model",
                    shape.module, shape.in_features, shape.out_features, size.0, size.1
                ));
            }
        }
        Ok(())
    }
}

/// An expert with its weights, while a set is put together.
struct Loaded<'a> {
    expert: &'a Expert,
    adapter: Adapter,
    replaced: Option<Replaced>,
}

impl ExpertSet {
    /// Loads `experts` for `decoder`, computing prototypes. Those that cannot be used or do not fit are
    /// skipped with their reason. `progress` gets (modules done, modules in all).
    pub fn load(
        experts: &[&Expert],
        decoder: &Decoder,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Self> {
        let sites = Sites::new(decoder);
        let places = Places::new(decoder);
        let (mut skipped, mut partial, mut unrouted) = (Vec::new(), Vec::new(), Vec::new());
        let mut loaded: Vec<Loaded> = Vec::new();
        for expert in experts {
            let found = sites.fits(expert).and_then(|()| {
                let adapter = expert.load().map_err(|e| e.to_string())?;
                adapter.check_finite().map_err(|e| e.to_string())?;
                let found = Replaced::find(&adapter, &places)?;
                Ok((adapter, found))
            });
            cancel.check()?;
            match found {
                Ok((adapter, found)) => {
                    partial.extend(found.missing.map(|reason| (expert.name.clone(), reason)));
                    unrouted.extend(found.differing.map(|what| (expert.name.clone(), what)));
                    loaded.push(Loaded { expert, adapter, replaced: found.replaced });
                }
                Err(reason) => skipped.push((expert.name.clone(), reason)),
            }
        }
        let mut modules = Vec::new();
        let mut embedding = None;
        let name = decoder.spec.names.embed;
        if loaded.iter().any(|l| l.adapter.module(name).is_some()) {
            let table = values(&decoder.embedding)?;
            // The layer of an embedding is its table turned round: hidden × vocabulary.
            let base = Matrix { values: &table, strides: (1, decoder.spec.hidden) };
            let size = (decoder.spec.vocab, decoder.spec.hidden);
            let mut module = StackedModule::new(0, size, loaded.len());
            stack(&mut module, &loaded, name, |v, _| v, &|| Ok(base.values.to_vec()), base.strides)?;
            modules.push(name.to_string());
            embedding = Some(module);
        }
        let mut stacked: Vec<Option<StackedModule>> = Vec::with_capacity(sites.linears.len());
        for (done, linear) in sites.linears.iter().enumerate() {
            cancel.check()?;
            progress(done, sites.linears.len());
            if !loaded.iter().any(|l| l.adapter.module(&linear.module).is_some()) {
                stacked.push(None);
                continue;
            }
            let size = (linear.in_features, linear.out_features);
            let mut module = StackedModule::new(modules.len(), size, loaded.len());
            let order = |values, width| linear.in_running_order(values, width);
            stack(&mut module, &loaded, &linear.module, order, &|| linear.weights(), (size.0, 1))?;
            if module.extras {
                module.bias = linear.bias().unwrap_or_default().to_vec();
            }
            modules.push(linear.module.clone());
            stacked.push(Some(module));
        }
        progress(sites.linears.len(), sites.linears.len());
        Ok(Self {
            names: Arc::new(loaded.iter().map(|l| l.expert.name.clone()).collect()),
            modules: Arc::new(modules),
            skipped,
            partial,
            unrouted,
            general: Vec::new(),
            linears: stacked,
            embedding,
            replaced: loaded
                .into_iter()
                .enumerate()
                .filter_map(|(e, l)| l.replaced.map(|replaced| (e, replaced)))
                .collect(),
        })
    }

    /// The number of the expert with this name.
    ///
    /// # Errors
    /// A usage error for an unknown name, with the nearest known ones; the reason where it was skipped.
    pub(super) fn index(&self, name: &str) -> Result<usize> {
        find_name(self.names.iter().map(String::as_str), name).ok_or_else(|| {
            if let Some((_, reason)) = self.skipped.iter().find(|(n, _)| n == name) {
                return Error::msg(format!("{name} cannot be used: {reason}"));
            }
            let near = nearest(name, self.names.iter().map(String::as_str), 3);
            let hint = if near.is_empty() { String::new() } else { format!("; near: {}", near.join(", ")) };
            Error::usage(format!("there is no expert \"{name}\"{hint}"))
        })
    }

    /// Number of experts.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no expert fits.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The experts' number, or an error that says that there are none and why.
    pub fn require_any(&self) -> Result<usize> {
        if let (true, Some((name, reason))) = (self.is_empty(), self.skipped.first()) {
            return Err(Error::msg(format!(
                "no expert of the library fits the base model; {name}: {reason}"
            )));
        }
        if self.is_empty() {
            return Err(Error::msg("the library has no usable expert: train one, or use --router base"));
        }
        Ok(self.len())
    }

    /// Every stacked module, in the order of the network.
    pub(super) fn stacked(&self) -> impl Iterator<Item = &StackedModule> {
        self.embedding.iter().chain(self.linears.iter().flatten())
    }

    /// Checks that factors can be mixed: every expert has the same rank and scale at a module.
    pub(super) fn check_equal_factors(&self, active: &[bool]) -> Result<()> {
        for (module, stack) in self.modules.iter().zip(self.stacked()) {
            let mut present = stack.loras.iter().zip(self.names.iter()).zip(active);
            let mut present = present
                .by_ref()
                .filter(|(_, active)| **active)
                .filter_map(|((l, n), _)| Some((l.as_ref()?, n)));
            let Some((first, first_name)) = present.next() else { continue };
            if let Some((other, name)) = present.find(|(l, _)| l.rank != first.rank || l.scale != first.scale)
            {
                return Err(Error::usage(format!(
                    "factors can be mixed only at equal ranks and scales: at {module} {first_name} has rank {} and scale {}, {name} rank {} and scale {}; use --mix outputs (or the router uniform)",
                    first.rank, first.scale, other.rank, other.scale
                )));
            }
        }
        Ok(())
    }
}

/// Reads one module of every expert and stacks it. `order` turns stored rows into running order; `weights`
/// gives the base model's, with their strides of (out, in), where DoRA needs them.
fn stack(
    module: &mut StackedModule,
    loaded: &[Loaded],
    name: &str,
    order: impl Fn(Vec<f32>, usize) -> Vec<f32> + Sync,
    weights: &dyn Fn() -> Result<Vec<f32>>,
    strides: (usize, usize),
) -> Result<()> {
    let dora = |l: &Loaded| l.adapter.module(name).is_some_and(LoraModule::has_magnitude);
    let weights = if loaded.iter().any(dora) { weights()? } else { Vec::new() };
    let (i, o) = (module.in_features, module.out_features);
    let entries: Vec<Option<(Lora, Vec<f32>)>> = loaded
        .par_iter()
        .map(|l| {
            let Some(found) = l.adapter.module(name) else { return Ok(None) };
            let (rank, scale) = (found.shape.rank, found.shape.scale as f32);
            let vector = |values: Option<Vec<f32>>| values.map_or(Vec::new(), |v| order(v, 1));
            let mut shift = vector(found.bias()?);
            shift.iter_mut().for_each(|v| *v *= scale);
            let parts = Parts {
                rank,
                scale,
                a: found.a()?,
                bt: transpose(&order(found.b()?, rank), o, rank),
                shift,
                magnitude: vector(found.magnitude()?),
            };
            // The length of DoRA's rows is that of the weights that the expert itself has.
            let own = match &l.replaced {
                Some(replaced) if found.has_magnitude() => replaced.weight(&format!("{name}.weight"))?,
                _ => None,
            };
            let own = own.map(|v| if found.shape.embedding { v } else { order(v, i) });
            let base = Matrix { values: own.as_deref().unwrap_or(&weights), strides };
            Ok(Some(parts.finish((i, o), &l.expert.dtype, Some(base))))
        })
        .collect::<Result<_>>()?;
    entries.into_iter().for_each(|entry| module.push(entry));
    Ok(())
}

//! A library's experts, stacked module by module for one base model.

use std::sync::Arc;

use super::lora::Lora;
use super::replaced::Replaced;
use super::there::There;
use crate::library::{find_name, nearest};
use crate::{Error, Result};

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
    /// The same on a GPU.
    pub there: There,
}

impl StackedModule {
    pub fn new(position: usize, (in_features, out_features): (usize, usize), experts: usize) -> Self {
        Self {
            position,
            in_features,
            out_features,
            loras: Vec::with_capacity(experts),
            prototypes: Vec::with_capacity(experts * in_features),
            candidate: Vec::with_capacity(experts),
            extras: false,
            bias: Vec::new(),
            there: There::default(),
        }
    }

    /// Replaces all experts' LoRA.
    pub fn restack(&mut self, entries: Vec<Option<(Lora, Vec<f32>)>>) {
        let size = (self.in_features, self.out_features);
        let bias = std::mem::take(&mut self.bias);
        *self = Self { bias, ..Self::new(self.position, size, entries.len()) };
        entries.into_iter().for_each(|entry| self.push(entry));
    }

    /// Adds the next expert's LoRA and its prototype.
    pub fn push(&mut self, entry: Option<(Lora, Vec<f32>)>) {
        match &entry {
            Some((_, vector)) => self.prototypes.extend_from_slice(vector),
            None => self.prototypes.resize(self.prototypes.len() + self.in_features, 0.0),
        }
        self.candidate.push(entry.as_ref().is_some_and(|(_, vector)| vector.iter().any(|v| *v != 0.0)));
        self.extras |= entry.as_ref().is_some_and(|(lora, _)| lora.extras.is_some());
        self.loras.push(entry.map(|(lora, _)| lora));
    }
}

/// The experts that fit a base model, ready to be routed over.
#[derive(Clone, Debug, Default)]
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

impl ExpertSet {
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

    /// Experts whose ΔW is zero at every module: no candidates for Arrow.
    pub(super) fn without_candidacy(&self) -> impl Iterator<Item = &String> {
        let speaks = |e: usize| self.stacked().any(|module| module.candidate.get(e) == Some(&true));
        self.names.iter().enumerate().filter(move |(e, _)| !speaks(*e)).map(|(_, name)| name)
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

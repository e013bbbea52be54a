//! A library's experts, stacked module by module for one base model.

use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::device_stack::DeviceStack;
use super::lora::{Entry, Factors, Kind, Lora, Parts, Store};
use super::replaced::Replaced;
use super::spectra::{Hold, Spectra};
use crate::library::Skipped;
use crate::model::simd::dot;
use crate::model::{Decoder, DeviceConst};
use crate::named::{find_name, nearest};
use crate::outside::hex;
use crate::{Cancel, Error, Result};

/// All experts at one module.
#[derive(Clone, Debug)]
pub(crate) struct StackedModule {
    /// Position among the routed modules.
    pub position: usize,
    pub in_features: usize,
    pub out_features: usize,
    /// One per expert; `None` where it lacks the module.
    pub loras: Vec<Option<Lora>>,
    /// Their factors, shared by sets that differ in prototypes alone.
    pub store: Arc<Store>,
    /// [experts, in]; a zero row where an expert is no candidate.
    pub prototypes: DeviceConst,
    /// Whether an expert has ΔW ≠ 0 here.
    pub candidate: Vec<bool>,
    /// All right singular vectors, once they were needed.
    pub spectra: OnceLock<Arc<Spectra>>,
    /// By expert: s² BᵀB [rank, rank], once it was needed; empty where it is no candidate.
    pub grams: OnceLock<Arc<Vec<Vec<f32>>>>,
    /// Whether an expert has more than A and B here.
    pub extras: bool,
    /// The layer's own bias, where `extras` needs it; else empty.
    pub bias: Vec<f32>,
    /// Their factors on a device.
    pub device_stack: DeviceStack,
}

impl StackedModule {
    pub fn new(position: usize, (in_features, out_features): (usize, usize), experts: usize) -> Self {
        Self {
            position,
            in_features,
            out_features,
            loras: Vec::with_capacity(experts),
            store: Arc::default(),
            prototypes: Vec::with_capacity(experts * in_features).into(),
            candidate: Vec::with_capacity(experts),
            spectra: OnceLock::new(),
            grams: OnceLock::new(),
            extras: false,
            bias: Vec::new(),
            device_stack: DeviceStack::default(),
        }
    }

    /// (in, out) features.
    pub fn size(&self) -> (usize, usize) {
        (self.in_features, self.out_features)
    }

    /// Whether an expert, by its number, has LoRA here.
    pub fn has(&self, expert: usize) -> bool {
        self.loras.get(expert).is_some_and(Option::is_some)
    }

    /// Makes room for the factors of an expert to come.
    pub fn reserve(&mut self, kind: Kind, rank: usize) {
        Arc::make_mut(&mut self.store)
            .reserve(kind, rank.saturating_mul(self.in_features.saturating_add(self.out_features)));
    }

    /// The A [rank, in] of a LoRA of this module.
    pub fn a(&self, lora: &Lora) -> Factors<'_> {
        self.store.a(lora, self.size())
    }

    /// Its B transposed [rank, out].
    pub fn bt(&self, lora: &Lora) -> Factors<'_> {
        self.store.bt(lora, self.size())
    }

    /// The whole of a LoRA of this module in f32.
    pub fn parts(&self, lora: &Lora) -> Parts {
        lora.parts(&self.store, self.size())
    }

    /// Computes the spectra unless they are there.
    ///
    /// # Errors
    /// Those of the device.
    pub fn prepare_spectra(&self, hold: &Hold) -> Result<()> {
        if self.spectra.get().is_none() {
            let found = Spectra::new(&self.loras, &self.store, &self.candidate, self.size(), hold)?;
            let _ = self.spectra.set(Arc::new(found));
        }
        Ok(())
    }

    /// s² BᵀB [rank, rank] of every candidate: ‖s·B z‖² is zᵀ(s² BᵀB)z.
    pub fn grams(&self) -> &[Vec<f32>] {
        self.grams.get_or_init(|| {
            let gram = |(lora, candidate): (&Option<Lora>, &bool)| {
                let Some(lora) = lora.as_ref().filter(|_| *candidate) else { return Vec::new() };
                let mut scratch = Vec::new();
                let bt = self.bt(lora).wide(&mut scratch);
                let rows = || bt.chunks(self.out_features.max(1));
                rows().flat_map(|p| rows().map(move |q| dot(p, q) * lora.scale * lora.scale)).collect()
            };
            Arc::new(self.loras.iter().zip(&self.candidate).map(gram).collect())
        })
    }

    /// Replaces all experts' LoRA.
    pub fn restack(&mut self, entries: &[Option<Entry>]) {
        let bias = std::mem::take(&mut self.bias);
        *self = Self { bias, ..Self::new(self.position, self.size(), entries.len()) };
        entries.iter().for_each(|entry| self.push(entry.as_ref()));
    }

    /// Gives an expert another prototype; one of zeros makes it no candidate.
    pub fn set_prototype(&mut self, expert: usize, vector: &[f32]) {
        let row = self.prototypes.edit().chunks_exact_mut(self.in_features.max(1)).nth(expert);
        if let (Some(row), Some(candidate)) = (row, self.candidate.get_mut(expert)) {
            row.copy_from_slice(vector);
            *candidate = vector.iter().any(|v| *v != 0.0);
        }
    }

    /// Adds the next expert's LoRA.
    pub fn push(&mut self, entry: Option<&Entry>) {
        (self.spectra, self.grams) = (OnceLock::new(), OnceLock::new());
        let prototypes = self.prototypes.edit();
        match entry {
            Some(entry) => prototypes.extend_from_slice(&entry.prototype),
            None => prototypes.resize(prototypes.len() + self.in_features, 0.0),
        }
        self.candidate.push(entry.is_some_and(|entry| entry.prototype.iter().any(|v| *v != 0.0)));
        let lora = entry.map(|entry| entry.stack(Arc::make_mut(&mut self.store)));
        self.extras |= lora.as_ref().is_some_and(|lora| lora.extras.is_some());
        self.loras.push(lora);
    }
}

/// The experts that fit a base model, ready to be routed over.
#[derive(Clone, Debug, Default)]
pub struct ExpertSet {
    /// In the library's order.
    pub names: Arc<Vec<String>>,
    /// Modules that at least one expert adapts, in the order of the network.
    pub modules: Arc<Vec<String>>,
    /// By expert: a hash of its factors as they are stored.
    pub(super) contents: Arc<Vec<String>>,
    /// By expert: a hash of all that it has, magnitudes, biases and replaced parameters too.
    pub(super) wholes: Arc<Vec<String>>,
    /// Experts left out, with the reason.
    pub skipped: Vec<Skipped>,
    /// The names of those that are left out because weights of theirs are NaN or infinite.
    pub(super) not_finite: Vec<String>,
    /// Experts of the library that were not even tried, with the reason.
    pub unreadable: Vec<Skipped>,
    /// What of an expert is not applied by any router, as found out with this base model.
    pub partial: Vec<Skipped>,
    /// What of an expert is not applied by Arrow, as found out with this base model.
    pub unrouted: Vec<Skipped>,
    /// Experts whose mean was taken out of all others; they do not speak themselves.
    pub general: Vec<String>,
    /// Whether q, k and v that share one A share their prototypes ([`Self::with_tied_prototypes`]).
    pub tied: bool,
    /// One per linear layer of the decoder, then the head.
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
            let out = self.skipped.iter().chain(&self.unreadable);
            if let Some(skipped) = out.into_iter().find(|skipped| skipped.name == name) {
                return Error::msg(format!("{name} cannot be used: {}", skipped.reason));
            }
            let near = nearest(name, self.names.iter().map(String::as_str), 3);
            let hint = if near.is_empty() { String::new() } else { format!("; near: {}", near.join(", ")) };
            Error::usage(format!("there is no expert \"{name}\"{hint}"))
        })
    }

    /// Whether the library has an expert of this name that is not used.
    pub(super) fn is_left_out(&self, name: &str) -> bool {
        self.skipped.iter().chain(&self.unreadable).any(|skipped| skipped.name == name)
    }

    /// What one expert adds to the base model: two of the same digest add the same.
    ///
    /// # Errors
    /// As [`Self::index`].
    pub(super) fn digest_of(&self, name: &str) -> Result<String> {
        let at = self.index(name)?;
        let mut hash = Sha256::new();
        hash.update(self.wholes.get(at).map_or("", String::as_str));
        for (module, stacked) in self.modules.iter().zip(self.stacked()) {
            if let Some(lora) = stacked.loras.get(at).and_then(Option::as_ref) {
                hash.update(format!(" {module} {}", lora.scale.to_bits()));
            }
        }
        Ok(hex(&hash.finalize()))
    }

    /// What answers follow from besides the base model: two sets with the same digest answer the same.
    pub(super) fn whole_digest(&self) -> String {
        let mut hash = Sha256::new_with_prefix(self.digest());
        self.wholes.iter().for_each(|whole| hash.update(format!("{} {whole}", whole.len())));
        hex(&hash.finalize())
    }

    /// What scores follow from besides the base model: two sets with the same digest have the same scores.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        for (content, name) in self.contents.iter().zip(self.names.iter()) {
            text(content);
            text(if self.general.contains(name) { "general" } else { "" });
        }
        text(if self.tied { "tied" } else { "" });
        for (name, module) in self.modules.iter().zip(self.stacked()) {
            text(name);
            for lora in &module.loras {
                text(&lora.as_ref().map_or(String::new(), |lora| format!("{}", lora.scale.to_bits())));
            }
        }
        hex(&hash.finalize())
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
        if let (true, Some(skipped)) = (self.is_empty(), self.skipped.first()) {
            return Err(Error::msg(format!("no expert of the library fits the base model; {skipped}")));
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

    /// Computes the singular vectors of all experts at all modules, unless they are there.
    ///
    /// # Errors
    /// Those of the device; a raised `cancel`.
    pub(super) fn prepare_spectra(&self, decoder: &Decoder, cancel: &Cancel) -> Result<()> {
        let ops = &**decoder.ops();
        if let Some(module) = &self.embedding {
            module.prepare_spectra(&Hold::Embedding)?;
        }
        for module in self.linears.iter().flatten() {
            cancel.check()?;
            module.prepare_spectra(&Hold::Linear(ops, decoder.precision()))?;
        }
        Ok(())
    }

    /// The modules at which an expert, by its number, has LoRA, in the order of the network.
    pub(super) fn modules_of(&self, expert: usize) -> impl Iterator<Item = &StackedModule> {
        self.stacked().filter(move |module| module.has(expert))
    }

    /// Every stacked module, in the order of the network.
    pub(crate) fn stacked(&self) -> impl Iterator<Item = &StackedModule> {
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

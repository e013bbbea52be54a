//! Calibrations as a session needs them: found in the cache, or made.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::calibration::{
    Calibration, CalibrationCache, CalibrationPrompts, CalibrationText, Partial, collect, general,
};
use super::experts::ExpertSet;
use super::own_data::{OwnData, OwnDataCache, OwnPrompts, collect as collect_own};
use super::prompt::Prompt;
use super::trace::Part;
use crate::model::{ForwardPass, Model, NoHook};
use crate::outside::hex;
use crate::{Cancel, Error, Result};

/// Part of every key: to be changed with anything that changes a bit of a calibration.
const FORMULA: &str = concat!("calibration 1 of lora-tui ", env!("CARGO_PKG_VERSION"));
/// Tokens by which a base model is known.
const PROBE: usize = 16;

/// Finds the prompts when they are needed.
#[derive(Clone)]
pub struct PromptSource(Arc<dyn Fn() -> Result<CalibrationPrompts> + Send + Sync>);

impl PromptSource {
    /// Prompts that `find` finds.
    pub fn new(find: impl Fn() -> Result<CalibrationPrompts> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }
}

impl fmt::Debug for PromptSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PromptSource")
    }
}

/// Finds the own prompts of the experts with these names, in their order.
#[derive(Clone)]
pub struct OwnSource(Arc<dyn Fn(&[String]) -> Result<Vec<OwnPrompts>> + Send + Sync>);

impl OwnSource {
    /// Prompts that `find` finds.
    pub fn new(find: impl Fn(&[String]) -> Result<Vec<OwnPrompts>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }
}

impl fmt::Debug for OwnSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnSource")
    }
}

/// How far a calibration is.
#[derive(Clone, Copy, Debug)]
pub struct CalibrationStep<'a> {
    /// Whose prompts they are; empty while they are looked for.
    pub source: &'a str,
    /// Prompts that are done.
    pub done: usize,
    /// All of them; 0 while they are looked for.
    pub all: usize,
}

impl fmt::Display for CalibrationStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.all {
            0 => f.write_str("calibrating"),
            all => write!(f, "calibrating with {}: {} of {all}", self.source, self.done),
        }
    }
}

/// Makes calibrations of a library's experts and keeps them.
#[derive(Debug)]
pub(super) struct Calibrator {
    source: PromptSource,
    own: OwnSource,
    own_cache: OwnDataCache,
    cache: CalibrationCache,
    /// By key, the last one last.
    made: Mutex<Vec<(String, Arc<Calibration>)>>,
    /// By its key, one that was cancelled.
    partial: Mutex<Option<(String, Partial)>>,
}

impl Calibrator {
    /// For the library at `root`, with the general prompts.
    pub fn of(root: &Path) -> Self {
        let source = PromptSource::new(general);
        let own = OwnSource::new(|_| Ok(Vec::new()));
        let own_cache = OwnDataCache::of(root);
        Self {
            source,
            own,
            own_cache,
            cache: CalibrationCache::of(root),
            made: Mutex::default(),
            partial: Mutex::default(),
        }
    }

    /// From now on with these prompts.
    pub fn set_source(&mut self, source: PromptSource) {
        self.source = source;
    }

    /// From now on these are the experts' own prompts.
    pub fn set_own_source(&mut self, own: OwnSource) {
        self.own = own;
    }

    /// What the own prompts of `experts` look like.
    ///
    /// # Errors
    /// An expert whose prompts are not known; prompts that cannot be read or encoded; a raised `cancel`.
    pub fn own_data(
        &self,
        (experts, model): (&ExpertSet, &Model),
        encode: &dyn Fn(&CalibrationText) -> Result<Prompt>,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Arc<OwnData>> {
        let found = (self.own.0)(&experts.names)?;
        let texts =
            |name: &String| found.iter().find(|own| own.expert == *name).map_or(&[][..], |own| &own.texts);
        let without: Vec<&str> =
            experts.names.iter().filter(|name| texts(name).is_empty()).map(String::as_str).collect();
        if let [first, more @ ..] = without.as_slice() {
            let others = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            return Err(Error::usage(format!(
                "this router knows experts by the prompts that they were trained on, and those of {first}{others} are \
                 not known: name their tasks with calibrate --tasks DIR, or use another router"
            )));
        }
        let prompts: Vec<Vec<Prompt>> = experts
            .names
            .iter()
            .map(|name| {
                texts(name)
                    .iter()
                    .map(encode)
                    .filter(|p| p.as_ref().map_or(true, |p| !p.ids.is_empty()))
                    .collect()
            })
            .collect::<Result<_>>()?;
        let all: Vec<Prompt> = prompts.concat();
        let mut key = key(experts, model, &all, cancel)?;
        prompts.iter().for_each(|prompts| key.push_str(&format!(" {}", prompts.len())));
        let key = hex(&Sha256::digest(key));
        if let Some(kept) = self.own_cache.read(&key, experts, model.decoder.spec.hidden) {
            return Ok(Arc::new(kept));
        }
        let source = "the experts' own prompts";
        let mut progress = |done: usize, all: usize| step(CalibrationStep { source, done, all });
        let new = collect_own((experts, &model.decoder), &prompts, &mut progress, cancel)?;
        self.own_cache.keep(&key, experts.len(), &new);
        Ok(Arc::new(new))
    }

    /// The calibration that was asked for last.
    pub fn last(&self) -> Option<Arc<Calibration>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.last().map(|(_, calibration)| Arc::clone(calibration))
    }

    /// The calibration of `experts`. `encode` gives a prompt in tokens.
    ///
    /// # Errors
    /// Prompts that cannot be read or encoded; those of [`collect`].
    pub fn get(
        &self,
        (experts, model): (&ExpertSet, &Model),
        encode: &dyn Fn(&CalibrationText) -> Result<Prompt>,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Arc<Calibration>> {
        step(CalibrationStep { source: "", done: 0, all: 0 });
        let CalibrationPrompts { source, texts } = (self.source.0)()?;
        let explain = |e: Error| match e {
            Error::Cancelled => Error::Cancelled,
            e => Error::usage(format!("the experts cannot be calibrated with {source}: {e}")),
        };
        let prompts: Vec<Prompt> = texts.iter().map(encode).collect::<Result<_>>().map_err(explain)?;
        let key = key(experts, model, &prompts, cancel).map_err(explain)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = made.iter().position(|(known, _)| *known == key) {
            let known = made.remove(at);
            made.push(known);
        } else {
            let size = (experts.modules.len(), experts.len());
            let calibration = match self.cache.read(&key, size) {
                Some(kept) => kept.named(source),
                None => {
                    let mut progress =
                        |done: usize, all: usize| step(CalibrationStep { source: &source, done, all });
                    let network = (experts, &model.decoder);
                    let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
                    let (_, begun) = match partial.take().filter(|(known, _)| *known == key) {
                        Some(begun) => partial.insert(begun),
                        None => partial.insert((key.clone(), Partial::new(experts.modules.len()))),
                    };
                    let new = collect(network, &source, &prompts, begun, &mut progress, cancel);
                    if !matches!(new, Err(Error::Cancelled)) {
                        *partial = None;
                    }
                    let new = new.map_err(explain)?;
                    self.cache.keep(&key, size, &new);
                    new
                }
            };
            made.push((key, Arc::new(calibration)));
        }
        made.last().map(|(_, last)| Arc::clone(last)).ok_or_else(|| Error::msg("nothing was calibrated"))
    }
}

/// Names what a calibration follows from: experts, prompts, and the base model by what it makes of the first tokens.
fn key(experts: &ExpertSet, model: &Model, prompts: &[Prompt], cancel: &Cancel) -> Result<String> {
    let mut hash = Sha256::new_with_prefix(FORMULA);
    hash.update(experts.digest());
    hash.update(model.precision.to_string());
    for Prompt { ids, parts } in prompts {
        hash.update((ids.len() as u64).to_le_bytes());
        ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        parts.iter().for_each(|part| hash.update([u8::from(*part == Part::Template)]));
    }
    let probe: Vec<u32> = prompts.iter().flat_map(|prompt| &prompt.ids).copied().take(PROBE).collect();
    let probe = &probe[..probe.len().min(model.decoder.spec.context)];
    let seen = model.decoder.forward(probe, &[probe.len()], ForwardPass::new(&mut NoHook, cancel))?;
    seen.values()?.iter().for_each(|value| hash.update(value.to_bits().to_le_bytes()));
    Ok(hex(&hash.finalize()))
}

//! Calibrations as a session needs them: found in the cache, or made.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::calibration::{
    Calibration, CalibrationCache, CalibrationPrompts, CalibrationText, collect, general,
};
use super::experts::ExpertSet;
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

/// Makes calibrations of a library's experts and keeps them.
#[derive(Debug)]
pub(super) struct Calibrator {
    source: PromptSource,
    cache: CalibrationCache,
    /// By key, the last one last.
    made: Mutex<Vec<(String, Arc<Calibration>)>>,
}

impl Calibrator {
    /// For the library at `root`, with the general prompts.
    pub fn of(root: &Path) -> Self {
        let source = PromptSource::new(general);
        Self { source, cache: CalibrationCache::of(root), made: Mutex::default() }
    }

    /// From now on with these prompts.
    pub fn set_source(&mut self, source: PromptSource) {
        self.source = source;
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
        stage: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<Arc<Calibration>> {
        stage("calibrating");
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
                    let mut progress = |done: usize, all: usize| {
                        stage(&format!("calibrating with {source}: {done} of {all}"));
                    };
                    let network = (experts, &model.decoder);
                    let new = collect(network, &source, &prompts, &mut progress, cancel).map_err(explain)?;
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

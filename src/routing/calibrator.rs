//! Calibrations as a session needs them: found in the cache, or made.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::ballot::{Ballot, Outcome};
use super::calibration::{
    Calibration, CalibrationPrompts, CalibrationText, LONGEST, Partial, STATES, collect, general,
};
use super::config::RouterConfig;
use super::experts::ExpertSet;
use super::own_data::{Known, OwnPrompts};
use super::preparing::{CalibrationStep, Pace, Preparation};
use super::probe::{PROBE, probe};
use super::prompt::Prompt;
use super::scores::{Measure, Needs, SCORES, Score};
use super::sharpness::{Sharpness, UsualSpread, spread};
use super::speakers::Speakers;
use super::survey::{Survey, Surveyed, survey_pass};
use super::tensor_cache::{Counts, Kept, TensorCache, Wanted};
use super::trace::Part;
use crate::model::{Decoder, Model};
use crate::outside::hex;
use crate::{Cancel, Error, Result};

/// Part of every key: to be changed with anything that changes a bit of a calibration.
const FORMULA: &str = concat!("calibration 2 of lora-tui ", env!("CARGO_PKG_VERSION"));
/// Part of every key of how spread votes are: to be changed with anything that changes a bit of it.
const SPREAD: &str = "spread 1";
/// Finds the prompts when they are needed.
#[derive(Clone)]
pub struct PromptSource(Arc<dyn Fn() -> Result<CalibrationPrompts> + Send + Sync>);

impl PromptSource {
    /// Prompts that `find` finds.
    pub fn new(find: impl Fn() -> Result<CalibrationPrompts> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// Finds them.
    ///
    /// # Errors
    /// Prompts that cannot be read.
    pub fn find(&self) -> Result<CalibrationPrompts> {
        (self.0)()
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
    cache: TensorCache,
    spread_cache: TensorCache,
    /// By key, the last one last.
    made: Mutex<Vec<(String, Arc<Calibration>)>>,
    /// By its key, one that was cancelled.
    partial: Mutex<Option<(String, Partial)>>,
}

impl Calibrator {
    /// For the library at `root`, with the general prompts.
    pub fn of(root: &Path) -> Self {
        Self {
            source: PromptSource::new(general),
            cache: TensorCache::of(root, "calibration"),
            spread_cache: TensorCache::of(root, "votes"),
            made: Mutex::default(),
            partial: Mutex::default(),
        }
    }

    /// From now on with these prompts.
    pub fn set_source(&mut self, source: PromptSource) {
        self.source = source;
    }

    /// What a router is prepared with, as far as it needs it: a hash of the prompts, and of the experts' `own`.
    ///
    /// # Errors
    /// Prompts that cannot be read.
    pub fn digest(&self, config: &RouterConfig, own: &[OwnPrompts]) -> Result<String> {
        let mut hash = Sha256::new();
        let mut text = |text: &CalibrationText| match text {
            CalibrationText::Instruction(instruction, input) => {
                hash.update(format!("{}:{}:{instruction}{input}", instruction.len(), input.len()));
            }
            CalibrationText::Tokens(ids) => hash.update(format!("{ids:?}")),
        };
        if config.needs_calibration() {
            self.source.find()?.texts.iter().for_each(&mut text);
        }
        for own in own {
            text(&CalibrationText::Instruction(own.expert.clone(), format!("{:?}", own.answers)));
            own.texts.iter().for_each(&mut text);
        }
        Ok(hex(&hash.finalize()))
    }

    /// How spread the votes of `experts` by this measure usually are: what was found before, else found now in a pass over
    /// the prompts. `encode` gives a prompt in tokens.
    ///
    /// # Errors
    /// Prompts that cannot be read or encoded, or fewer than two; a raised `cancel`.
    pub fn usual_spread(
        &self,
        (experts, model): (&ExpertSet, &Model),
        measure: &Measure,
        encode: &dyn Fn(&CalibrationText) -> Result<Prompt>,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<UsualSpread> {
        let found = self.source.find()?;
        let prompts = encoded(&found, encode, model)?;
        let source = found.source;
        let named = Named::new((experts, model, &measure.known), &prompts, cancel)?;
        let calibrated = measure.calibration.is_some();
        let mut speakers = Speakers::all(experts);
        if let Some(calibration) = &measure.calibration {
            // Whose scores are no numbers has no vote; a router over such an expert is refused.
            calibration.broken(measure.score).for_each(|(e, _)| speakers.active[e] = false);
        }
        let key = format!("{} {} {calibrated} {SPREAD}", named.key, measure.score.id);
        let key = hex(&Sha256::digest(key));
        let wanted = [Wanted::f64("spread".into(), (1, 2))];
        if let Some(&[mean, deviation]) =
            self.spread_cache.read(&key, &wanted).and_then(|found| found.f64(0)).as_deref()
        {
            return Ok(UsualSpread { mean, deviation });
        }
        if measure.score.needs == Needs::Spectra {
            experts.prepare_spectra(&model.decoder, cancel)?;
        }
        let mut pace = Pace::new(Preparation::Votes);
        let mut progress =
            |done: usize, all: usize| step(CalibrationStep { source: &source, at: pace.at(done, all) });
        let voters = (measure, &speakers);
        let spreads = spreads((experts, &model.decoder), voters, &prompts, &mut progress, cancel)?;
        let found = UsualSpread::of(&spreads)?;
        let values = [found.mean, found.deviation].into_iter();
        self.spread_cache.keep(&key, &[(Kept::f64("spread".into(), values), 1)], &Counts::new());
        Ok(found)
    }

    /// The calibration that was asked for last.
    pub fn last(&self) -> Option<Arc<Calibration>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.last().map(|(_, calibration)| Arc::clone(calibration))
    }

    /// The calibration of `experts`, where it was made before.
    pub fn at_hand(
        &self,
        (experts, model, known): (&ExpertSet, &Model, &Known),
        encode: &dyn Fn(&CalibrationText) -> Result<Prompt>,
        cancel: &Cancel,
    ) -> Option<Arc<Calibration>> {
        let CalibrationPrompts { source, texts, .. } = self.source.find().ok()?;
        let prompts: Vec<Prompt> = texts.iter().map(encode).collect::<Result<_>>().ok()?;
        let named = Named::new((experts, model, known), &prompts, cancel).ok()?;
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = made.iter().find(|(key, _)| *key == named.key) {
            return Some(Arc::clone(made));
        }
        Some(Arc::new(named.kept(&self.cache, experts)?.named(source)))
    }

    /// The calibration of `experts`, of whom this is known. `encode` gives a prompt in tokens; `needed` says by expert
    /// whether its scores have to be numbers.
    ///
    /// # Errors
    /// Prompts that cannot be read or encoded; those of [`collect`].
    pub fn get(
        &self,
        (experts, model, known): (&ExpertSet, &Model, &Known),
        (encode, needed): (&dyn Fn(&CalibrationText) -> Result<Prompt>, &[bool]),
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Arc<Calibration>> {
        step(CalibrationStep { source: "", at: Pace::new(Preparation::Looking).at(0, 0) });
        let found = self.source.find()?;
        let prompts = encoded(&found, encode, model)?;
        let source = found.source;
        let explain = |e: Error| unusable(&source, e);
        let named = Named::new((experts, model, known), &prompts, cancel).map_err(explain)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = made.iter().position(|(key, _)| *key == named.key) {
            let known = made.remove(at);
            made.push(known);
        } else {
            let calibration = match named.kept(&self.cache, experts) {
                Some(kept) => kept.named(source),
                None => {
                    let mut pace = Pace::new(Preparation::Calibration);
                    let mut progress = |done: usize, all: usize| {
                        step(CalibrationStep { source: &source, at: pace.at(done, all) });
                    };
                    let network = (experts, &model.decoder, known);
                    let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
                    let (_, begun) = match partial.take().filter(|(key, _)| *key == named.key) {
                        Some(begun) => partial.insert(begun),
                        None => partial
                            .insert((named.key.clone(), Partial::new(&named.scores, experts.modules.len()))),
                    };
                    let new = collect(network, (&source, &prompts), needed, begun, &mut progress, cancel);
                    if !matches!(new, Err(Error::Cancelled)) {
                        *partial = None;
                    }
                    // What comes from experts or the base model names them.
                    let new = new.map_err(|e| if matches!(e, Error::Usage(_)) { explain(e) } else { e })?;
                    new.keep(&self.cache, &named.key, named.states.1);
                    new
                }
            };
            made.push((named.key, Arc::new(calibration)));
        }
        made.last().map(|(_, last)| Arc::clone(last)).ok_or_else(|| Error::msg("nothing was calibrated"))
    }
}

/// Why prompts cannot be calibrated with.
fn unusable(source: &str, error: Error) -> Error {
    let problem = format!("the experts cannot be calibrated with {source}: {error}");
    match error {
        Error::Cancelled => Error::Cancelled,
        // Who is to be left out stays known.
        Error::Expert { expert, .. } => Error::Expert { expert, problem },
        _ => Error::usage(problem),
    }
}

/// Prompts in tokens that a base model has.
///
/// # Errors
/// Those of `encode`; a token that there is not, with its line.
fn encoded(
    prompts: &CalibrationPrompts,
    encode: &dyn Fn(&CalibrationText) -> Result<Prompt>,
    model: &Model,
) -> Result<Vec<Prompt>> {
    let one = |(at, text): (usize, &CalibrationText)| {
        let prompt = encode(text)?;
        model.decoder.check_tokens(&prompt.ids).map_err(|error| match prompts.lines.get(at) {
            Some(line) => Error::usage(format!("line {line}: {error}")),
            None => error,
        })?;
        Ok(prompt)
    };
    let all: Result<_> = prompts.texts.iter().enumerate().map(one).collect();
    all.map_err(|error| unusable(&prompts.source, error))
}

/// How spread the votes of each prompt that has tokens are.
fn spreads(
    (experts, decoder): (&ExpertSet, &Decoder),
    (measure, speakers): (&Measure, &Speakers),
    prompts: &[Prompt],
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    let outcome = (Sharpness::Fixed(1.0), Outcome::Prior(0.0));
    let ballot = Ballot::new(measure.clone(), experts, speakers, outcome);
    let mut spreads = Vec::with_capacity(prompts.len());
    for (done, prompt) in prompts.iter().enumerate().filter(|(_, prompt)| !prompt.ids.is_empty()) {
        progress(done, prompts.len());
        let length = ballot.reach().tokens(&prompt.parts).min(LONGEST).min(decoder.spec.context);
        let (ids, parts) = (&prompt.ids[..length], &prompt.parts[..length]);
        let asks = [(experts, &ballot as &dyn Survey)];
        let kept = survey_pass(&asks, decoder, (ids, &[length]), (None, None), cancel)?.concat();
        let votes = ballot.votes(&Surveyed { ids, parts, kept: &kept });
        spreads.push(spread(&votes, &speakers.active));
    }
    progress(prompts.len(), prompts.len());
    Ok(spreads)
}

/// A calibration by what it follows from.
struct Named {
    key: String,
    /// What is measured.
    scores: Vec<Score>,
    /// How many mean states of prompts are kept, and how many numbers each has.
    states: (usize, usize),
}

impl Named {
    fn new(
        (experts, model, known): (&ExpertSet, &Model, &Known),
        prompts: &[Prompt],
        cancel: &Cancel,
    ) -> Result<Self> {
        let key = key(experts, model, prompts, cancel)?;
        let states = prompts.iter().filter(|prompt| !prompt.ids.is_empty()).count().min(STATES);
        Ok(Self {
            key: hex(&Sha256::digest(format!("{key} {}", known.key()))),
            scores: SCORES.iter().copied().filter(|score| score.is_known(known)).collect(),
            states: (states, model.decoder.spec.hidden),
        })
    }

    /// What is kept of it.
    fn kept(&self, cache: &TensorCache, experts: &ExpertSet) -> Option<Calibration> {
        Calibration::kept(cache, &self.key, &self.scores, experts, self.states)
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
    let first: Vec<u32> = prompts.iter().flat_map(|prompt| &prompt.ids).copied().take(PROBE).collect();
    probe(model, &first, &mut hash, cancel)?;
    Ok(hex(&hash.finalize()))
}

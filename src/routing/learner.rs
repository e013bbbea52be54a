//! What is known of experts by their own data, as a session needs it: of each expert found in the cache, or found out and
//! kept there as soon as it is.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::calibration::CalibrationText;
use super::experts::ExpertSet;
use super::own_data::{
    GateJob, Gates, Known, OwnAnswer, OwnData, OwnLook, OwnPrompts, OwnSource, fit, gated, look_at,
};
use super::preparing::{CalibrationStep, Pace, Preparation};
use super::probe::{PROBE, probe};
use super::prompt::Prompt;
use super::routers::ROUTERS;
use super::scores::Needs;
use super::speakers::Speakers;
use super::tensor_cache::{Counts, Kept, TensorCache, Wanted};
use super::trace::Part;
use crate::model::Model;
use crate::outside::hex;
use crate::text::listed;
use crate::{Cancel, Error, Result};

/// Part of every key: to be changed with anything that changes a bit of what is kept.
const FORMULA: &str = concat!("own data 3 of lora-tui ", env!("CARGO_PKG_VERSION"));
/// Own prompts of an expert that are looked at; gates learn from all that are given.
const LOOKED_AT: usize = 24;
/// Files of a cache that has one per expert: so many times the experts, for other data and another precision.
const GENERATIONS: usize = 4;

/// What routers that know experts by their data need of them.
pub const OWN_PROMPTS: &str = "training prompts";

/// What is said where `what` is not known of the experts that are `missing`, for one router or to say which cannot be used.
pub fn unknown_data(what: &str, missing: &[&str]) -> Error {
    const NAMED: usize = 4;
    let routers = ROUTERS.iter().filter(|router| router.needs > Needs::Spectra);
    let routers: Vec<&str> = routers.map(|router| router.id).collect();
    let of = match missing.get(..NAMED) {
        Some(few) if missing.len() > NAMED => {
            format!("{} and {} more", few.join(", "), missing.len() - NAMED)
        }
        _ => listed(missing, "and"),
    };
    Error::usage(format!(
        "the {what} of {of} are not known, by which {} know experts: name their tasks with calibrate --tasks DIR, or leave \
         the experts out with --mute",
        listed(&routers, "and")
    ))
}

/// How prompts and answers become tokens.
pub(super) struct Encoding<'a> {
    /// A prompt in tokens.
    pub prompt: &'a dyn Fn(&CalibrationText) -> Result<Prompt>,
    /// An answer in tokens, its end included.
    pub answer: &'a dyn Fn(&OwnAnswer) -> Result<Vec<u32>>,
}

/// Of whom something is to be known, and on which base model.
#[derive(Clone, Copy)]
pub(super) struct Subjects<'a> {
    pub experts: &'a ExpertSet,
    /// Of those that may have no weight nothing has to be known.
    pub speakers: &'a Speakers,
    pub model: &'a Model,
}

impl Subjects<'_> {
    /// Whether something has to be known of an expert.
    fn needs(&self, expert: usize) -> bool {
        self.speakers.active.get(expert) == Some(&true)
    }

    /// Files that stay in a cache of these experts.
    fn kept(&self) -> usize {
        self.experts.len().saturating_mul(GENERATIONS).saturating_add(TensorCache::KEPT)
    }
}

/// Finds out what experts are by their own data, and keeps it by expert.
#[derive(Debug)]
pub(super) struct Learner {
    own: OwnSource,
    /// A file per expert: what its own prompts look like.
    looks: TensorCache,
    /// A file per set of experts: the regression that discerns their prompts.
    regressions: TensorCache,
    /// A file per expert: its gates.
    gates: TensorCache,
}

impl Learner {
    /// For the library at `root`, of whose experts nothing is known.
    pub fn of(root: &Path) -> Self {
        Self {
            own: OwnSource::new(|_| Ok(Vec::new())),
            looks: TensorCache::of(root, "own-data"),
            regressions: TensorCache::of(root, "regression"),
            gates: TensorCache::of(root, "gates"),
        }
    }

    /// From now on these are the experts' own prompts.
    pub fn set_source(&mut self, own: OwnSource) {
        self.own = own;
    }

    /// The own prompts of the experts with these names, of those that have some.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn find(&self, experts: &[String]) -> Result<Vec<OwnPrompts>> {
        self.own.find(experts)
    }

    /// What has to be known of experts beside their weights.
    ///
    /// # Errors
    /// As [`Self::own_data`], [`Self::fitted`] and [`Self::gates`].
    pub fn known(
        &self,
        needs: Needs,
        subjects: Subjects,
        encoding: &Encoding,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Known> {
        Ok(match needs {
            Needs::Prototypes | Needs::Spectra => Known::default(),
            Needs::OwnData | Needs::Regression => {
                let own = self.own_data(subjects, encoding, step, cancel)?;
                let fitted = match needs == Needs::Regression {
                    true => self.fitted(subjects, own, step, cancel)?,
                    false => own.0,
                };
                Known { own: Some(Arc::new(fitted)), gates: None }
            }
            Needs::Gates => Known { own: None, gates: Some(self.gates(subjects, encoding, step, cancel)?) },
        })
    }

    /// What the own prompts of experts look like, all together and by expert. Of an expert that may have no weight and has
    /// none, nothing is known.
    ///
    /// # Errors
    /// An expert whose prompts are not known; prompts that cannot be read or encoded; a raised `cancel`.
    fn own_data(
        &self,
        subjects: Subjects,
        encoding: &Encoding,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<(OwnData, Vec<OwnLook>)> {
        let Subjects { experts, model, .. } = subjects;
        let found = self.own_prompts(subjects, OWN_PROMPTS, |own| own.texts.is_empty())?;
        let encode = |own: &OwnPrompts| -> Result<Vec<Prompt>> {
            let texts = own.texts.iter().take(LOOKED_AT).map(encoding.prompt);
            texts.filter(|p| p.as_ref().map_or(true, |p| !p.ids.is_empty())).collect()
        };
        let prompts: Vec<Vec<Prompt>> = found.iter().map(encode).collect::<Result<_>>()?;
        let base = base_key(model, cancel)?;
        let hidden = model.decoder.spec.hidden;
        let key = |(e, prompts): (usize, &Vec<Prompt>)| look_key(&base, (experts, e), prompts);
        let keys: Vec<String> = prompts.iter().enumerate().map(key).collect();
        let kept = |(e, key): (usize, &String)| {
            let wanted = OwnLook::wanted((experts, e), (prompts[e].len(), hidden));
            OwnLook::read(&self.looks.read(key, &wanted)?, (experts, e))
        };
        let mut looks: Vec<Option<OwnLook>> = keys.iter().enumerate().map(kept).collect();
        let missing: Vec<usize> = (0..looks.len()).filter(|&e| looks[e].is_none()).collect();
        let mut pace = Pace::new(Preparation::OwnPrompts);
        let mut progress = |done: usize| {
            step(CalibrationStep { source: "", at: pace.at(done, missing.len()) });
        };
        for (done, &e) in missing.iter().enumerate() {
            progress(done);
            let look = look_at((experts, e), &model.decoder, &prompts[e], cancel)?;
            self.looks.keep_of(&keys[e], &look.tensors((experts, e)), &Counts::new(), subjects.kept());
            looks[e] = Some(look);
        }
        if !missing.is_empty() {
            progress(missing.len());
        }
        let looks: Vec<OwnLook> = looks.into_iter().flatten().collect();
        let key = hex(&Sha256::digest(format!("{FORMULA} {}", keys.join(" "))));
        Ok((OwnData::of(experts, hidden, &looks).keyed(&key), looks))
    }

    /// The same with the regression that discerns the experts' prompts, which is of all of them together.
    ///
    /// # Errors
    /// A raised `cancel`.
    fn fitted(
        &self,
        Subjects { experts, model, .. }: Subjects,
        (own, looks): (OwnData, Vec<OwnLook>),
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<OwnData> {
        let (hidden, classes) = (model.decoder.spec.hidden, experts.len());
        let wanted = [Wanted::f32("regression".into(), (classes, hidden + 1))];
        if let Some(regression) = self.regressions.read(&own.key, &wanted).and_then(|found| found.f32(0)) {
            return Ok(OwnData { regression, ..own });
        }
        let states: Vec<f64> = looks.iter().flat_map(|look| look.states.iter().copied()).collect();
        let count = |(e, look): (usize, &OwnLook)| vec![e; look.states.len() / hidden.max(1)];
        let labels: Vec<usize> = looks.iter().enumerate().flat_map(count).collect();
        let mut pace = Pace::new(Preparation::Regression);
        // Of few experts it is done before anybody could read that it is.
        let mut progress = |done: usize, all: usize| {
            let at = pace.at(done, all);
            if at.left.is_some() {
                step(CalibrationStep { source: "", at });
            }
        };
        let regression = fit((&states, hidden), (&labels, classes), &mut progress, cancel)?;
        let tensors = [(Kept::f32("regression".into(), &regression), classes)];
        self.regressions.keep(&own.key, &tensors, &Counts::new());
        Ok(OwnData { regression, ..own })
    }

    /// Gates of experts. One that may have no weight has gates where these are at hand.
    ///
    /// # Errors
    /// An expert whose examples are not known; examples that cannot be read or encoded; what cannot be trained; a raised
    /// `cancel`. What was trained until then is kept.
    fn gates(
        &self,
        subjects: Subjects,
        encoding: &Encoding,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Arc<Gates>> {
        let Subjects { experts, model, .. } = subjects;
        let trainer = self.own.trainer();
        let trainer = trainer.ok_or_else(|| Error::msg("there is nothing here that trains gates"))?;
        let without = |own: &OwnPrompts| own.texts.is_empty() || own.answers.len() != own.texts.len();
        let found = self.own_prompts(subjects, "training prompts and answers", without)?;
        let pair = |(text, answer): (&CalibrationText, &OwnAnswer)| -> Result<(Vec<u32>, Vec<u32>)> {
            Ok(((encoding.prompt)(text)?.ids, (encoding.answer)(answer)?))
        };
        let examples = |own: &OwnPrompts| -> Result<Vec<(Vec<u32>, Vec<u32>)>> {
            let pairs = own.texts.iter().zip(&own.answers).map(pair);
            let whole = |p: &Result<(Vec<u32>, Vec<u32>)>| {
                p.as_ref().map_or(true, |(prompt, answer)| !prompt.is_empty() && !answer.is_empty())
            };
            pairs.filter(whole).collect()
        };
        let examples: Vec<Vec<(Vec<u32>, Vec<u32>)>> = found.iter().map(examples).collect::<Result<_>>()?;
        let base = format!("{} {}", base_key(model, cancel)?, (trainer.settings)());
        let mut keys = Vec::with_capacity(experts.len());
        let mut raw: Vec<Vec<f32>> =
            experts.stacked().map(|module| vec![0.0; module.in_features * experts.len()]).collect();
        let mut put = |e: usize, gates: Vec<(usize, Vec<f32>)>| {
            for (position, gate) in gates {
                raw[position][e * gate.len()..][..gate.len()].copy_from_slice(&gate);
            }
        };
        let mut missing = Vec::new();
        for (e, examples) in examples.iter().enumerate() {
            let mut key = gate_key(&base, (experts, e), examples)?;
            let wanted = gated(experts, e)
                .map(|module| Wanted::f32(experts.modules[module.position].clone(), (1, module.in_features)));
            let kept = self.gates.read(&key, &wanted.collect::<Vec<_>>()).and_then(|found| found.f32s());
            match kept {
                Some(kept) => put(e, gated(experts, e).map(|module| module.position).zip(kept).collect()),
                None if subjects.needs(e) => missing.push(e),
                None => key = "none".into(),
            }
            keys.push(key);
        }
        let job = |e: usize| GateJob { experts, model, expert: e, examples: &examples[e] };
        missing.iter().try_for_each(|&e| job(e).check())?;
        let mut pace = Pace::new(Preparation::Gates);
        for (before, &e) in missing.iter().enumerate() {
            let mut progress = |done: usize, all: usize| {
                let at = pace.at(before * all + done, missing.len() * all);
                step(CalibrationStep { source: "", at });
            };
            let new = (trainer.train)(&job(e), &mut progress, cancel)?;
            let tensor = |(position, gate): &(usize, Vec<f32>)| {
                (Kept::f32(experts.modules[*position].clone(), gate), 1)
            };
            let tensors: Vec<(Kept, usize)> = new.iter().map(tensor).collect();
            self.gates.keep_of(&keys[e], &tensors, &Counts::new(), subjects.kept());
            put(e, new);
        }
        let widths: Vec<usize> = experts.stacked().map(|module| module.in_features).collect();
        let key = hex(&Sha256::digest(format!("{FORMULA} gates {}", keys.join(" "))));
        Ok(Arc::new(Gates::new(raw, &widths).keyed(&key)))
    }

    /// The own prompts of all experts, in their order.
    ///
    /// # Errors
    /// Experts that may have weight and of which `without` holds, with `what` is missing; data that cannot be read.
    fn own_prompts(
        &self,
        subjects: Subjects,
        what: &str,
        without: impl Fn(&OwnPrompts) -> bool,
    ) -> Result<Vec<OwnPrompts>> {
        let names = &subjects.experts.names;
        let mut found = self.own.find(names)?;
        let own = |name: &String| match found.iter().position(|own| own.expert == *name) {
            Some(at) => found.swap_remove(at),
            None => OwnPrompts { expert: name.clone(), ..OwnPrompts::default() },
        };
        let all: Vec<OwnPrompts> = names.iter().map(own).collect();
        let missing = all.iter().enumerate().filter(|(e, own)| subjects.needs(*e) && without(own));
        let missing: Vec<&str> = missing.map(|(_, own)| own.expert.as_str()).collect();
        if missing.is_empty() { Ok(all) } else { Err(unknown_data(what, &missing)) }
    }
}

/// Names a base model by what it makes of some tokens.
fn base_key(model: &Model, cancel: &Cancel) -> Result<String> {
    let mut hash = Sha256::new_with_prefix(FORMULA);
    hash.update(model.precision.to_string());
    let vocabulary = u32::try_from(model.decoder.spec.vocab).unwrap_or(u32::MAX).max(1);
    let tokens: Vec<u32> = (1u32..).take(PROBE).map(|token| token % vocabulary).collect();
    probe(model, &tokens, &mut hash, cancel)?;
    Ok(hex(&hash.finalize()))
}

/// Names what an expert's own prompts look like by what it follows from: the base model, the modules that the expert has,
/// and the prompts.
fn look_key(base: &str, (experts, expert): (&ExpertSet, usize), prompts: &[Prompt]) -> String {
    let mut hash = Sha256::new_with_prefix(base);
    for module in experts.modules_of(expert) {
        hash.update(format!(" {}", experts.modules[module.position]));
    }
    for Prompt { ids, parts } in prompts {
        tokens(&mut hash, ids);
        parts.iter().for_each(|part| hash.update([u8::from(*part == Part::Template)]));
    }
    hex(&hash.finalize())
}

/// Names an expert's gates by what they follow from: the base model and the trainer's settings, the expert's factors, and
/// the examples.
fn gate_key(
    base: &str,
    (experts, expert): (&ExpertSet, usize),
    examples: &[(Vec<u32>, Vec<u32>)],
) -> Result<String> {
    let mut hash = Sha256::new_with_prefix(base);
    let name = &experts.names[expert];
    hash.update(experts.digest_of(name)?);
    if !experts.general.contains(name) {
        // Those that were taken out of it.
        for general in &experts.general {
            hash.update(format!(" without {}", experts.digest_of(general)?));
        }
    }
    for (prompt, answer) in examples {
        tokens(&mut hash, prompt);
        tokens(&mut hash, answer);
    }
    Ok(hex(&hash.finalize()))
}

fn tokens(hash: &mut Sha256, ids: &[u32]) {
    hash.update((ids.len() as u64).to_le_bytes());
    ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
}

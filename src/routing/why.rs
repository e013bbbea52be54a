//! Why an expert was chosen for a token at a module: its score there, what that is compared with, and who came next.

use serde::Serialize;

use super::experts::StackedModule;
use super::prompt::Prompt;
use super::routers::Scope;
use super::session::Session;
use super::survey::{Reasons, counts};
use super::tap::{Seen, Tap};
use super::verdict::Lead;
use crate::analysis::{directions, spectral_gap};
use crate::model::tensor::transpose;
use crate::{Cancel, Error, Result};

/// What was decided for one token, and from what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// Its number in the sequence.
    pub token: usize,
    /// What decides under the router, in words: a sentence without a full stop.
    pub decided: String,
    /// The score that experts are compared by at every module; none where nothing is compared there.
    pub score: Option<&'static str>,
    /// What decides among the experts with the highest scores, where that is another score.
    pub decider: Option<&'static str>,
    /// By expert: its share of the votes of the whole prompt, where the router asks for them; else empty.
    pub votes: Vec<f64>,
    /// What was found of the whole prompt, where the router asks for something.
    pub sequence: Option<WhySequence>,
    /// In the order of the network; none where nothing is compared there.
    pub modules: Vec<WhyModule>,
}

/// What was found of a whole prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhySequence {
    /// What there is to say of it, in words; empty where there is nothing.
    pub words: String,
    /// What the values of the experts are; empty where there are none.
    pub value: &'static str,
    /// How far the first expert is before the next, where the values are shares of votes.
    pub lead: Option<Lead>,
    /// Whether the expert is drawn at random.
    pub drawn: bool,
    /// The experts with the most weight, or the highest values, first.
    pub experts: Vec<WhyShare>,
}

/// What was found of one expert.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WhyShare {
    /// Its number.
    pub expert: usize,
    /// Its weight for the whole sequence; none where every token has its own.
    pub weight: Option<f32>,
    /// What was found.
    pub value: f64,
    /// Its deviation from what is usual for the expert, where that counts.
    pub calibrated: Option<f64>,
}

/// What was decided at one module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhyModule {
    /// Its path.
    pub module: String,
    /// The experts with the most weight and, after them, with the highest scores: the second one is the runner-up.
    pub experts: Vec<WhyExpert>,
}

/// Why an expert has the weight that it has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WhyExpert {
    /// Its number.
    pub expert: usize,
    /// Its routing weight.
    pub weight: f32,
    /// Its score as it is.
    pub score: f32,
    /// Its deviation from what is usual for the expert at the module, where scores are calibrated.
    pub calibrated: Option<f32>,
    /// What decides among the experts with the highest scores, where that is another score, calibrated where it is.
    pub deciding: Option<f32>,
    /// σ₁² / Σ σ² of its ΔW here: how much of it the prototype stands for.
    pub first_share: f64,
    /// σ₂ / σ₁: near 1 the prototype is any direction in a plane.
    pub gap: f64,
}

/// What an expert's scores on a prompt are, over all tokens that count and the modules where it has ΔW ≠ 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MeanScores {
    /// Mean score.
    pub score: f64,
    /// Mean deviation from what is usual for the expert, where scores are calibrated.
    pub calibrated: Option<f64>,
    /// Its share of the votes of the prompt, where the router asks for them.
    pub vote: Option<f64>,
    /// Mean σ₁² / Σ σ² of its ΔW.
    pub first_share: f64,
    /// Mean σ₂ / σ₁.
    pub gap: f64,
}

/// Sums the scores of the tokens that count, over all modules.
#[derive(Debug)]
struct Sums {
    /// By token.
    counted: Vec<bool>,
    /// By expert: (score, score as it is used), and how many were summed.
    found: Vec<(f64, f64, usize)>,
}

impl Tap for Sums {
    fn see(&mut self, seen: &Seen) {
        let experts = seen.candidate.len().max(1);
        let rows = seen.raw.chunks(experts).zip(seen.used.chunks(experts)).zip(&self.counted);
        for ((raw, used), _) in rows.filter(|(_, counted)| **counted) {
            for (e, found) in self.found.iter_mut().enumerate().filter(|(e, _)| seen.candidate[*e]) {
                found.0 += f64::from(raw[e]);
                found.1 += f64::from(used[e]);
                found.2 += 1;
            }
        }
    }

    fn sees_deciding(&self) -> bool {
        false
    }
}

/// Notes the scores of one token at every module.
#[derive(Debug)]
struct OneToken {
    token: usize,
    most: usize,
    /// By module.
    found: Vec<Vec<Noted>>,
}

/// What is noted of an expert at a module.
#[derive(Clone, Copy, Debug)]
struct Noted {
    expert: usize,
    weight: f32,
    score: f32,
    /// The score as it is used.
    used: f32,
    deciding: Option<f32>,
}

impl Tap for OneToken {
    fn see(&mut self, seen: &Seen) {
        let experts = seen.candidate.len();
        let at = self.token * experts..(self.token + 1) * experts;
        let (Some(raw), Some(used)) = (seen.raw.get(at.clone()), seen.used.get(at.clone())) else { return };
        let deciding = |e: usize| seen.deciding.and_then(|all| all.get(at.start + e).copied());
        let chosen = seen.chosen.chunks(seen.width.max(1)).nth(self.token).unwrap_or_default();
        // From 0, for the sum of nothing is -0.
        let weight = |e: usize| {
            let own = chosen.iter().filter(|(own, _)| *own as usize == e);
            own.fold(0f32, |sum, (_, w)| sum + w)
        };
        let noted = |e: usize| Noted {
            expert: e,
            weight: weight(e),
            score: raw[e],
            used: used[e],
            deciding: deciding(e),
        };
        let mut all: Vec<Noted> = (0..experts).filter(|&e| seen.candidate[e]).map(noted).collect();
        all.sort_by(|a, b| {
            b.weight.total_cmp(&a.weight).then(b.used.total_cmp(&a.used)).then(a.expert.cmp(&b.expert))
        });
        all.truncate(self.most);
        if let Some(found) = self.found.get_mut(seen.position) {
            *found = all;
        }
    }
}

/// What was decided for the token number `token` of the prompt that a session is at, about `most` experts per module.
///
/// # Errors
/// As [`Session::route_tokens`].
fn why(session: &Session, prompt: &Prompt, (token, most): (usize, usize), cancel: &Cancel) -> Result<Why> {
    let router = session.config.router;
    let reasons = session.surveyor.reasons(&session.router, prompt)?;
    let once = router.scope == Scope::Sequence;
    let weights = session.surveyor.findings().found.first().filter(|_| once).map_or(&[][..], Vec::as_slice);
    let sequence = reasons.map(|reasons| of_sequence(reasons, weights, most));
    let mut decided = router.help.to_string();
    if matches!(router.scope, Scope::Nothing | Scope::Everywhere) {
        decided.push_str(": no token is looked at, so that there is nothing to explain");
    }
    // What is asked of the whole prompt at one place says nothing of others; votes are asked for everywhere.
    let votes = session.surveyor.votes().to_vec();
    let measure = session.router.measure().filter(|_| !once || !votes.is_empty());
    let decider = session.router.decider().filter(|_| measure.is_some()).map(|decider| decider.score.id);
    let modules = match measure {
        Some(_) => modules(session, prompt, (token, most), cancel)?,
        None => Vec::new(),
    };
    let score = measure.map(|measure| measure.score.id);
    Ok(Why { token, decided, score, decider, votes, sequence, modules })
}

/// What was found of the whole prompt, of the `most` experts with the most weight or the highest values.
fn of_sequence(reasons: Reasons, weights: &[f32], most: usize) -> WhySequence {
    let share = |(expert, value): (usize, &f64)| WhyShare {
        expert,
        weight: weights.get(expert).copied(),
        value: *value,
        calibrated: reasons.calibrated.as_ref().and_then(|all| all.get(expert).copied()),
    };
    let mut experts: Vec<WhyShare> = reasons.values.iter().enumerate().map(share).collect();
    let used = |one: &WhyShare| one.calibrated.unwrap_or(one.value);
    experts.sort_by(|a, b| {
        let weight = |one: &WhyShare| one.weight.unwrap_or(0.0);
        weight(b).total_cmp(&weight(a)).then(used(b).total_cmp(&used(a))).then(a.expert.cmp(&b.expert))
    });
    experts.truncate(most);
    let Reasons { words, value, lead, drawn, .. } = reasons;
    WhySequence { words, value, lead, drawn, experts }
}

/// What was decided at every module, from a pass that shows its scores.
fn modules(
    session: &Session,
    prompt: &Prompt,
    (token, most): (usize, usize),
    cancel: &Cancel,
) -> Result<Vec<WhyModule>> {
    let (experts, decoder) = (&*session.experts, &session.model.decoder);
    let mut tap = OneToken { token, most, found: vec![Vec::new(); experts.modules.len()] };
    let ids = &prompt.ids[..prompt.ids.len().min(token + 1)];
    let hook = session.hook();
    let calibrated = hook.measure().calibration.is_some();
    hook.tapped(&mut tap, decoder, cancel)?.forward(decoder, ids, &[ids.len()], &mut [], cancel)?;
    let module = |((name, stack), found): ((&String, &StackedModule), Vec<Noted>)| {
        let expert = |Noted { expert, weight, score, used, deciding }: Noted| {
            let (first_share, gap) = spectrum(stack, expert);
            let calibrated = calibrated.then_some(used);
            WhyExpert { expert, weight, score, calibrated, deciding, first_share, gap }
        };
        WhyModule { module: name.clone(), experts: found.into_iter().map(expert).collect() }
    };
    Ok(experts.modules.iter().zip(experts.stacked()).zip(tap.found).map(module).collect())
}

/// (σ₁² / Σ σ², σ₂ / σ₁) of an expert's ΔW at a module; zeros where it has none.
pub(super) fn spectrum(module: &StackedModule, expert: usize) -> (f64, f64) {
    let Some(lora) = module.loras.get(expert).and_then(Option::as_ref) else { return (0.0, 0.0) };
    let (inputs, outputs) = module.size();
    let parts = module.parts(lora);
    let b = transpose(&parts.bt, parts.rank, outputs);
    let sigma = directions(&parts.a, &b, parts.rank, inputs, outputs).sigma;
    let all: f64 = sigma.iter().map(|s| s * s).sum();
    match sigma.first() {
        Some(first) if all > 0.0 => (first * first / all, spectral_gap(&sigma)),
        _ => (0.0, 0.0),
    }
}

impl Session {
    /// Why experts have the weights that they have for the token number `token` of a prompt, at every module: about
    /// `most` of them each.
    ///
    /// # Errors
    /// A token that the prompt does not have; as [`Self::route_tokens`].
    pub fn why(&mut self, prompt: &Prompt, token: usize, most: usize, cancel: &Cancel) -> Result<Why> {
        let count = prompt.ids.len();
        if token >= count {
            return Err(Error::usage(format!(
                "there is no token {token}: the prompt has {count}, from 0 on"
            )));
        }
        self.bring_to(prompt, 0, &mut |_, _| {}, cancel)?;
        why(self, prompt, (token, most), cancel)
    }

    /// The mean scores of these experts on a prompt, in their order.
    ///
    /// # Errors
    /// As [`Self::route_tokens`].
    pub fn mean_scores(
        &mut self,
        prompt: &Prompt,
        experts: &[usize],
        cancel: &Cancel,
    ) -> Result<Vec<MeanScores>> {
        self.bring_to(prompt, 0, &mut |_, _| {}, cancel)?;
        let set = &*self.experts;
        let any = (0..prompt.ids.len()).any(|t| counts(&prompt.parts, t));
        let counted = (0..prompt.ids.len()).map(|t| !any || counts(&prompt.parts, t)).collect();
        let mut sums = Sums { counted, found: vec![(0.0, 0.0, 0); set.len()] };
        let hook = self.hook();
        let calibrated = hook.measure().calibration.is_some();
        let length = [prompt.ids.len()];
        let decoder = &self.model.decoder;
        let mut hook = hook.tapped(&mut sums, decoder, cancel)?;
        hook.forward(decoder, &prompt.ids, &length, &mut [], cancel)?;
        let votes = self.surveyor.votes();
        let mean = |&e: &usize| {
            let (raw, used, count) = sums.found.get(e).copied().unwrap_or_default();
            let count = count.max(1) as f64;
            let modules = set.stacked().filter(|module| module.candidate.get(e) == Some(&true));
            let spectra: Vec<(f64, f64)> = modules.map(|module| spectrum(module, e)).collect();
            let of = |pick: fn(&(f64, f64)) -> f64| {
                spectra.iter().map(pick).sum::<f64>() / spectra.len().max(1) as f64
            };
            MeanScores {
                score: raw / count,
                calibrated: calibrated.then_some(used / count),
                vote: votes.get(e).copied(),
                first_share: of(|s| s.0),
                gap: of(|s| s.1),
            }
        };
        Ok(experts.iter().map(mean).collect())
    }
}

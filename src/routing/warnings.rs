//! What to know before one trusts a routing: looked for in what it chose and in what it was made from.

use serde::Serialize;

use super::calibration::{Calibration, CalibrationText};
use super::config::RouterConfig;
use super::experts::ExpertSet;
use super::own_data::middle;
use super::prompt::Prompt;
use super::routers::Scope;
use super::scores::{Needs, Score};
use super::session::Session;
use super::survey::{Reach, counts};
use super::surveyor::Surveyor;
use super::trace::Trace;
use super::why::spectrum;
use crate::model::{Activations, Decoder, ForwardPass, LinearHook};
use crate::text::listed;
use crate::{Cancel, Result};

/// Weights of the kept experts that are as spread as this share of equal ones hardly differ.
const EQUAL: f64 = 0.97;
/// An expert that is the usual winner at this share of the modules wins everywhere.
const HUB: f64 = 0.5;
/// An expert that usually cannot win at this share of the modules wins nowhere.
const NEVER: f64 = 0.9;
/// Share of the calibration prompts that are farther from all others than a prompt that is distinguished from them.
const FAR: f64 = 0.01;
/// σ₂ / σ₁ from which a prototype says little.
const FLAT: f64 = 0.9;
/// Spectra that are looked at, about.
const SPECTRA: usize = 1000;
/// Calibration prompts that are compared with each other.
const COMPARED: usize = 256;

/// What to know of a routing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteWarning {
    /// Which one: `equal-weights`, `hub`, `idle`, `foreign-calibration` or `flat-spectrum`.
    pub id: &'static str,
    /// One sentence, without a full stop; names of experts in it are untrusted.
    pub text: String,
}

/// What is looked at.
struct Evidence<'a> {
    config: &'a RouterConfig,
    experts: &'a ExpertSet,
    /// By expert: whether it may have weight.
    active: &'a [bool],
    /// The routing of a prompt.
    trace: &'a Trace,
    /// What the router scores by.
    score: Option<Score>,
    /// What is usual for the experts, where it is at hand.
    calibration: Option<&'a Calibration>,
    /// The prompt's mean state in a pass without experts; empty where it is not needed.
    state: Vec<f32>,
}

/// A thing to look for: its id, and what to say where it is there.
type Check = (&'static str, fn(&Evidence) -> Option<String>);

/// Everything that is looked for.
static CHECKS: &[Check] = &[
    ("equal-weights", equal_weights),
    ("hub", hub),
    ("idle", idle),
    ("foreign-calibration", foreign_calibration),
    ("flat-spectrum", flat_spectrum),
];

/// All that is there.
fn find(evidence: &Evidence) -> Vec<RouteWarning> {
    let found = |(id, find): &Check| Some(RouteWarning { id, text: find(evidence)? });
    CHECKS.iter().filter_map(found).collect()
}

/// Weights of the experts that are kept, which differ as little as their scores.
fn equal_weights(evidence: &Evidence) -> Option<String> {
    let trace = evidence.trace;
    if evidence.config.router.scope != Scope::Token {
        return None;
    }
    let (mut spread, mut kept, mut cells) = (0.0, 0, 0);
    for t in (0..trace.tokens.len()).filter(|&t| trace.counts(t)) {
        for m in (0..trace.modules.len()).filter(|&m| trace.weights(t, m).len() > 1) {
            spread += trace.entropy(t, m).exp() / trace.weights(t, m).len() as f64;
            kept += trace.weights(t, m).len();
            cells += 1;
        }
    }
    let count = f64::from(u32::try_from(cells).ok().filter(|cells| *cells > 0)?);
    (spread / count > EQUAL).then(|| {
        format!(
            "the scores of the {:.0} experts that are kept hardly differ, so that each has about the same weight: lower \
             the temperature, or use calibrated",
            kept as f64 / count
        )
    })
}

/// What is usual for raw scores that the router compares.
fn raw<'a>(evidence: &Evidence<'a>) -> Option<(&'a Calibration, Score)> {
    let score = evidence.score.filter(|_| !evidence.config.is_calibrated())?;
    let calibration = evidence.calibration.filter(|calibration| calibration.has(score))?;
    (evidence.active.iter().filter(|active| **active).count() > 2).then_some((calibration, score))
}

/// By expert: the share of all modules at which `holds` for (its mean and deviation, the largest mean of the others), among
/// those who may have weight.
fn share_of_modules(evidence: &Evidence, holds: impl Fn((f64, f64), f64) -> bool) -> Option<Vec<f64>> {
    let (calibration, score) = raw(evidence)?;
    let modules = evidence.experts.stacked().enumerate();
    let usual = modules.map(|(position, module)| (calibration.usual(score, position), &*module.candidate));
    Some(shares(usual, evidence.active, holds))
}

/// By expert: the share of `modules` (by expert its usual mean and deviation, and whether it is a candidate) at which
/// `holds` for its own and the largest mean of the others. Who is not `active` is none of them.
fn shares<'a>(
    modules: impl Iterator<Item = (Vec<(f64, f64)>, &'a [bool])>,
    active: &[bool],
    holds: impl Fn((f64, f64), f64) -> bool,
) -> Vec<f64> {
    let (mut held, mut all) = (vec![0usize; active.len()], 0usize);
    for (usual, candidate) in modules {
        all += 1;
        let rivals = || usual.iter().enumerate().filter(|(e, _)| candidate[*e] && active[*e]);
        for (e, own) in rivals() {
            let others = rivals().filter(|(o, _)| *o != e);
            let most = others.map(|(_, (mean, _))| *mean).fold(f64::NEG_INFINITY, f64::max);
            held[e] += usize::from(most > f64::NEG_INFINITY && holds(*own, most));
        }
    }
    held.into_iter().map(|held| held as f64 / all.max(1) as f64).collect()
}

/// An expert that any text excites most.
fn hub(evidence: &Evidence) -> Option<String> {
    let shares = share_of_modules(evidence, |(mean, _), most| mean > most)?;
    let best = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b]))?;
    (shares[best] >= HUB).then(|| {
        format!(
            "{} has the highest scores at {:.0} % of the modules whatever the text, so that it wins everywhere: use \
             calibrated, which compares each expert with itself",
            evidence.experts.names[best],
            100.0 * shares[best]
        )
    })
}

/// Experts whose scores are too low on any text.
fn idle(evidence: &Evidence) -> Option<String> {
    let shares = share_of_modules(evidence, |(mean, deviation), most| mean + 2.0 * deviation < most)?;
    let idle: Vec<&str> = (0..shares.len())
        .filter(|&e| shares[e] >= NEVER)
        .map(|e| evidence.experts.names[e].as_str())
        .collect();
    let names = match idle.as_slice() {
        [] => return None,
        few @ ([_] | [_, _] | [_, _, _]) => listed(few, "and"),
        [first, second, more @ ..] => format!("{first}, {second} and {} more", more.len()),
    };
    Some(format!(
        "the scores of {names} are too low to win at nearly all modules, whatever the text: use calibrated, which \
         compares each expert with itself"
    ))
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let (mut dot, mut aa, mut bb) = (0f64, 0f64, 0f64);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        dot += a * b;
        aa += a * a;
        bb += b * b;
    }
    dot / (aa * bb).sqrt().max(f64::MIN_POSITIVE)
}

/// A prompt that is farther from all calibration prompts than these are from each other.
fn foreign_calibration(evidence: &Evidence) -> Option<String> {
    let calibration = evidence.calibration.filter(|_| evidence.config.needs_calibration())?;
    let states: Vec<&[f32]> = calibration.states(evidence.state.len()).collect();
    if evidence.state.is_empty() || states.len() < 8 {
        return None;
    }
    let stride = states.len().div_ceil(COMPARED);
    let nearest = |state: &[f32], own: Option<usize>| {
        let others = states.iter().enumerate().filter(|(at, _)| Some(*at) != own);
        others.map(|(_, other)| cosine(state, other)).fold(-1.0, f64::max)
    };
    let mut usual: Vec<f64> =
        states.iter().enumerate().step_by(stride).map(|(at, state)| nearest(state, Some(at))).collect();
    usual.sort_by(f64::total_cmp);
    let least = usual[(usual.len() as f64 * FAR) as usize];
    (nearest(&evidence.state, None) < least).then(|| {
        format!(
            "the prompt is unlike the text that scores were calibrated with ({}): calibrate with prompts of its kind",
            calibration.source
        )
    })
}

/// Experts whose prototype is hardly longer than the direction after it.
fn flat_spectrum(evidence: &Evidence) -> Option<String> {
    let experts = evidence.experts;
    evidence.score.filter(|score| score.needs == Needs::Prototypes)?;
    let all = experts.len() * experts.modules.len();
    let stride = all.div_ceil(SPECTRA).max(1);
    let mut flat = Vec::new();
    for (e, name) in experts.names.iter().enumerate().filter(|(e, _)| evidence.active[*e]) {
        let modules = experts.stacked().skip(e % stride).step_by(stride).filter(|module| module.candidate[e]);
        let gaps: Vec<f64> = modules.map(|module| spectrum(module, e).1).collect();
        if !gaps.is_empty() && gaps.iter().sum::<f64>() / gaps.len() as f64 > FLAT {
            flat.push(name.as_str());
        }
    }
    let names = match flat.as_slice() {
        [] => return None,
        few @ ([_] | [_, _] | [_, _, _]) => listed(few, "and"),
        [first, second, more @ ..] => format!("{first}, {second} and {} more", more.len()),
    };
    Some(format!(
        "the spectrum of {names} is flat (σ₂ is over {FLAT} of σ₁), so that one direction says little of it: use subspace \
         or norm"
    ))
}

/// Keeps the input of one layer.
struct StateHook {
    middle: usize,
    x: Vec<f32>,
}

impl LinearHook for StateHook {
    fn apply(&mut self, linear: usize, x: &Activations, _y: &mut Activations) -> Result<()> {
        if linear == self.middle {
            self.x = x.values()?.into_owned();
        }
        Ok(())
    }
}

/// A prompt's mean state in the middle of the network, without experts, over the tokens that count: from a pass that the
/// session knows, or from one of its own.
///
/// # Errors
/// As [`Decoder::forward`].
fn mean_state(surveyor: &Surveyor, decoder: &Decoder, prompt: &Prompt, cancel: &Cancel) -> Result<Vec<f32>> {
    let parts = &prompt.parts[..prompt.asked()];
    let ids = &prompt.ids[..Reach::Counted.tokens(parts)];
    let middle = middle(decoder.spec.layers, decoder.slots);
    let x = match surveyor.read_at(middle, ids) {
        Some(x) => x,
        None => {
            let mut hook = StateHook { middle, x: Vec::new() };
            if !ids.is_empty() {
                decoder.forward(ids, &[ids.len()], ForwardPass::new(&mut hook, cancel))?;
            }
            hook.x
        }
    };
    let any = (0..ids.len()).any(|t| counts(parts, t));
    let (mut sum, mut count) = (vec![0f64; decoder.spec.hidden], 0usize);
    let rows = x.chunks(decoder.spec.hidden.max(1)).take(ids.len()).enumerate();
    for (_, row) in rows.filter(|(t, _)| !any || counts(parts, *t)) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        count += 1;
    }
    Ok(sum.iter().map(|sum| (sum / count.max(1) as f64) as f32).collect())
}

impl Session {
    /// What to know before one trusts the routing of a prompt.
    ///
    /// # Errors
    /// As [`Self::route_tokens`].
    pub fn warnings(&mut self, prompt: &Prompt, cancel: &Cancel) -> Result<Vec<RouteWarning>> {
        if !self.config.is_weighted() || prompt.ids.is_empty() {
            return Ok(Vec::new());
        }
        self.bring_to(prompt, 0, &mut |_, _| {}, cancel)?;
        let (experts, model) = (&*self.experts, &self.model);
        let measure = self.router.measure();
        let (calibration, state) = match (self.calibrated(), measure) {
            (Some(used), _) => (Some(used), mean_state(&self.surveyor, &model.decoder, prompt, cancel)?),
            (None, Some(measure)) => {
                let encode = |text: &CalibrationText| self.encode(text);
                let network = (experts, model, &measure.known);
                (self.calibrator.at_hand(network, &encode, cancel), Vec::new())
            }
            (None, None) => (None, Vec::new()),
        };
        Ok(find(&Evidence {
            config: &self.config,
            experts,
            active: &self.router.speakers().active,
            trace: &self.run.trace,
            score: measure.map(|measure| measure.score),
            calibration: calibration.as_deref(),
            state,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_may_have_weight_is_counted_and_over_all_modules() {
        let everywhere = ([(9.0, 1.0), (5.0, 1.0), (1.0, 1.0)], [true; 3]);
        // The first expert has nothing here.
        let elsewhere = ([(0.0, 0.0), (5.0, 1.0), (4.0, 1.0)], [false, true, true]);
        let modules = [&everywhere, &elsewhere, &elsewhere, &elsewhere];
        let found = |active: &[bool], holds: fn((f64, f64), f64) -> bool| {
            let modules = modules.iter().map(|(usual, candidate)| (usual.to_vec(), &candidate[..]));
            shares(modules, active, holds)
        };
        let (highest, low) = (
            |(mean, _): (f64, f64), most: f64| mean > most,
            |(mean, deviation): (f64, f64), most: f64| mean + 2.0 * deviation < most,
        );
        assert_eq!(found(&[true; 3], highest), [0.25, 0.75, 0.0], "shares of all four modules");
        assert_eq!(
            found(&[true, false, true], highest),
            [0.25, 0.0, 0.0],
            "alone there is nobody to be above"
        );
        assert_eq!(found(&[true; 3], low), [0.0, 0.25, 0.25]);
        assert_eq!(found(&[false, true, true], low), [0.0, 0.0, 0.25], "a muted expert is above nobody");
    }
}

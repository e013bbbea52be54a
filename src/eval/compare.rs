//! Several routers on one prompt.

use std::ops::ControlFlow;

use super::forced::forced_here;
use crate::routing::{CalibrationStep, GenerateOptions, Prompt, RouteWarning, RouterConfig, Session, Trace};
use crate::{Cancel, Error, Result};

/// How far a study of several routers is.
#[derive(Clone, Debug)]
pub enum StudyEvent {
    /// What it is doing.
    Stage(String),
    /// How far that is, or what a router needs first.
    Step(String),
}

impl StudyEvent {
    /// Reports a step of what a router needs first: its begin is a stage.
    pub(super) fn of_step(step: &CalibrationStep, progress: &mut dyn FnMut(Self)) {
        if let Some(begun) = step.begun() {
            progress(Self::Stage(begun));
        }
        progress(Self::Step(step.to_string()));
    }
}

/// What one router makes of a prompt.
#[derive(Clone, Debug)]
pub struct Compared {
    /// With its settings.
    pub router: RouterConfig,
    /// The routing of the prompt.
    pub trace: Trace,
    /// By expert: its share of the prompt.
    pub shares: Vec<f64>,
    /// exp of the entropy of the shares: as many experts of equal shares would be as spread.
    pub effective: f64,
    /// The greedy answer, where one was wanted; untrusted.
    pub answer: Option<String>,
    /// Log-probability in nats of the reference answer, its end token left out.
    pub log_probability: Option<f64>,
    /// What to know before one trusts the routing.
    pub warnings: Vec<RouteWarning>,
}

/// Runs a prompt through each of `routers`; leaves the session with the last one. `reference` is an answer in tokens
/// whose probability is computed; `max_tokens` of 0 asks for no answer. `progress` hears of it.
///
/// # Errors
/// A router that cannot be resolved; as [`Session::route_tokens`].
pub fn compare(
    session: &mut Session,
    prompt: &Prompt,
    routers: &[RouterConfig],
    (reference, max_tokens): (&[u32], usize),
    progress: &mut dyn FnMut(StudyEvent),
    cancel: &Cancel,
) -> Result<Vec<Compared>> {
    let mut all = Vec::with_capacity(routers.len());
    for router in routers {
        progress(StudyEvent::Step(router.to_string()));
        let mut step = |step: CalibrationStep| StudyEvent::of_step(&step, progress);
        session.set_router_with(router.clone(), &mut step, cancel)?;
        let trace = session.route_tokens(prompt, cancel)?;
        let shares = trace.totals(|_| true);
        let entropy: f64 = shares.iter().filter(|share| **share > 0.0).map(|share| -share * share.ln()).sum();
        let effective = if shares.iter().any(|share| *share > 0.0) { entropy.exp() } else { 0.0 };
        let answer = match max_tokens {
            0 => None,
            max_tokens => {
                let options = GenerateOptions { max_tokens, ..GenerateOptions::default() };
                let go_on = &mut |_: &Trace, _: &str| ControlFlow::Continue(());
                Some(session.generate_tokens(prompt, &options, cancel, go_on)?)
            }
        };
        let log_probability = match reference {
            [] => None,
            reference => Some(log_probability(session, prompt, reference, cancel)?),
        };
        let warnings = session.warnings(prompt, cancel)?;
        let router = router.clone();
        all.push(Compared { router, trace, shares, effective, answer, log_probability, warnings });
    }
    Ok(all)
}

/// Log-probability in nats of an answer after the prompt that was routed last, under the session's router.
fn log_probability(session: &Session, prompt: &Prompt, answer: &[u32], cancel: &Cancel) -> Result<f64> {
    if prompt.ids.is_empty() {
        return Err(Error::usage("the prompt is empty"));
    }
    Ok(forced_here(session, prompt, answer, cancel)?.log_probability)
}

/// Share of the counted tokens and modules at which two routings have another heaviest expert.
pub fn differing(one: &Trace, other: &Trace) -> f64 {
    let (mut differ, mut all) = (0usize, 0usize);
    for t in (0..one.tokens.len().min(other.tokens.len())).filter(|&t| one.counts(t)) {
        for m in 0..one.modules.len().max(other.modules.len()) {
            let top = |trace: &Trace| trace.top(t, m).map(|(e, _)| e);
            all += 1;
            differ += usize::from(top(one) != top(other));
        }
    }
    differ as f64 / all.max(1) as f64
}

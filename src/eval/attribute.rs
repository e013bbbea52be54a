//! Which experts an answer is owed to: how much less likely it is without each of them.

use std::ops::Range;

use super::forced::{forced, forced_without};
use crate::module_path::ModulePath;
use crate::routing::{Knockout, MeanScores, Prompt, RouterConfig, Session};
use crate::text::fixed;
use crate::{Cancel, Error, Result};

/// Groups of layers, at most.
const GROUPS: usize = 4;
/// What rounding changes of a log-probability, about.
const LEAST: f64 = 1e-2;
/// Of the directions that controls take.
const SEED: u64 = 42;

/// What an answer owes to the experts of a router.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// Log-probability of the answer in nats, routed.
    pub routed: f64,
    /// The same of the base model alone.
    pub base: f64,
    /// Groups of layers.
    pub groups: Vec<Range<usize>>,
    /// The experts with the most weight, that with the largest effect first.
    pub experts: Vec<Effect>,
}

/// What one expert does for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Its number.
    pub expert: usize,
    /// Its share of the weights.
    pub share: f64,
    /// By how much the answer's log-probability falls when what it adds is taken out.
    pub effect: f64,
    /// The same in each group of layers alone.
    pub by_group: Vec<f64>,
    /// By how much it falls when something as long in a random direction takes its place.
    pub control: f64,
    /// What it scores on prompt and answer.
    pub scores: MeanScores,
}

impl Attribution {
    /// What routing gained over the base model: by how much the answer is likelier, in nats. Below 0 it lost.
    pub fn gain(&self) -> f64 {
        self.routed - self.base
    }

    /// By how much the answer's log-probability changes, on average, where something as long as what an expert adds
    /// points in a random direction: a gain that is no larger cannot be distinguished from chance.
    pub fn noise(&self) -> f64 {
        let changes = self.experts.iter().map(|one| (one.control - one.effect).abs());
        (changes.sum::<f64>() / self.experts.len().max(1) as f64).max(LEAST)
    }

    /// Σ effects / gain: the share of what routing gained (or, where the gain is below 0, lost) that the experts' effects
    /// add up to. Effects that overlap make it more than 1, and effects against the gain less than 0. `None` where the
    /// gain is below the noise, and too small to divide by.
    pub fn explained(&self) -> Option<f64> {
        let gain = self.gain();
        // From 0, for the sum of nothing is -0.
        let effects = || self.experts.iter().fold(0.0, |sum, one| sum + one.effect);
        (gain.abs() > self.noise()).then(|| effects() / gain)
    }

    /// What the experts explain, in a sentence; `percent` writes a share.
    pub fn conclusion(&self, percent: impl Fn(f64) -> String) -> String {
        let (gain, noise) = (self.gain(), self.noise());
        let what = if gain < 0.0 { "lost against" } else { "gained over" };
        match self.explained() {
            Some(share) => {
                format!("Together {} of what routing {what} the base model ({gain:+.2}).", percent(share))
            }
            None => format!(
                "Routing {what} the base model {}, which is too little to divide: random directions change {}.",
                fixed(gain.abs(), 2),
                fixed(noise, 2)
            ),
        }
    }
}

/// Whether an answer under a router can be owed to experts.
///
/// # Errors
/// A usage error for a router without experts.
pub fn check_attributed(config: &RouterConfig) -> Result<()> {
    match config.is_weighted() {
        true => Ok(()),
        false => Err(Error::usage("the base model alone has no experts to take out: choose another router")),
    }
}

/// Takes each of the `most` experts with the most weight out of the session's router, all at once and by group of
/// layers, and sees what becomes of `answer` (token ids).
///
/// # Errors
/// An empty prompt or answer; a router without experts; as [`Session::route_tokens`].
pub fn attribute(
    session: &mut Session,
    prompt: &Prompt,
    answer: &[u32],
    most: usize,
    cancel: &Cancel,
) -> Result<Attribution> {
    if prompt.ids.is_empty() {
        return Err(Error::usage("the prompt is empty"));
    }
    if answer.is_empty() {
        return Err(Error::usage(
            "the answer is empty, so that nothing is owed to anybody: give another one",
        ));
    }
    check_attributed(session.router())?;
    let whole = prompt.clone().answered(answer);
    let trace = session.route_tokens(&whole, cancel)?;
    let shares = trace.totals(|_| true);
    let mut order: Vec<usize> = (0..shares.len()).filter(|&e| shares[e] > 0.0).collect();
    order.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]).then(a.cmp(&b)));
    order.truncate(most);
    let groups = groups(&trace.modules);
    let scores = session.mean_scores(&whole, &order, cancel)?;
    let mut knockouts = vec![None];
    for &e in &order {
        let without = |layers: Range<usize>, control| Some(Knockout { expert: e as u32, layers, control });
        knockouts.push(without(0..usize::MAX, None));
        knockouts.push(without(0..usize::MAX, Some(SEED)));
        knockouts.extend(groups.iter().map(|layers| without(layers.clone(), None)));
    }
    let found = forced_without(session, (prompt, answer), &knockouts, cancel)?;
    let (none, alone) = session.resolve(&RouterConfig::base(), &mut |_| {}, cancel)?;
    let (prompts, answers) = (std::slice::from_ref(prompt), [answer.to_vec()]);
    let base = forced(session.model(), (&*none, &alone), prompts, &answers, cancel)?;
    let at = |index: usize| found.get(index).map_or(f64::NAN, |forced| forced.log_probability);
    let each = 2 + groups.len();
    let effect = |(rank, &expert): (usize, &usize)| {
        let first = 1 + rank * each;
        let fell = |index: usize| at(0) - at(index);
        Effect {
            expert,
            share: shares[expert],
            effect: fell(first),
            by_group: (0..groups.len()).map(|group| fell(first + 2 + group)).collect(),
            control: fell(first + 1),
            scores: scores.get(rank).copied().unwrap_or_default(),
        }
    };
    let mut effects: Vec<Effect> = order.iter().enumerate().map(effect).collect();
    effects.sort_by(|a, b| b.effect.total_cmp(&a.effect).then(a.expert.cmp(&b.expert)));
    let base = base.first().map_or(f64::NAN, |forced| forced.log_probability);
    Ok(Attribution { routed: at(0), base, groups, experts: effects })
}

/// The layers of `modules` in a few groups of neighbours.
fn groups(modules: &[String]) -> Vec<Range<usize>> {
    let layers =
        modules.iter().filter_map(|module| ModulePath::new(module).layer()).max().map_or(1, |last| last + 1);
    let size = layers.div_ceil(GROUPS.min(layers));
    (0..layers).step_by(size).map(|from| from..(from + size).min(layers)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(gain: f64, effects: &[(f64, f64)]) -> Attribution {
        let one = |&(effect, control): &(f64, f64)| Effect {
            expert: 0,
            share: 0.5,
            effect,
            by_group: Vec::new(),
            control,
            scores: MeanScores::default(),
        };
        let experts = effects.iter().map(one).collect();
        Attribution { routed: gain - 3.0, base: -3.0, groups: Vec::new(), experts }
    }

    #[test]
    fn what_is_explained_has_the_sign_and_scale_of_the_gain() {
        let explained = |gain, effects: &[(f64, f64)]| found(gain, effects).explained();
        let near = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-12;
        assert!(near(explained(2.0, &[(1.0, 1.1), (0.5, 0.3)]), 0.75));
        // Routing harmed, and so did the experts.
        assert!(near(explained(-2.0, &[(-1.0, -1.1), (-0.5, -0.3)]), 0.75));
        // The experts' effects go against the gain, or overlap.
        assert!(near(explained(2.0, &[(-1.0, -1.1)]), -0.5));
        assert!(near(explained(2.0, &[(2.0, 2.1), (3.0, 3.0)]), 2.5));
        // Smaller than what random directions do.
        let small = found(0.1, &[(0.6, 0.2), (0.1, 0.3)]);
        assert_eq!((small.explained(), (small.noise() - 0.3).abs() < 1e-12), (None, true));
        assert_eq!(explained(-0.1, &[(0.6, 0.2), (0.1, 0.3)]), None);
        assert_eq!(explained(0.0, &[(0.0, 0.0)]), None, "nothing to divide by");
        assert_eq!(explained(f64::NAN, &[(0.5, 0.5)]), None);
    }

    #[test]
    fn what_is_explained_is_said() {
        let said =
            |gain, effects: &[(f64, f64)]| found(gain, effects).conclusion(|share| format!("{share:.2}"));
        assert_eq!(
            said(2.0, &[(1.5, 1.5)]),
            "Together 0.75 of what routing gained over the base model (+2.00)."
        );
        assert_eq!(
            said(-2.0, &[(-1.5, -1.5)]),
            "Together 0.75 of what routing lost against the base model (-2.00)."
        );
        assert_eq!(
            said(-0.1, &[(1.0, 0.5)]),
            "Routing lost against the base model 0.10, which is too little to divide: random directions change 0.50."
        );
    }
}

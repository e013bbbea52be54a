//! Which experts an answer is owed to: how much less likely it is without each of them.

use std::ops::Range;

use super::forced::forced_without;
use crate::module_path::ModulePath;
use crate::routing::{Knockout, MeanScores, Prompt, RouterConfig, Session};
use crate::{Cancel, Error, Result};

/// Groups of layers, at most.
const GROUPS: usize = 4;
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
    /// Share of what routing gained over the base model that the experts' effects add up to; `None` where it gained
    /// nothing. Effects that overlap make it more than 1.
    pub fn explained(&self) -> Option<f64> {
        let gain = self.routed - self.base;
        (gain > 0.0).then(|| self.experts.iter().map(|e| e.effect).sum::<f64>() / gain)
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
    if prompt.ids.is_empty() || answer.is_empty() {
        return Err(Error::usage("there is no prompt, or no answer to it"));
    }
    let config = session.router().clone();
    if !config.is_weighted() {
        return Err(Error::usage("the base model alone has no experts to take out: choose another router"));
    }
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
    let (experts, router) = session.resolve(&config, &mut |_| {}, cancel)?;
    let found = forced_without(session.model(), (&*experts, &router), (prompt, answer), &knockouts, cancel)?;
    let (none, alone) = session.resolve(&RouterConfig::base(), &mut |_| {}, cancel)?;
    let base = forced_without(session.model(), (&*none, &alone), (prompt, answer), &[None], cancel)?;
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

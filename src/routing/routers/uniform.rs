//! Uniform: the mean of the experts.

use super::router::{Request, Resolved, Router, Rule, Scope, Weighing};
use super::setting::MIX;
use crate::Result;
use crate::routing::scores::Needs;
use crate::routing::speakers::Speakers;

pub(super) const ROUTER: Router = Router {
    id: "uniform",
    title: "uniform",
    help: "Mean of the experts' ΔW",
    caption: "every expert has the same weight everywhere",
    formula: "1 / N for each of N experts, Σ ΔW / N",
    source: "mean of a library, “μ” in Ostapenko et al., 2024",
    cost: "grows with the number of experts",
    fails: "one expert of many that knows the task is diluted",
    argument: None,
    settings: &[&MIX],
    scope: Scope::Everywhere,
    mutes: true,
    pins: false,
    cycles: true,
    needs_task: false,
    needs: Needs::Prototypes,
    resolve,
};

fn resolve(request: &Request) -> Result<Resolved> {
    Ok(Resolved { rule: Box::new(Uniform), mix: request.values.mix() })
}

/// The same weight for every expert that may speak.
#[derive(Debug)]
pub(super) struct Uniform;

impl Uniform {
    /// The mean divides by all experts, also where one lacks the module.
    fn share(speakers: &Speakers) -> f32 {
        1.0 / speakers.count().max(1) as f32
    }
}

impl Rule for Uniform {
    fn width(&self, speakers: &Speakers) -> usize {
        speakers.count()
    }

    fn constant(&self, speakers: &Speakers, _: &[f32]) -> Vec<(usize, f32)> {
        let share = Self::share(speakers);
        (0..speakers.active.len()).filter(|&e| speakers.active[e]).map(|e| (e, share)).collect()
    }

    fn weigh(&self, at: &Weighing, chosen: &mut [(u32, f32)]) -> Result<()> {
        let &Weighing { rows, speakers, width, .. } = at;
        let weight = Self::share(speakers);
        for row in chosen.chunks_mut(width.max(1)) {
            let speak = (0..speakers.active.len()).filter(|&e| speakers.active[e] && rows.has_module(e));
            for (slot, e) in row.iter_mut().zip(speak) {
                *slot = (e as u32, weight);
            }
        }
        Ok(())
    }
}

//! Single: one expert everywhere.

use super::router::{Argument, Request, Resolved, Router, Rule, Scope, Weighing};
use crate::routing::mix::Mix;
use crate::routing::scores::Needs;
use crate::routing::speakers::Speakers;
use crate::{Error, Result};

pub(super) const ROUTER: Router = Router {
    id: "single",
    title: "single",
    help: "One expert everywhere, by name",
    caption: "this expert everywhere",
    formula: "weight 1 for the named expert",
    source: "–",
    cost: "nothing",
    fails: "other tasks than its own",
    argument: Some(Argument {
        placeholder: "NAME",
        usage: "single:NAME",
        names_expert: true,
        check: |_| Ok(()),
    }),
    settings: &[],
    scope: Scope::Everywhere,
    mutes: false,
    pins: false,
    cycles: true,
    needs_task: false,
    needs: Needs::Prototypes,
    resolve,
};

fn resolve(request: &Request) -> Result<Resolved> {
    let name = request.argument;
    let expert = request.experts.index(name)?;
    if request.speakers.general[expert] {
        return Err(Error::usage(format!(
            "{name} is a general expert (--general): it gets no weight of its own"
        )));
    }
    Ok(Resolved { rule: Box::new(Single { expert }), mix: Mix::Outputs })
}

#[derive(Debug)]
struct Single {
    expert: usize,
}

impl Rule for Single {
    fn width(&self, _: &Speakers) -> usize {
        1
    }

    fn constant(&self, _: &Speakers, _: &[f32]) -> Vec<(usize, f32)> {
        vec![(self.expert, 1.0)]
    }

    fn weigh(&self, at: &Weighing, chosen: &mut [(u32, f32)]) -> Result<()> {
        let weight = if at.rows.has_module(self.expert) { 1.0 } else { 0.0 };
        chosen.fill((self.expert as u32, weight));
        Ok(())
    }
}

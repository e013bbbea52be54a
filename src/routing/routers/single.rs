//! Single: one expert everywhere.

use super::router::{Argument, Request, Resolved, Router, Rule, Scope, Speakers};
use crate::routing::mix::Mix;
use crate::routing::scores::ModuleRows;
use crate::{Error, Result};

pub(super) const ROUTER: Router = Router {
    id: "single",
    title: "single",
    help: "One expert everywhere, by name",
    caption: "this expert everywhere",
    argument: Some(Argument { placeholder: "NAME", usage: "single:NAME", names_expert: true }),
    settings: &[],
    scope: Scope::Everywhere,
    mutes: false,
    pins: false,
    cycles: true,
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

    fn constant(&self, _: &Speakers) -> Vec<(usize, f32)> {
        vec![(self.expert, 1.0)]
    }

    fn weigh(&self, rows: &ModuleRows, _: &Speakers, _: usize, chosen: &mut [(u32, f32)]) -> Result<()> {
        let weight = if rows.has_module(self.expert) { 1.0 } else { 0.0 };
        chosen.fill((self.expert as u32, weight));
        Ok(())
    }
}

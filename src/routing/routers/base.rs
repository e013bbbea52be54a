//! Base: the model alone.

use super::router::{Request, Resolved, Router, Rule, Scope, Weighing};
use crate::Result;
use crate::routing::mix::Mix;
use crate::routing::scores::Needs;
use crate::routing::speakers::Speakers;

pub(super) const ROUTER: Router = Router {
    id: "base",
    title: "base",
    help: "The base model alone",
    caption: "the model alone, no experts",
    formula: "no expert has weight",
    source: "–",
    cost: "nothing",
    fails: "it knows no task",
    argument: None,
    settings: &[],
    scope: Scope::Nothing,
    mutes: false,
    pins: false,
    cycles: true,
    needs_task: false,
    needs: Needs::Prototypes,
    resolve,
};

fn resolve(_: &Request) -> Result<Resolved> {
    Ok(Resolved { rule: Box::new(Base), mix: Mix::Outputs })
}

#[derive(Debug)]
struct Base;

impl Rule for Base {
    fn width(&self, _: &Speakers) -> usize {
        0
    }

    fn weigh(&self, _: &Weighing, _: &mut [(u32, f32)]) -> Result<()> {
        Ok(())
    }
}

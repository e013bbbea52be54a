//! Base: the model alone.

use super::router::{Request, Resolved, Router, Rule, Scope, Speakers};
use crate::Result;
use crate::routing::mix::Mix;
use crate::routing::scores::ModuleRows;

pub(super) const ROUTER: Router = Router {
    id: "base",
    title: "base",
    help: "The base model alone",
    caption: "the model alone, no experts",
    argument: None,
    settings: &[],
    scope: Scope::Nothing,
    mutes: false,
    pins: false,
    cycles: true,
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

    fn weigh(&self, _: &ModuleRows, _: &Speakers, _: usize, _: &mut [(u32, f32)]) -> Result<()> {
        Ok(())
    }
}

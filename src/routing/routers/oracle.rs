//! Oracle: the task's own expert, where a task is known.

use super::router::{Router, Scope};
use crate::Error;
use crate::routing::scores::Needs;

pub(super) const ROUTER: Router = Router {
    id: "oracle",
    title: "oracle",
    help: "The expert that was trained on the task; in `eval` only, where a task is known",
    caption: "the task's own expert",
    formula: "weight 1 for the expert whose task it is",
    source: "control",
    cost: "nothing",
    fails: "tasks that no expert was trained on",
    argument: None,
    settings: &[],
    scope: Scope::Everywhere,
    mutes: false,
    pins: false,
    cycles: false,
    needs_task: true,
    needs: Needs::Prototypes,
    // `RouterConfig::check` says more; an evaluation puts the task's expert in its place.
    resolve: |_| Err(Error::usage("oracle needs to know the task of a prompt")),
};

//! Uniform over factors: the mean A and the mean B.

use super::router::{Request, Resolved, Router, Scope};
use super::uniform::Uniform;
use crate::Result;
use crate::routing::mix::Mix;
use crate::routing::scores::Needs;

pub(super) const ROUTER: Router = Router {
    id: "uniform-factors",
    title: "uniform factors",
    help: "Mean of the experts' A times the mean of their B; needs equal ranks and scales",
    caption: "every expert has the same weight everywhere",
    formula: "(Σ B / N)(Σ A / N), times the common scale",
    source: "mttl's uniform merge",
    cost: "grows with the number of experts",
    fails: "products of different experts' A and B are noise, unless they started from one A",
    argument: None,
    settings: &[],
    scope: Scope::Everywhere,
    mutes: true,
    pins: false,
    cycles: true,
    needs_task: false,
    needs: Needs::Prototypes,
    resolve,
};

fn resolve(_: &Request) -> Result<Resolved> {
    Ok(Resolved { rule: Box::new(Uniform), mix: Mix::Factors })
}

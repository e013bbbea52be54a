//! A router: all experts, by the weights that it gives them over the prompts of the examples.

use super::{Mixture, Start};
use crate::routing::RouterConfig;

pub(super) static START: Start = Start {
    id: "router",
    help: "All experts, each by the mean of its weights at a module over the tokens of the examples' prompts",
    uses_experts: true,
    learns_weights: false,
    is_router: true,
    weigh: |bench, text, shots| {
        let mut config: RouterConfig = text.parse()?;
        config.fill_from(&bench.catalog.manifest);
        Ok(Some(Mixture { weights: bench.routed(config, shots)? }))
    },
};

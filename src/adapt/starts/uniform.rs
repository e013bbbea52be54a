//! Uniform: the mean of all experts.

use super::{Mixture, Start};

pub(super) static START: Start = Start {
    id: "uniform",
    help: "The mean of all experts",
    uses_experts: true,
    learns_weights: false,
    is_router: false,
    weigh: |bench, _, _| {
        let experts = bench.names.len();
        Ok(Some(Mixture::everywhere(&vec![1.0 / experts as f64; experts], bench.merging.modules().len())))
    },
};

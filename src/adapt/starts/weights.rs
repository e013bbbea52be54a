//! Weights: the experts as they are, and how much each of them counts is learned.

use super::{Start, uniform};

pub(super) static START: Start = Start {
    id: "weights",
    help: "The mean of all experts, which stay as they are: w = softmax(θ) with θ = 0 at each module",
    uses_experts: true,
    learns_weights: true,
    is_router: false,
    weigh: uniform::START.weigh,
};

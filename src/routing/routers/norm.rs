//! Norm: per token and module, the experts with the highest ‖ΔW x‖.

use super::router::{Router, Scope};
use super::setting::{CALIBRATED, MIX, PRIOR, TEMPERATURE, TOP_K};
use super::token;
use crate::routing::scores::Score;

pub(super) const ROUTER: Router = Router {
    id: "norm",
    title: "norm",
    help: "Per token and module, softmax over the top k of ‖ΔW x‖",
    caption: "",
    formula: "score = ‖S Vᵀx‖₂ = ‖s·B·A·x‖₂; softmax(score / temperature) over the k best",
    source: "SEQR (2509.18093)",
    cost: "as `subspace`: ΔW x itself is never formed",
    fails: "experts that were trained longer, or with a larger scale, win everywhere, unless `calibrated`",
    argument: None,
    settings: &[&TOP_K, &TEMPERATURE, &CALIBRATED, &PRIOR, &MIX],
    scope: Scope::Token,
    mutes: true,
    pins: true,
    cycles: true,
    needs_data: false,
    resolve: |request| token::resolve(request, Score::norm()),
};

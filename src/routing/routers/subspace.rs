//! Subspace: per token and module, the experts with the highest ‖Vᵀx‖.

use super::router::{Router, Scope};
use super::setting::{CALIBRATED, MIX, PRIOR, TEMPERATURE, TOP_K};
use super::token;
use crate::routing::scores::Score;

pub(super) const ROUTER: Router = Router {
    id: "subspace",
    title: "subspace",
    help: "Per token and module, softmax over the top k of ‖Vᵀx‖",
    caption: "",
    formula: "score = ‖Vᵀx‖₂, V all right singular vectors of ΔW; softmax(score / temperature) over the k best",
    source: "SpectR's letter (2504.03454)",
    cost: "one product of x with all right singular vectors: the rank times Arrow's",
    fails: "an expert of higher rank has more directions, and wins more often, unless `calibrated`",
    argument: None,
    settings: &[&TOP_K, &TEMPERATURE, &CALIBRATED, &PRIOR, &MIX],
    scope: Scope::Token,
    mutes: true,
    pins: true,
    cycles: true,
    needs_data: false,
    resolve: |request| token::resolve(request, Score::subspace()),
};

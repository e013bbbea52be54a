//! Subspace: per token and module, the experts with the most of the input in the subspace that they read.

use super::router::{Router, Words};
use super::token;
use crate::routing::scores::Score;

pub(super) const ROUTER: Router = Router::per_token(
    Words {
        id: "subspace",
        title: "subspace",
        help: "Per token and module, softmax over the top k of ‖Vᵀx‖",
        formula: "score = ‖Vᵀx‖₂, V all right singular vectors of ΔW; softmax(score / temperature) over the k best",
        source: "SpectR's letter (2504.03454)",
        cost: "one product of x with all right singular vectors: the rank times Arrow's",
        fails: "an expert of higher rank has more directions, and wins more often, unless `calibrated`",
    },
    token::SETTINGS,
    |request| token::resolve(request, Score::subspace()),
);

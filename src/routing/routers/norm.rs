//! Norm: per token and module, the experts with the highest ‖ΔW x‖.

use super::router::{Router, Words};
use super::token;
use crate::routing::scores::Score;

pub(super) const ROUTER: Router = Router::per_token(
    Words {
        id: "norm",
        title: "norm",
        help: "Per token and module, softmax over the top k of ‖ΔW x‖",
        formula: "score = ‖S Vᵀx‖₂ = ‖s·B·A·x‖₂; softmax(score / temperature) over the k best",
        source: "SEQR (2509.18093)",
        cost: "as `subspace`: ΔW x itself is never formed",
        fails: "experts that were trained longer, or with a larger scale, win everywhere, unless `calibrated`",
    },
    token::SETTINGS,
    |request| token::resolve(request, Score::norm()),
);

//! Centroid: per token and module, the experts whose own prompts look most like the input.

use super::router::{Router, Words};
use super::token;
use crate::routing::scores::{Needs, Score};

pub(super) const ROUTER: Router = Router::per_token(
    Words {
        id: "centroid",
        title: "centroid",
        help: "Per token and module, softmax over the top k of the cosine of x with the mean input of the expert's prompts",
        formula: "score = cosine of x with the mean module input over the expert's own prompts; softmax(score / \
                  temperature) over the k best",
        source: "mttl's `avg_act`",
        cost: "one product of x with the centroids; before that, one pass over the experts' own prompts",
        fails: "cosines of a language model's states hardly differ: without a low temperature, or `calibrated`, it is \
                close to uniform",
    },
    token::SETTINGS,
    |request| token::resolve(request, Score::centroid()),
)
.needing(Needs::OwnData);

//! PHATGOOSE: per token and module, the experts whose trained gates open most for the input.

use super::router::{Router, Words};
use super::token;
use crate::routing::scores::{Needs, Score};

pub(super) const ROUTER: Router = Router::per_token(
    Words {
        id: "phatgoose",
        title: "PHATGOOSE",
        help: "Per token and module, softmax over the top k of the products of x with the experts' trained gates",
        formula: "score = LN(x)·LN(g) / √in, LN without weights (ε = 1e-5); softmax(score / temperature) over the k best. \
                  g is a gate that was trained with the expert frozen: y = W x + σ(g·x)·ΔW x, 100 steps of AdamW on the \
                  expert's own examples, from g = 0, at most 1e-3, warm-up 0.1",
        source: "PHATGOOSE (2402.05859); mttl",
        cost: "one product of x with the gates; before that, 100 training steps per expert",
        fails: "gates learn where their expert helps its own text, not what is special about it; embedding and head \
                have none, and DoRA and biases of B cannot be gated",
    },
    token::SETTINGS,
    |request| token::resolve(request, Score::phatgoose()),
)
.needing(Needs::Gates);

//! Arrow: per token and module, the experts whose prototype the input is most along (Ostapenko et al., 2024).

use super::router::{Router, Words};
use super::setting::{CALIBRATED, MIX, PRIOR, RouterSetting, SHARPNESS, TEMPERATURE, TIED, TOP_K};
use super::token;
use crate::routing::scores::Score;

const SETTINGS: &[&RouterSetting] = &[&TOP_K, &TEMPERATURE, &CALIBRATED, &PRIOR, &SHARPNESS, &MIX, &TIED];

pub(super) const ROUTER: Router = Router::per_token(
    Words {
        id: "arrow",
        title: "Arrow",
        help: "Per token and module, softmax over the top k of |x · prototype|",
        formula: "score = |v₁·x|, v₁ the top right singular vector of ΔW; softmax(score / temperature) over the k best",
        source: "Ostapenko et al., ICML 2024",
        cost: "one product of x with the prototypes",
        fails: "raw scores compare experts that differ in how much any text excites them: `calibrated` mends that; a \
                prototype of a flat spectrum says little",
    },
    SETTINGS,
    |request| token::resolve(request, Score::arrow()),
);

//! Predictor: once per sequence, the experts that a regression predicts.

use super::mean_state::{self, Judge};
use super::router::{Router, Words};
use super::setting::{CALIBRATED, Domain, Effect, MIX, RouterSetting};
use crate::model::Ops;
use crate::routing::own_data::OwnData;
use crate::routing::scores::Needs;
use crate::{Error, Result};

/// Experts kept per sequence.
static LIKELIEST: RouterSetting = RouterSetting {
    name: "likeliest",
    title: "number of experts",
    symbol: "top",
    help: "Experts that are predicted, 0 = all",
    domain: Domain::Count { default: 1 },
    shorthand: None,
    effect: Effect::Always,
};

/// What a softmax makes probabilities of.
const JUDGE: Judge = Judge { name: "logit of the regression", of: regression, temperature: 1.0 };

const SETTINGS: &[&RouterSetting] = &[&LIKELIEST, &CALIBRATED, &MIX];

pub(super) const ROUTER: Router = Router::per_sequence(
    Words {
        id: "predictor",
        title: "predictor",
        help: "Once per sequence, the experts that a logistic regression of the prompt's mean state predicts",
        formula: "softmax(l), l from a logistic regression of the prompt's mean state in the middle of the network, fitted \
                  on the experts' own prompts; the likeliest keep their shares; `calibrated`, softmax(z / 0.5), z the \
                  deviation of l from that expert's mean over the calibration prompts, in their deviations",
        source: "mttl's task predictor",
        cost: "one more pass of the prompt, without experts",
        fails: "sure of itself on prompts of no expert's task",
    },
    SETTINGS,
    |request| mean_state::resolve(request, &LIKELIEST, JUDGE),
)
.needing(Needs::Regression);

fn regression(own: &OwnData, _: &dyn Ops, state: &[f32]) -> Result<Vec<f32>> {
    if own.regression.is_empty() {
        return Err(Error::msg("no regression was fitted"));
    }
    let weigh = |row: &[f32]| {
        let (weights, bias) = row.split_at(state.len());
        let sum: f64 = weights.iter().zip(state).map(|(w, s)| f64::from(*w) * f64::from(*s)).sum();
        (sum + bias.iter().map(|b| f64::from(*b)).sum::<f64>()) as f32
    };
    Ok(own.regression.chunks(state.len() + 1).map(weigh).collect())
}

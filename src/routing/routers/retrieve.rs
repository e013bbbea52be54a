//! Retrieve: once per sequence, the experts whose own prompts are nearest.

use std::sync::Arc;

use super::mean_state::{self, Judge, StateWeigher};
use super::router::{Router, Words};
use super::setting::{CALIBRATED, Domain, Effect, MIX, RouterSetting};
use crate::Result;
use crate::model::{Activations, Ops};
use crate::routing::ballot::Selection;
use crate::routing::own_data::OwnData;
use crate::routing::scores::Needs;

/// Experts kept per sequence.
static NEAREST: RouterSetting = RouterSetting {
    name: "nearest",
    title: "number of experts",
    symbol: "top",
    help: "Experts that are retrieved, 0 = all",
    domain: Domain::Count { default: 3 },
    shorthand: None,
    effect: Effect::Always,
};

/// Cosines, which are divided by 0.2 before the softmax.
pub(super) const JUDGE: Judge = Judge { name: "cosine with the own prompts", of: cosines, temperature: 0.2 };

const SETTINGS: &[&RouterSetting] = &[&NEAREST, &CALIBRATED, &MIX];

pub(super) const ROUTER: Router = Router::per_sequence(
    Words {
        id: "retrieve",
        title: "retrieve",
        help: "Once per sequence, the experts whose own prompts' mean state is nearest",
        formula: "c = cosine of the prompt's mean state in the middle of the network with each expert's mean over its own \
                  prompts; softmax(c / 0.2) over the nearest; `calibrated`, softmax(z / 0.5), z the deviation of c from \
                  that expert's mean over the calibration prompts, in their deviations",
        source: "LoraRetriever, LoRAuter (2601.21795), ARIADNE (2606.19079), with the base model's own states",
        cost: "one more pass of the prompt, without experts, and one product of its state with those of the experts",
        fails: "tasks that differ in what is to be done with the same text look alike",
    },
    SETTINGS,
    |request| mean_state::resolve(request, &NEAREST, JUDGE),
)
.needing(Needs::OwnData);

fn cosines(own: &OwnData, ops: &dyn Ops, state: &[f32]) -> Result<Vec<f32>> {
    let length = state.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    let unit = state.iter().map(|s| (f64::from(*s) / length) as f32).collect();
    ops.scores(&Activations::new((1, state.len()), unit), &own.states)
}

impl StateWeigher {
    /// Retrieval of the `nearest` experts among those with these mean states [experts, hidden], as `retrieve` does it.
    pub fn retrieval(states: Vec<f32>, hidden: usize, nearest: usize, ops: Arc<dyn Ops>) -> Self {
        let active = vec![true; states.len() / hidden.max(1)];
        let own = Arc::new(OwnData { states: states.into(), ..OwnData::default() });
        let selection = Selection { top: nearest, pinned: Vec::new() };
        Self { own, judge: JUDGE, usual: None, active, selection, ops }
    }
}

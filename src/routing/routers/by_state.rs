//! Routers that know experts by the state of their prompts in the middle of the network, once per sequence.

use std::sync::Arc;

use super::router::{Request, Resolved, Router, Scope};
use super::sequence::Sequence;
use super::setting::{Domain, MIX, RouterSetting};
use crate::Result;
use crate::routing::ballot::Selection;
use crate::routing::own_data::{OwnData, middle};
use crate::routing::survey::{Reach, Seen, Survey, Surveyed};

/// Experts kept per sequence by retrieval.
static NEAREST: RouterSetting = RouterSetting {
    name: "nearest",
    title: "number of experts",
    symbol: "top",
    help: "Experts that are retrieved, 0 = all",
    domain: Domain::Count { default: 3 },
    shorthand: None,
};

/// Experts kept per sequence by prediction.
static LIKELIEST: RouterSetting = RouterSetting {
    name: "likeliest",
    title: "number of experts",
    symbol: "top",
    help: "Experts that are predicted, 0 = all",
    domain: Domain::Count { default: 1 },
    shorthand: None,
};

/// Divides cosines before the softmax.
const TEMPERATURE: f64 = 0.2;

pub(super) const RETRIEVE: Router = Router {
    id: "retrieve",
    title: "retrieve",
    help: "Once per sequence, the experts whose own prompts' mean state is nearest",
    caption: "",
    formula: "cosine of the prompt's mean state in the middle of the network with each expert's mean over its own \
              prompts; softmax(cosine / 0.2) over the nearest",
    source: "LoraRetriever, LoRAuter (2601.21795), ARIADNE (2606.19079), with the base model's own states",
    cost: "one more pass of the prompt, without experts, and one product of its state with those of the experts",
    fails: "tasks that differ in what is to be done with the same text look alike",
    argument: None,
    settings: &[&NEAREST, &MIX],
    scope: Scope::Sequence,
    mutes: true,
    pins: true,
    cycles: false,
    needs_data: true,
    resolve: |request| resolve(request, &NEAREST, cosines),
};

pub(super) const PREDICTOR: Router = Router {
    id: "predictor",
    title: "predictor",
    help: "Once per sequence, the experts that a logistic regression of the prompt's mean state predicts",
    caption: "",
    formula: "softmax of a logistic regression from the prompt's mean state in the middle of the network to the expert, \
              fitted on the experts' own prompts; the likeliest keep their shares",
    source: "mttl's task predictor",
    cost: "one more pass of the prompt, without experts",
    fails: "sure of itself on prompts of no expert's task",
    argument: None,
    settings: &[&LIKELIEST, &MIX],
    scope: Scope::Sequence,
    mutes: true,
    pins: true,
    cycles: false,
    needs_data: true,
    resolve: |request| resolve(request, &LIKELIEST, regression),
};

/// log of the unnormalised share of every expert, from a prompt's mean state.
type Judge = fn(&OwnData, &[f64]) -> Vec<f64>;

fn cosines(own: &OwnData, state: &[f64]) -> Vec<f64> {
    let length = state.iter().map(|s| s * s).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    let dot = |row: &[f32]| row.iter().zip(state).map(|(r, s)| f64::from(*r) * s).sum::<f64>();
    own.states.chunks(state.len().max(1)).map(|row| dot(row) / length / TEMPERATURE).collect()
}

fn regression(own: &OwnData, state: &[f64]) -> Vec<f64> {
    let weigh = |row: &[f32]| {
        let (weights, bias) = row.split_at(state.len());
        let sum: f64 = weights.iter().zip(state).map(|(w, s)| f64::from(*w) * s).sum();
        sum + bias.iter().map(|b| f64::from(*b)).sum::<f64>()
    };
    own.regression.chunks(state.len() + 1).map(weigh).collect()
}

fn resolve(request: &Request, top: &RouterSetting, judge: Judge) -> Result<Resolved> {
    let (values, speakers) = (request.values, request.speakers);
    let selection = Selection { top: values.count(top), sharpness: 1.0, pinned: speakers.pinned.clone() };
    let width = selection.width(speakers.count());
    let spec = &request.decoder.spec;
    let survey = MeanState {
        own: request.own()?,
        judge,
        middle: middle(spec.layers, request.decoder.slots),
        hidden: spec.hidden,
        active: speakers.active.clone(),
        selection,
    };
    Ok(Resolved { rule: Box::new(Sequence { survey, width }), mix: values.mix() })
}

/// Keeps the states of tokens in the middle of the network.
#[derive(Debug)]
struct MeanState {
    own: Arc<OwnData>,
    judge: Judge,
    middle: usize,
    hidden: usize,
    active: Vec<bool>,
    selection: Selection,
}

impl Survey for MeanState {
    fn reach(&self) -> Reach {
        Reach::Counted
    }

    fn width(&self) -> usize {
        self.hidden
    }

    fn see(&self, seen: &Seen, kept: &mut [f32]) -> Result<()> {
        if let (Some(linear), Some(x)) = (seen.linear, seen.x)
            && linear == self.middle
        {
            kept.copy_from_slice(&x.values()?);
        }
        Ok(())
    }

    fn conclude(&self, sequence: &Surveyed) -> Result<Vec<f32>> {
        let mut state = vec![0f64; self.hidden];
        let mut count = 0usize;
        for row in sequence.counted(self.hidden.max(1)) {
            state.iter_mut().zip(row).for_each(|(sum, s)| *sum += f64::from(*s));
            count += 1;
        }
        state.iter_mut().for_each(|sum| *sum /= count.max(1) as f64);
        let logs = (self.judge)(&self.own, &state);
        let most = logs.iter().zip(&self.active).filter(|(_, a)| **a).map(|(l, _)| *l);
        let most = most.fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        Ok(self.selection.weights(&shares, &self.active))
    }
}

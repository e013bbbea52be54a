//! What routers that know experts by the state of their prompts in the middle of the network have in common.

use std::sync::Arc;

use super::router::{Request, Resolved};
use super::sequence;
use super::setting::{CALIBRATED, RouterSetting};
use crate::model::Ops;
use crate::routing::ballot::{Selection, TEMPERATURE};
use crate::routing::calibration::Usual;
use crate::routing::own_data::{OwnData, middle};
use crate::routing::survey::{Reach, Reasons, Seen, Survey, Surveyed};
use crate::{Error, Result};

/// What every expert has to say of a prompt's mean state [hidden]: a number for each. The number that divides them before
/// the softmax, where they are not calibrated, stands beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    /// What the numbers are, for people.
    pub name: &'static str,
    /// Gives them.
    pub of: fn(&OwnData, &dyn Ops, &[f32]) -> Result<Vec<f32>>,
    /// Divides them.
    pub temperature: f32,
}

/// The rule of a router that judges a prompt's mean state and keeps as many experts as `top` says.
pub(super) fn resolve(request: &Request, top: &RouterSetting, judge: Judge) -> Result<Resolved> {
    let (own, decoder) = (request.known.own()?, request.decoder);
    let selection = sequence::selection(request, top);
    let width = selection.width(request.speakers.count());
    let ops = Arc::clone(decoder.ops());
    let usual = match request.values.flag(&CALIBRATED) {
        false => None,
        true => {
            let states = request.calibration()?.states(decoder.spec.hidden);
            let states = states.map(|state| (judge.of)(&own, &*ops, state));
            let judged: Vec<Vec<f32>> = states.collect::<Result<_>>()?;
            if judged.len() < 2 {
                return Err(Error::usage("a calibration of whole prompts needs two of them at least"));
            }
            Some(Usual::of(judged.iter().map(Vec::as_slice))?)
        }
    };
    let active = request.speakers.active.clone();
    let survey = MeanState {
        middle: middle(decoder.spec.layers, decoder.slots),
        hidden: decoder.spec.hidden,
        weigher: StateWeigher { own, judge, usual, active, selection, ops },
    };
    Ok(sequence::resolved(survey, width, request.values.mix()))
}

/// Weighs experts by a prompt's mean state.
#[derive(Debug)]
pub struct StateWeigher {
    pub(super) own: Arc<OwnData>,
    pub(super) judge: Judge,
    /// What judgements of calibration prompts are, where these count.
    pub(super) usual: Option<Usual>,
    pub(super) active: Vec<bool>,
    pub(super) selection: Selection,
    pub(super) ops: Arc<dyn Ops>,
}

impl StateWeigher {
    /// The experts' weights, which sum to 1, for a mean state of length hidden.
    ///
    /// # Errors
    /// Those of the device.
    pub fn weights(&self, state: &[f32]) -> Result<Vec<f32>> {
        let mut temperature = self.judge.temperature;
        let mut judged = (self.judge.of)(&self.own, &*self.ops, state)?;
        if let Some(usual) = &self.usual {
            usual.apply(&mut judged);
            temperature = TEMPERATURE;
        }
        let judged: Vec<f64> = judged.into_iter().map(f64::from).collect();
        Ok(self.selection.softmax(&judged, &self.active, f64::from(temperature)))
    }
}

/// Keeps the states of tokens in the middle of the network.
#[derive(Debug)]
struct MeanState {
    weigher: StateWeigher,
    middle: usize,
    hidden: usize,
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

    fn reasons(&self, sequence: &Surveyed) -> Result<Reasons> {
        let StateWeigher { own, judge, usual, ops, .. } = &self.weigher;
        let mut judged = (judge.of)(own, &**ops, &self.mean(sequence))?;
        let wide = |judged: &[f32]| judged.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        let values = wide(&judged);
        let calibrated = usual.as_ref().map(|usual| {
            usual.apply(&mut judged);
            wide(&judged)
        });
        let words = "looked at the mean state of the prompt in the middle of the network".to_string();
        Ok(Reasons { words, value: judge.name, values, calibrated, ..Reasons::default() })
    }

    fn conclude(&self, sequence: &Surveyed) -> Result<Vec<f32>> {
        self.weigher.weights(&self.mean(sequence))
    }
}

impl MeanState {
    /// The mean of the states that count [hidden].
    fn mean(&self, sequence: &Surveyed) -> Vec<f32> {
        let mut state = vec![0f64; self.hidden];
        let mut count = 0usize;
        for row in sequence.counted(self.hidden.max(1)) {
            state.iter_mut().zip(row).for_each(|(sum, s)| *sum += f64::from(*s));
            count += 1;
        }
        state.iter().map(|sum| (sum / count.max(1) as f64) as f32).collect()
    }
}

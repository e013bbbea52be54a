//! One pass over the experts' own prompts through the base model alone.

use super::fit::fit;
use super::table::{OwnData, middle, unit};
use crate::model::{Activations, Decoder, DeviceConst, ForwardPass, LinearHook};
use crate::routing::experts::ExpertSet;
use crate::routing::prompt::Prompt;
use crate::routing::survey::counts;
use crate::{Cancel, Result};

/// Of a longer prompt the first so many tokens are used.
const LONGEST: usize = 256;

/// Sums of what layers read at the tokens of one prompt that count.
struct Sums<'a> {
    experts: &'a ExpertSet,
    middle: usize,
    counted: Vec<bool>,
    /// By module [in].
    modules: Vec<Vec<f64>>,
    /// [hidden].
    state: Vec<f64>,
}

impl Sums<'_> {
    fn add(into: &mut Vec<f64>, x: &Activations, counted: &[bool]) -> Result<()> {
        into.resize(x.width(), 0.0);
        let values = x.values()?;
        for (row, _) in values.chunks(x.width().max(1)).zip(counted).filter(|(_, counted)| **counted) {
            into.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        Ok(())
    }

    fn linear(&mut self, linear: usize, x: &Activations) -> Result<()> {
        if linear == self.middle {
            self.state.clear();
            Self::add(&mut self.state, x, &self.counted)?;
        }
        match self.experts.linears.get(linear).and_then(Option::as_ref) {
            Some(module) => Self::add(&mut self.modules[module.position], x, &self.counted),
            None => Ok(()),
        }
    }

    fn head(&self) -> usize {
        self.experts.linears.len().saturating_sub(1)
    }
}

impl LinearHook for Sums<'_> {
    fn apply(&mut self, linear: usize, x: &Activations, _y: &mut Activations) -> Result<()> {
        if linear == self.head() { Ok(()) } else { self.linear(linear, x) }
    }

    fn embed(&mut self, tokens: &[u32], _x: &mut Activations) -> Result<()> {
        if let Some(module) = &self.experts.embedding {
            let sums = &mut self.modules[module.position];
            sums.resize(module.in_features, 0.0);
            for (token, _) in tokens.iter().zip(&self.counted).filter(|(_, counted)| **counted) {
                sums[*token as usize] += 1.0;
            }
        }
        Ok(())
    }

    fn hidden(&mut self, hidden: &Activations) -> Result<()> {
        self.linear(self.head(), hidden)
    }
}

/// What the base model makes of the `prompts` of every expert, none of whom is without. `progress` hears how many of
/// how many experts are done.
///
/// # Errors
/// As [`Decoder::forward`].
pub(in crate::routing) fn collect(
    (experts, decoder): (&ExpertSet, &Decoder),
    prompts: &[Vec<Prompt>],
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<OwnData> {
    let modules = experts.modules.len();
    let mut centroids: Vec<Vec<f32>> = vec![Vec::new(); modules];
    let (mut all, mut labels, mut states) = (Vec::new(), Vec::new(), Vec::new());
    for (e, prompts) in prompts.iter().enumerate() {
        progress(e, experts.len());
        let mut sums = Sums {
            experts,
            middle: middle(decoder.spec.layers, decoder.slots),
            counted: Vec::new(),
            modules: vec![Vec::new(); modules],
            state: Vec::new(),
        };
        let mut mean = vec![0f64; decoder.spec.hidden];
        for prompt in prompts {
            let length = prompt.ids.len().min(LONGEST).min(decoder.spec.context);
            let any = (0..length).any(|t| counts(&prompt.parts, t));
            sums.counted = (0..length).map(|t| !any || counts(&prompt.parts, t)).collect();
            decoder.forward(&prompt.ids[..length], &[length], ForwardPass::new(&mut sums, cancel))?;
            let count = sums.counted.iter().filter(|counted| **counted).count().max(1) as f64;
            let state: Vec<f64> = sums.state.iter().map(|sum| sum / count).collect();
            mean.iter_mut().zip(&state).for_each(|(mean, s)| *mean += s);
            all.extend(state);
            labels.push(e);
        }
        for (centroids, sums) in centroids.iter_mut().zip(&sums.modules) {
            centroids.extend(unit(sums));
        }
        states.extend(unit(&mean));
    }
    progress(experts.len(), experts.len());
    let regression = fit(&all, decoder.spec.hidden, &labels, experts.len());
    let centroids = centroids.into_iter().map(DeviceConst::from).collect();
    Ok(OwnData { centroids, states: states.into(), regression, prompts: labels.len(), key: String::new() })
}

//! One pass over an expert's own prompts through the base model alone.

use super::look::OwnLook;
use super::table::{middle, unit};
use crate::model::{Activations, Decoder, ForwardPass, LinearHook};
use crate::routing::experts::{ExpertSet, StackedModule};
use crate::routing::prompt::Prompt;
use crate::routing::survey::counts;
use crate::{Cancel, Result};

/// Of a longer prompt the first so many tokens are used.
const LONGEST: usize = 256;

/// Sums of what layers read at the tokens that count: by module of all prompts, in the middle of the network of one.
struct Sums<'a> {
    experts: &'a ExpertSet,
    /// At its modules.
    expert: usize,
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
        let module = self.experts.linears.get(linear).and_then(Option::as_ref);
        match module.filter(|module| module.has(self.expert)) {
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
        if let Some(module) = self.experts.embedding.as_ref().filter(|module| module.has(self.expert)) {
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

/// What the base model makes of the own prompts of an expert, by its number.
///
/// # Errors
/// As [`Decoder::forward`].
pub(in crate::routing) fn look_at(
    (experts, expert): (&ExpertSet, usize),
    decoder: &Decoder,
    prompts: &[Prompt],
    cancel: &Cancel,
) -> Result<OwnLook> {
    let mut sums = Sums {
        experts,
        expert,
        middle: middle(decoder.spec.layers, decoder.slots),
        counted: Vec::new(),
        modules: vec![Vec::new(); experts.modules.len()],
        state: Vec::new(),
    };
    let mut states = Vec::with_capacity(prompts.len() * decoder.spec.hidden);
    for prompt in prompts {
        let length = prompt.ids.len().min(LONGEST).min(decoder.spec.context);
        let any = (0..length).any(|t| counts(&prompt.parts, t));
        sums.counted = (0..length).map(|t| !any || counts(&prompt.parts, t)).collect();
        decoder.forward(&prompt.ids[..length], &[length], ForwardPass::new(&mut sums, cancel))?;
        let count = sums.counted.iter().filter(|counted| **counted).count().max(1) as f64;
        states.extend(sums.state.iter().map(|sum| sum / count));
    }
    // Without prompts, there is no direction.
    let direction = |module: &StackedModule| -> Vec<f32> {
        let sums = &mut sums.modules[module.position];
        sums.resize(module.in_features, 0.0);
        unit(sums).collect()
    };
    Ok(OwnLook { centroids: experts.modules_of(expert).map(direction).collect(), states })
}

//! One pass over the calibration prompts through the base model alone.

use super::statistics::{Calibration, Stream, streams};
use crate::model::{Activations, Decoder, ForwardPass, LinearHook, Ops};
use crate::routing::experts::ExpertSet;
use crate::routing::prompt::Prompt;
use crate::routing::rows::ModuleRows;
use crate::routing::scores::SCORES;
use crate::routing::survey::counts;
use crate::{Cancel, Error, Result};

/// Tokens that run together, about.
const BATCH: usize = 256;
/// Of a longer prompt the first so many are used.
const LONGEST: usize = 512;

/// Feeds the scores of counted rows to the statistics.
struct Collector<'a, 'p> {
    experts: &'a ExpertSet,
    ops: &'a dyn Ops,
    /// By row of the pass.
    counted: Vec<bool>,
    /// By score and module.
    streams: &'p mut [Vec<Stream>],
}

/// A calibration that is not finished. One that was cancelled goes on from it.
#[derive(Debug)]
pub(in crate::routing) struct Partial {
    /// By score and module.
    streams: Vec<Vec<Stream>>,
    /// Prompts that are in them.
    done: usize,
    /// Tokens that were counted.
    tokens: usize,
}

impl Partial {
    /// Nothing of so many modules.
    pub fn new(modules: usize) -> Self {
        Self { streams: streams(modules), done: 0, tokens: 0 }
    }
}

impl Collector<'_, '_> {
    fn take(&mut self, rows: &ModuleRows) -> Result<()> {
        let (experts, position) = (rows.experts(), rows.position());
        for (score, streams) in SCORES.iter().zip(self.streams.iter_mut()) {
            let Some(stream) = streams.get_mut(position) else { continue };
            let scores = (score.of)(rows)?;
            for (scores, _) in
                scores.chunks(experts.max(1)).zip(&self.counted).filter(|(_, counted)| **counted)
            {
                stream.add(scores);
            }
        }
        Ok(())
    }

    fn linear(&mut self, linear: usize, x: &Activations) -> Result<()> {
        match self.experts.linears.get(linear).and_then(Option::as_ref) {
            Some(module) => self.take(&ModuleRows::hidden(self.ops, module, x)),
            None => Ok(()),
        }
    }

    fn head(&self) -> usize {
        self.experts.linears.len().saturating_sub(1)
    }
}

impl LinearHook for Collector<'_, '_> {
    fn apply(&mut self, linear: usize, x: &Activations, _y: &mut Activations) -> Result<()> {
        if linear == self.head() { Ok(()) } else { self.linear(linear, x) }
    }

    fn embed(&mut self, tokens: &[u32], _x: &mut Activations) -> Result<()> {
        match &self.experts.embedding {
            Some(module) => self.take(&ModuleRows::tokens(module, tokens)),
            None => Ok(()),
        }
    }

    fn hidden(&mut self, hidden: &Activations) -> Result<()> {
        self.linear(self.head(), hidden)
    }
}

/// Means and deviations of all scores over the counted tokens of `prompts`. `progress` hears how many of how many
/// prompts are done. What is done stays in `partial` when `cancel` is raised; one batch is never left half-way.
///
/// # Errors
/// Prompts without counted tokens; values that are not finite; a raised `cancel`.
pub(in crate::routing) fn collect(
    (experts, decoder): (&ExpertSet, &Decoder),
    source: &str,
    prompts: &[Prompt],
    partial: &mut Partial,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Calibration> {
    experts.prepare_spectra(decoder, cancel)?;
    while partial.done < prompts.len() {
        progress(partial.done, prompts.len());
        cancel.check()?;
        let (mut tokens, mut lengths, mut counted) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = partial.done;
        while let Some(prompt) = prompts.get(at) {
            let length = prompt.ids.len().min(LONGEST).min(decoder.spec.context);
            if !tokens.is_empty() && tokens.len() + length > BATCH {
                break;
            }
            if length > 0 {
                tokens.extend_from_slice(&prompt.ids[..length]);
                counted.extend((0..length).map(|t| counts(&prompt.parts, t)));
                lengths.push(length);
            }
            at += 1;
        }
        if !tokens.is_empty() {
            partial.tokens += counted.iter().filter(|counted| **counted).count();
            let streams = partial.streams.as_mut_slice();
            let mut collector = Collector { experts, ops: &**decoder.ops(), counted, streams };
            decoder.forward(&tokens, &lengths, ForwardPass::new(&mut collector, &Cancel::new()))?;
        }
        partial.done = at;
    }
    progress(prompts.len(), prompts.len());
    let finish = |streams: Vec<Stream>| streams.into_iter().map(Stream::finish).collect::<Result<Vec<_>>>();
    let streams = std::mem::take(&mut partial.streams);
    let tables: Vec<Vec<_>> = streams.into_iter().map(finish).collect::<Result<_>>()?;
    let finite = |v: &Vec<f64>| v.iter().all(|v| v.is_finite());
    if !tables.iter().flatten().all(|usual| finite(&usual.mean) && finite(&usual.deviation)) {
        return Err(Error::msg("the experts' scores on the calibration prompts are not finite"));
    }
    Ok(Calibration::new(tables, source.to_string(), prompts.len(), partial.tokens))
}

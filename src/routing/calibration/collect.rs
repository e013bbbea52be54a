//! One pass over the calibration prompts through the base model alone.

use super::statistics::{Calibration, Stream, streams};
use crate::model::{Activations, Decoder, ForwardPass, LinearHook, Ops};
use crate::routing::experts::ExpertSet;
use crate::routing::own_data::{Known, middle};
use crate::routing::prompt::Prompt;
use crate::routing::rows::ModuleRows;
use crate::routing::scores::{SCORES, Score};
use crate::routing::survey::counts;
use crate::routing::watch::{no_numbers, no_score};
use crate::{Cancel, Result};

/// Tokens that run together, about.
const BATCH: usize = 256;
/// Of a longer prompt the first so many are used.
pub(in crate::routing) const LONGEST: usize = 512;
/// Mean states are kept of the first so many prompts: what routers that judge whole prompts are calibrated with.
pub(in crate::routing) const STATES: usize = 4096;

/// Feeds the scores of counted rows to the statistics.
struct Collector<'a, 'p> {
    experts: &'a ExpertSet,
    known: &'a Known,
    ops: &'a dyn Ops,
    /// The layer whose input is the state in the middle of the network.
    middle: usize,
    /// Tokens of each prompt of the pass.
    lengths: Vec<usize>,
    /// By row of the pass.
    counted: Vec<bool>,
    /// By expert: whether its scores have to be numbers.
    needed: &'a [bool],
    /// By score and module.
    streams: &'p mut [Vec<Stream>],
    /// Mean states [prompts, hidden].
    states: &'p mut Vec<f32>,
}

/// A calibration that is not finished. One that was cancelled resumes from it.
#[derive(Debug)]
pub(in crate::routing) struct Partial {
    /// By score and module.
    streams: Vec<Vec<Stream>>,
    /// Mean states [prompts, hidden] of the first prompts.
    states: Vec<f32>,
    /// Prompts that are in them.
    done: usize,
    /// Tokens that were counted.
    tokens: usize,
}

impl Partial {
    /// Nothing of these scores at so many modules.
    pub fn new(scores: &[Score], modules: usize) -> Self {
        Self { streams: streams(scores, modules), states: Vec::new(), done: 0, tokens: 0 }
    }
}

impl Collector<'_, '_> {
    fn take(&mut self, rows: &ModuleRows) -> Result<()> {
        let (experts, position) = (rows.experts(), rows.position());
        for (score, streams) in SCORES.iter().zip(self.streams.iter_mut()) {
            let Some(stream) = streams.get_mut(position) else { continue };
            let scores = (score.of)(rows, self.known)?;
            for (scores, _) in
                scores.chunks(experts.max(1)).zip(&self.counted).filter(|(_, counted)| **counted)
            {
                stream.add(scores);
            }
            let broken = stream.broken().find(|e| self.needed.get(*e) == Some(&true));
            if let Some(expert) = broken {
                return Err(match rows.are_numbers()? {
                    true => no_score(self.experts, expert, position),
                    false => no_numbers(),
                });
            }
        }
        Ok(())
    }

    /// Keeps the mean state of every prompt.
    fn keep_states(&mut self, x: &Activations) -> Result<()> {
        let (values, width) = (x.values()?, x.width().max(1));
        let mut rows = values.chunks(width).zip(&self.counted);
        for &length in self.lengths.iter().filter(|length| **length > 0) {
            if self.states.len() >= STATES * width {
                break;
            }
            let own: Vec<_> = rows.by_ref().take(length).collect();
            let any = own.iter().any(|(_, counted)| **counted);
            let (mut sum, mut count) = (vec![0f64; width], 0usize);
            for (row, _) in own.iter().filter(|(_, counted)| !any || **counted) {
                sum.iter_mut().zip(*row).for_each(|(sum, x)| *sum += f64::from(*x));
                count += 1;
            }
            self.states.extend(sum.iter().map(|sum| (sum / count.max(1) as f64) as f32));
        }
        Ok(())
    }

    fn linear(&mut self, linear: usize, x: &Activations) -> Result<()> {
        if linear == self.middle {
            self.keep_states(x)?;
        }
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
/// prompts are done. Of experts that are not `needed`, scores may be no numbers. What is done stays in `partial` when `cancel` is raised; one batch is never left half-way.
///
/// # Errors
/// Prompts without counted tokens; values that are not finite, with the expert that they come from; a raised `cancel`.
pub(in crate::routing) fn collect(
    (experts, decoder, known): (&ExpertSet, &Decoder, &Known),
    (source, prompts): (&str, &[Prompt]),
    needed: &[bool],
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
            let mut collector = Collector {
                experts,
                known,
                ops: &**decoder.ops(),
                middle: middle(decoder.spec.layers, decoder.slots),
                lengths: lengths.clone(),
                counted,
                needed,
                streams: &mut partial.streams,
                states: &mut partial.states,
            };
            decoder.forward(&tokens, &lengths, ForwardPass::new(&mut collector, &Cancel::new()))?;
        }
        partial.done = at;
    }
    progress(prompts.len(), prompts.len());
    let finish = |streams: Vec<Stream>| streams.into_iter().map(Stream::finish).collect::<Result<Vec<_>>>();
    let streams = std::mem::take(&mut partial.streams);
    let tables: Vec<Vec<_>> = streams.into_iter().map(finish).collect::<Result<_>>()?;
    let states = std::mem::take(&mut partial.states);
    Calibration::new(tables, states, source.to_string(), (prompts.len(), partial.tokens))
}

//! What a router asks of a whole sequence before it weighs its tokens, in a pass of the base model without experts.

use std::fmt::Debug;

use super::experts::{ExpertSet, StackedModule};
use super::rows::ModuleRows;
use super::scores::Measure;
use super::trace::Part;
use crate::model::{Activations, Decoder, ForwardPass, KvCache, LinearHook, Ops};
use crate::{Cancel, Error, Result};

/// How much of a sequence a survey has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its token ids only.
    Ids,
    /// Everything up to the last token that counts.
    Counted,
    /// All of it.
    All,
}

/// Asks something of a sequence. It keeps some numbers per token, so that a token that is added costs one token.
pub trait Survey: Debug + Send + Sync {
    /// How much it has to see.
    fn reach(&self) -> Reach;

    /// What it scores experts by, where it does.
    fn measure(&self) -> Option<&Measure> {
        None
    }

    /// Numbers kept per token.
    fn width(&self) -> usize;

    /// Adds what a layer shows to `kept` [rows, width].
    ///
    /// # Errors
    /// When scores cannot be computed.
    fn see(&self, seen: &Seen, kept: &mut [f32]) -> Result<()>;

    /// The experts' shares of a vote, where it is one.
    fn votes(&self, sequence: &Surveyed) -> Vec<f64> {
        let _ = sequence;
        Vec::new()
    }

    /// What was found, a number for each expert.
    ///
    /// # Errors
    /// When the numbers make no sense.
    fn conclude(&self, sequence: &Surveyed) -> Result<Vec<f32>>;
}

/// What a survey sees at one layer.
pub struct Seen<'a> {
    /// Number of the linear layer; `None` for the embedding.
    pub linear: Option<usize>,
    /// Its input [rows, in]; `None` for the embedding.
    pub x: Option<&'a Activations>,
    /// The same where experts adapt the layer.
    pub rows: Option<ModuleRows<'a>>,
}

/// A sequence that was seen.
#[derive(Clone, Copy, Debug)]
pub struct Surveyed<'a> {
    /// Its tokens, all of them.
    pub ids: &'a [u32],
    /// What each of them belongs to.
    pub parts: &'a [Part],
    /// Kept numbers [tokens, width] of as many tokens as the survey reaches.
    pub kept: &'a [f32],
}

impl<'a> Surveyed<'a> {
    /// The kept numbers of the tokens that count: of all where none does. `width` is not 0.
    pub fn counted(&self, width: usize) -> impl Iterator<Item = &'a [f32]> {
        let rows = self.kept.chunks(width);
        let any = any_counts(self.parts);
        let parts = self.parts;
        rows.enumerate().filter(move |(t, _)| !any || counts(parts, *t)).map(|(_, row)| row)
    }
}

/// The error of a pass without experts whose values are no numbers.
pub(super) fn no_numbers() -> Error {
    Error::msg(
        "the base model gives values that are no numbers on this prompt: it is damaged, or no model of this kind",
    )
}

/// Whether a token counts: neither template nor position 0, an attention sink.
pub fn counts(parts: &[Part], token: usize) -> bool {
    token > 0 && parts.get(token).is_some_and(|part| *part != Part::Template)
}

fn any_counts(parts: &[Part]) -> bool {
    (0..parts.len()).any(|t| counts(parts, t))
}

impl Reach {
    /// How many of a sequence's first tokens have to be seen.
    pub fn tokens(self, parts: &[Part]) -> usize {
        match self {
            Self::Ids => 0,
            Self::All => parts.len(),
            Self::Counted => match (0..parts.len()).rev().find(|t| counts(parts, *t)) {
                Some(last) => last + 1,
                None => parts.len(),
            },
        }
    }
}

/// Shows a survey the layers of a pass; adds nothing to them.
struct SurveyHook<'a> {
    experts: &'a ExpertSet,
    ops: &'a dyn Ops,
    survey: &'a dyn Survey,
    /// [rows, width].
    kept: Vec<f32>,
}

impl SurveyHook<'_> {
    fn show(&mut self, linear: usize, x: &Activations) -> Result<()> {
        let module = self.experts.linears.get(linear).and_then(Option::as_ref);
        let rows = module.map(|module: &StackedModule| ModuleRows::hidden(self.ops, module, x));
        self.survey.see(&Seen { linear: Some(linear), x: Some(x), rows }, &mut self.kept)
    }

    fn head(&self) -> usize {
        self.experts.linears.len().saturating_sub(1)
    }
}

impl LinearHook for SurveyHook<'_> {
    fn apply(&mut self, linear: usize, x: &Activations, _y: &mut Activations) -> Result<()> {
        if linear == self.head() { Ok(()) } else { self.show(linear, x) }
    }

    fn embed(&mut self, tokens: &[u32], _x: &mut Activations) -> Result<()> {
        let rows = self.experts.embedding.as_ref().map(|module| ModuleRows::tokens(module, tokens));
        self.survey.see(&Seen { linear: None, x: None, rows }, &mut self.kept)
    }

    fn hidden(&mut self, hidden: &Activations) -> Result<()> {
        self.show(self.head(), hidden)
    }
}

/// Runs sequences of these `lengths` through the base model alone, a single one after what `cache` holds if it is
/// given; the numbers that `survey` keeps of them [tokens, width].
///
/// # Errors
/// As [`Decoder::forward`].
pub(super) fn survey_pass(
    survey: &dyn Survey,
    (experts, decoder): (&ExpertSet, &Decoder),
    tokens: &[u32],
    lengths: &[usize],
    cache: Option<&mut KvCache>,
    cancel: &Cancel,
) -> Result<Vec<f32>> {
    let kept = vec![0.0; tokens.len() * survey.width()];
    let mut hook = SurveyHook { experts, ops: &**decoder.ops(), survey, kept };
    decoder.forward(tokens, lengths, ForwardPass::new(&mut hook, cancel).cached(cache))?;
    match hook.kept.iter().all(|kept| kept.is_finite()) {
        true => Ok(hook.kept),
        false => Err(no_numbers()),
    }
}

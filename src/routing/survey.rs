//! What a router asks of a whole sequence before it weighs its tokens, in a pass of the base model without experts.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use super::experts::{ExpertSet, StackedModule};
use super::own_data::middle;
use super::prompt::Prompt;
use super::rows::ModuleRows;
use super::scores::Measure;
use super::trace::Part;
use super::verdict::Lead;
use super::watch::{is_finite, no_numbers, no_score};
use crate::model::{Activations, Decoder, ForwardPass, KvCache, LinearHook, Ops};
use crate::{Cancel, Result};

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

    /// What the weights were concluded from.
    ///
    /// # Errors
    /// As [`Self::conclude`].
    fn reasons(&self, sequence: &Surveyed) -> Result<Reasons>;

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

/// What weights were concluded from: a number for each expert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasons {
    /// What there is to say of the sequence, in words; empty where there is nothing.
    pub words: String,
    /// What the values are: `cosine`; empty where there are none.
    pub value: &'static str,
    /// By expert.
    pub values: Vec<f64>,
    /// Their deviations from what is usual for each expert, where these count.
    pub calibrated: Option<Vec<f64>>,
    /// How far the first expert is before the next, where the values are shares of votes.
    pub lead: Option<Lead>,
    /// Whether the expert is drawn at random.
    pub drawn: bool,
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

/// Whether what a survey that scores experts keeps after a layer are numbers.
///
/// # Errors
/// The expert whose score there is none, where the layer's input is.
fn blame(experts: &ExpertSet, survey: &dyn Survey, seen: &Seen, kept: &[f32]) -> Result<()> {
    let (Some(measure), Some(rows)) = (survey.measure(), &seen.rows) else { return Ok(()) };
    if is_finite(kept) {
        return Ok(());
    }
    match measure.broken(rows, |_| true)? {
        Some(expert) => Err(no_score(experts, expert, rows.position())),
        None => Ok(()),
    }
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

/// A survey over a set of experts.
pub(super) type Asks<'a> = (&'a ExpertSet, &'a dyn Survey);

/// What layers read in a pass of the base model alone: enough to show it to another survey without a pass.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// By linear layer that was shown, in the order of the network; layers that read the same share it.
    x: Vec<(usize, Arc<Activations>)>,
    /// Numbers that are kept.
    pub size: usize,
}

impl Inputs {
    /// What a layer read, where it is kept.
    pub fn at(&self, linear: usize) -> Option<Cow<'_, [f32]>> {
        let (_, x) = self.x.iter().find(|(of, _)| *of == linear)?;
        x.values().ok()
    }

    fn keep(&mut self, linear: usize, x: &Activations) -> Result<()> {
        let Cow::Borrowed(values) = x.values()? else { return Ok(()) };
        let same = match self.x.last() {
            Some((_, last)) if last.shape() == x.shape() && *last.values()? == *values => {
                Some(Arc::clone(last))
            }
            _ => None,
        };
        let kept = same.unwrap_or_else(|| {
            self.size += values.len();
            Arc::new(Activations::new(x.shape(), values.to_vec()))
        });
        self.x.push((linear, kept));
        Ok(())
    }
}

/// Shows surveys the layers of a pass; adds nothing to them.
struct SurveyHook<'a> {
    ops: &'a dyn Ops,
    asks: &'a [Asks<'a>],
    /// By survey [rows, width].
    kept: Vec<Vec<f32>>,
    /// Where inputs are kept of layers that experts adapt, and of this one.
    inputs: Option<&'a mut Inputs>,
    middle: usize,
}

impl<'a> SurveyHook<'a> {
    fn new(ops: &'a dyn Ops, asks: &'a [Asks<'a>], rows: usize) -> Self {
        let kept = asks.iter().map(|(_, survey)| vec![0.0; rows * survey.width()]).collect();
        Self { ops, asks, kept, inputs: None, middle: 0 }
    }

    fn show(&mut self, linear: usize, x: &Activations) -> Result<()> {
        for ((experts, survey), kept) in self.asks.iter().zip(&mut self.kept) {
            let module = experts.linears.get(linear).and_then(Option::as_ref);
            let rows = module.map(|module: &StackedModule| ModuleRows::hidden(self.ops, module, x));
            let seen = Seen { linear: Some(linear), x: Some(x), rows };
            survey.see(&seen, kept)?;
            blame(experts, *survey, &seen, kept)?;
        }
        let adapted = |(experts, _): &Asks| experts.linears.get(linear).is_some_and(Option::is_some);
        match &mut self.inputs {
            Some(inputs) if linear == self.middle || self.asks.iter().any(adapted) => inputs.keep(linear, x),
            Some(_) | None => Ok(()),
        }
    }

    fn show_tokens(&mut self, tokens: &[u32]) -> Result<()> {
        for ((experts, survey), kept) in self.asks.iter().zip(&mut self.kept) {
            let rows = experts.embedding.as_ref().map(|module| ModuleRows::tokens(module, tokens));
            let seen = Seen { linear: None, x: None, rows };
            survey.see(&seen, kept)?;
            blame(experts, *survey, &seen, kept)?;
        }
        Ok(())
    }

    fn head(&self) -> usize {
        self.asks.first().map_or(0, |(experts, _)| experts.linears.len()).saturating_sub(1)
    }

    /// The numbers that were kept, which are finite.
    fn finish(self) -> Result<Vec<Vec<f32>>> {
        match self.kept.iter().flatten().all(|kept| kept.is_finite()) {
            true => Ok(self.kept),
            false => Err(no_numbers()),
        }
    }
}

impl LinearHook for SurveyHook<'_> {
    fn apply(&mut self, linear: usize, x: &Activations, _y: &mut Activations) -> Result<()> {
        if linear == self.head() { Ok(()) } else { self.show(linear, x) }
    }

    fn embed(&mut self, tokens: &[u32], _x: &mut Activations) -> Result<()> {
        self.show_tokens(tokens)
    }

    fn hidden(&mut self, hidden: &Activations) -> Result<()> {
        self.show(self.head(), hidden)
    }
}

/// Runs sequences of these `lengths` through the base model alone, a single one after what `cache` contains if it is
/// given; by survey, the numbers that it keeps of them [tokens, width]. What layers read is kept in `inputs`.
///
/// # Errors
/// As [`Decoder::forward`].
pub(super) fn survey_pass(
    asks: &[Asks],
    decoder: &Decoder,
    (tokens, lengths): (&[u32], &[usize]),
    (cache, inputs): (Option<&mut KvCache>, Option<&mut Inputs>),
    cancel: &Cancel,
) -> Result<Vec<Vec<f32>>> {
    let middle = middle(decoder.spec.layers, decoder.slots);
    let mut hook = SurveyHook { inputs, middle, ..SurveyHook::new(&**decoder.ops(), asks, tokens.len()) };
    decoder.forward(tokens, lengths, ForwardPass::new(&mut hook, cancel).cached(cache))?;
    hook.finish()
}

/// The numbers that a survey keeps of tokens whose pass was kept, to the last bit those of [`survey_pass`].
///
/// # Errors
/// As [`Survey::see`].
pub(super) fn survey_again(
    asks: Asks,
    decoder: &Decoder,
    tokens: &[u32],
    inputs: &Inputs,
) -> Result<Vec<f32>> {
    let asks = [asks];
    let mut hook = SurveyHook::new(&**decoder.ops(), &asks, tokens.len());
    hook.show_tokens(tokens)?;
    inputs.x.iter().try_for_each(|(linear, x)| hook.show(*linear, x))?;
    Ok(hook.finish()?.pop().unwrap_or_default())
}

/// What surveys find of prompts that run together in one pass: by survey and prompt.
///
/// # Errors
/// As [`Decoder::forward`].
pub(super) fn survey_all(
    asks: &[Asks],
    decoder: &Decoder,
    prompts: &[&Prompt],
    cancel: &Cancel,
) -> Result<Vec<Vec<Vec<f32>>>> {
    let asked = |p: &Prompt| p.parts[..p.asked()].to_vec();
    let reach =
        |p: &Prompt| asks.iter().map(|(_, survey)| survey.reach().tokens(&asked(p))).max().unwrap_or(0);
    let lengths: Vec<usize> = prompts.iter().map(|p| reach(p)).collect();
    let pieces = prompts.iter().zip(&lengths).flat_map(|(p, length)| p.ids.iter().take(*length));
    let tokens: Vec<u32> = pieces.copied().collect();
    let kept = match tokens.is_empty() {
        true => vec![Vec::new(); asks.len()],
        false => survey_pass(asks, decoder, (&tokens, &lengths), (None, None), cancel)?,
    };
    let of_survey = |((_, survey), kept): (&Asks, Vec<f32>)| -> Result<Vec<Vec<f32>>> {
        let (mut rest, mut found) = (kept.as_slice(), Vec::with_capacity(prompts.len()));
        for (prompt, length) in prompts.iter().zip(&lengths) {
            let (all, others) = rest.split_at(length * survey.width());
            rest = others;
            let (ids, parts) = (&prompt.ids[..prompt.asked()], &prompt.parts[..prompt.asked()]);
            let own = &all[..survey.reach().tokens(parts) * survey.width()];
            found.push(survey.conclude(&Surveyed { ids, parts, kept: own })?);
        }
        Ok(found)
    };
    asks.iter().zip(kept).map(of_survey).collect()
}

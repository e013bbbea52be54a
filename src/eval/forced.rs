//! Right answers fed in: whether a method would have given them, and how likely it finds them, in one pass and without
//! generating anything.

use rayon::prelude::*;

use crate::model::{Activations, ForwardPass, Model, Tape};
use crate::routing::{ExpertSet, Knockout, Prompt, ResolvedRouter, RoutedHook, Session};
use crate::{Cancel, Result};

/// Sequences that run together.
const BATCH: usize = 16;
/// Rows of logits that exist at one time.
const ROWS: usize = 128;
/// Inputs of blocks that are kept for several passes have at most so many numbers.
const SHARED: usize = 1 << 26;

/// How a right answer fares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forced {
    /// Whether it is the likeliest token at every position: then it is the greedy answer.
    pub exact: bool,
    /// Its log-probability in nats.
    pub log_probability: f64,
}

/// Feeds `answers` (token ids, none empty) in after their `prompts`, none of them empty, through a router.
///
/// # Errors
/// As [`crate::model::Decoder::forward`].
pub fn forced(
    model: &Model,
    (experts, router): (&ExpertSet, &ResolvedRouter),
    prompts: &[Prompt],
    answers: &[Vec<u32>],
    cancel: &Cancel,
) -> Result<Vec<Forced>> {
    let batch = if router.runs_together(experts) { BATCH } else { 1 };
    let mut all = Vec::with_capacity(prompts.len());
    for (prompts, answers) in prompts.chunks(batch).zip(answers.chunks(batch)) {
        let findings = router.survey(experts, &model.decoder, prompts, cancel)?;
        let hook = RoutedHook::new(experts, router).informed(&findings);
        all.extend(feed(model, hook, prompts, answers, None, cancel)?);
    }
    Ok(all)
}

/// An answer after the prompt that a session routed last, under its router.
///
/// # Errors
/// As [`forced`].
pub fn forced_here(session: &Session, prompt: &Prompt, answer: &[u32], cancel: &Cancel) -> Result<Forced> {
    let (experts, router, findings) = session.routed();
    let hook = RoutedHook::new(experts, router).informed(findings);
    let one = (std::slice::from_ref(prompt), [answer.to_vec()]);
    let found = feed(session.model(), hook, one.0, &one.1, None, cancel)?;
    Ok(found.first().copied().unwrap_or_default())
}

/// The prompt that a session routed last with one answer, once for each of `knockouts`, with that taken out. What lies below the first layer that a
/// knockout changes is computed once for all of them.
///
/// # Errors
/// As [`forced`].
pub(super) fn forced_without(
    session: &Session,
    (prompt, answer): (&Prompt, &[u32]),
    knockouts: &[Option<Knockout>],
    cancel: &Cancel,
) -> Result<Vec<Forced>> {
    let ((experts, router, findings), model) = (session.routed(), session.model());
    let decoder = &model.decoder;
    let starts = |knockout: &Option<Knockout>| knockout.as_ref().map_or(0, |k| k.layers.start);
    let fed = fed(prompt, answer);
    let findings = findings.copied(BATCH);
    let mut tape = Tape::new(true);
    let shares = fed.len() * decoder.spec.hidden * decoder.spec.layers <= SHARED;
    if shares && knockouts.iter().any(|knockout| starts(knockout) > 0) {
        let mut hook = RoutedHook::new(experts, router).informed(&findings);
        decoder.forward(&fed, &[fed.len()], ForwardPass::new(&mut hook, cancel).taped(&mut tape))?;
    }
    // Those that begin at one layer run together.
    let mut order: Vec<usize> = (0..knockouts.len()).collect();
    order.sort_by_key(|&at| starts(&knockouts[at]));
    let mut all = vec![Forced::default(); knockouts.len()];
    for alike in order.chunk_by(|&a, &b| starts(&knockouts[a]) == starts(&knockouts[b])) {
        for some in alike.chunks(BATCH) {
            let these: Vec<Option<Knockout>> = some.iter().map(|&at| knockouts[at].clone()).collect();
            let block = these.first().map_or(0, starts);
            let below = tape.block_input(block).filter(|_| block > 0);
            let hook = RoutedHook::new(experts, router).informed(&findings).without(&these);
            let (prompts, answers) = (vec![prompt.clone(); some.len()], vec![answer.to_vec(); some.len()]);
            let found = feed(model, hook, &prompts, &answers, below.map(|x| (block, x)), cancel)?;
            some.iter().zip(found).for_each(|(&at, found)| all[at] = found);
        }
    }
    Ok(all)
}

/// The tokens that go through the network: the last token of an answer foretells nothing that is asked.
fn fed(prompt: &Prompt, answer: &[u32]) -> Vec<u32> {
    prompt.clone().answered(answer.split_last().map_or(&[], |(_, before)| before)).ids
}

/// Feeds answers in after their prompts in one pass, from a block on whose input is known for one of them and the same
/// for all.
fn feed(
    model: &Model,
    mut hook: RoutedHook,
    prompts: &[Prompt],
    answers: &[Vec<u32>],
    start: Option<(usize, &Activations)>,
    cancel: &Cancel,
) -> Result<Vec<Forced>> {
    let decoder = &model.decoder;
    let sequences: Vec<Vec<u32>> =
        prompts.iter().zip(answers).map(|(prompt, answer)| fed(prompt, answer)).collect();
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let owners = |lengths: &[usize]| -> Vec<u32> {
        let numbered = lengths.iter().enumerate();
        numbered.flat_map(|(at, &length)| std::iter::repeat_n(at as u32, length)).collect()
    };
    hook.set_rows(owners(&lengths));
    let tokens = sequences.concat();
    let hidden = match start {
        None => hook.forward(decoder, &tokens, &lengths, &mut [], cancel)?,
        Some((block, x)) => {
            let rows: Vec<usize> = lengths.iter().flat_map(|&length| 0..length).collect();
            let x = decoder.ops().select_rows(x, &rows)?;
            decoder.forward(&tokens, &lengths, ForwardPass::new(&mut hook, cancel).from_block(block, x))?
        }
    };
    // Before each token of the answers: (row, its sequence, the token).
    let (mut foretold, mut start) = (Vec::new(), 0);
    for (sequence, (length, answer)) in lengths.iter().zip(answers).enumerate() {
        let rows = start + length - answer.len()..start + length;
        foretold.extend(rows.zip(answer).map(|(row, &token)| (row, sequence, token)));
        start += length;
    }
    let mut all = vec![Forced { exact: true, log_probability: 0.0 }; answers.len()];
    for some in foretold.chunks(ROWS) {
        cancel.check()?;
        let rows: Vec<usize> = some.iter().map(|(row, ..)| *row).collect();
        let tokens: Vec<u32> = some.iter().map(|(.., token)| *token).collect();
        hook.set_rows(some.iter().map(|(_, sequence, _)| *sequence as u32).collect());
        let mut logits = hook.logits(decoder, &decoder.ops().select_rows(&hidden, &rows)?)?;
        let best = highest(&logits)?;
        let losses =
            decoder.ops().cross_entropy(&mut logits, &tokens, &vec![1.0; some.len()], None, false)?;
        for (((_, sequence, token), best), loss) in some.iter().zip(best).zip(losses) {
            all[*sequence].exact &= best == *token;
            all[*sequence].log_probability -= loss;
        }
    }
    Ok(all)
}

/// The token with the highest of each row of logits, the first one of equals.
fn highest(logits: &Activations) -> Result<Vec<u32>> {
    let values = logits.values()?;
    let of_row = |row: &[f32]| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter().position(|v| *v == most).unwrap_or(0) as u32
    };
    Ok(values.par_chunks(logits.width().max(1)).map(of_row).collect())
}

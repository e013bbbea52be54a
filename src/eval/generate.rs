//! Greedy continuation of many prompts at once.

use crate::model::{ForwardPass, KvCache, Model, NoHook};
use crate::routing::{ExpertSet, Prompt, ResolvedRouter, RoutedHook};
use crate::{Cancel, Result};

/// Prompts that run together.
const BATCH: usize = 16;

/// When a continuation ends.
pub(super) struct Limits<'a> {
    /// Most tokens.
    pub max_tokens: usize,
    /// Tokens that end it, and are no part of it.
    pub ends: &'a [u32],
    /// Whether that of a prompt, by its number, has all that is wanted of it.
    pub is_enough: &'a dyn Fn(usize, &[u32]) -> bool,
}

/// Greedy continuations, without their end token, of `prompts`, none of them empty. Every sequence gets
/// what it would get alone. Stops at a token of `ends` or after `max_tokens`.
pub fn generate_batch(
    model: &Model,
    routed: Option<(&ExpertSet, &ResolvedRouter)>,
    prompts: &[Prompt],
    max_tokens: usize,
    ends: &[u32],
    cancel: &Cancel,
) -> Result<Vec<Vec<u32>>> {
    let limits = Limits { max_tokens, ends, is_enough: &|_, _| false };
    generate_until(model, routed, prompts, &limits, cancel)
}

/// As [`generate_batch`], with a limit of each continuation's own.
pub(super) fn generate_until(
    model: &Model,
    routed: Option<(&ExpertSet, &ResolvedRouter)>,
    prompts: &[Prompt],
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Vec<Vec<u32>>> {
    let mut outputs = Vec::with_capacity(prompts.len());
    let together = routed.is_none_or(|(experts, router)| router.runs_together(experts));
    for chunk in prompts.chunks(if together { BATCH } else { 1 }) {
        let first = outputs.len();
        let is_enough = |at: usize, answer: &[u32]| (limits.is_enough)(first + at, answer);
        let limits = Limits { is_enough: &is_enough, ..*limits };
        outputs.extend(run(model, routed, chunk, &limits, cancel)?);
    }
    Ok(outputs)
}

fn run(
    model: &Model,
    routed: Option<(&ExpertSet, &ResolvedRouter)>,
    prompts: &[Prompt],
    &Limits { max_tokens, ends, is_enough }: &Limits,
    cancel: &Cancel,
) -> Result<Vec<Vec<u32>>> {
    let decoder = &model.decoder;
    let mut caches: Vec<KvCache> = prompts.iter().map(|_| decoder.cache()).collect();
    let mut outputs = vec![Vec::new(); prompts.len()];
    let mut open: Vec<usize> = (0..prompts.len()).collect();
    let mut next: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.ids.clone()).collect();
    let survey =
        |(experts, router): (&ExpertSet, &ResolvedRouter)| router.survey(experts, decoder, prompts, cancel);
    let findings = routed.map(survey).transpose()?.unwrap_or_default();
    // The sequence of each row.
    let owners = |open: &[usize], lengths: &[usize]| -> Vec<u32> {
        open.iter().zip(lengths).flat_map(|(&at, &length)| std::iter::repeat_n(at as u32, length)).collect()
    };
    for _ in 0..max_tokens {
        if open.is_empty() {
            break;
        }
        let lengths: Vec<usize> = next.iter().map(Vec::len).collect();
        let tokens: Vec<u32> = next.concat();
        let active = caches.iter_mut().enumerate().filter(|(i, _)| open.contains(i)).map(|(_, c)| c);
        let mut routing =
            routed.map(|(experts, router)| RoutedHook::new(experts, router).informed(&findings));
        if let Some(routing) = &mut routing {
            routing.set_rows(owners(&open, &lengths));
        }
        let mut active: Vec<&mut KvCache> = active.collect();
        let hidden = match &mut routing {
            Some(routing) => routing.forward(decoder, &tokens, &lengths, &mut active, cancel)?,
            None => {
                decoder.forward(&tokens, &lengths, ForwardPass::new(&mut NoHook, cancel).cached(active))?
            }
        };
        let mut row = 0;
        let last: Vec<usize> = lengths
            .iter()
            .map(|len| {
                row += len;
                row - 1
            })
            .collect();
        let last = decoder.ops().select_rows(&hidden, &last)?;
        if let Some(routing) = &mut routing {
            routing.set_rows(owners(&open, &vec![1; open.len()]));
        }
        let logits = match &mut routing {
            Some(routing) => routing.logits(decoder, &last)?,
            None => decoder.logits(&last)?,
        };
        let logits = logits.into_tensor()?;
        let best = logits.argmax(1)?.to_vec1::<u32>()?;
        let mut still = Vec::new();
        next.clear();
        for (&sequence, &token) in open.iter().zip(&best) {
            if !ends.contains(&token) {
                outputs[sequence].push(token);
                if !is_enough(sequence, &outputs[sequence]) {
                    still.push(sequence);
                    next.push(vec![token]);
                }
            }
        }
        open = still;
    }
    Ok(outputs)
}

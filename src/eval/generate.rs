//! Greedy continuation of many prompts at once.

use crate::model::{ForwardPass, KvCache, LinearHook, Model, NoHook};
use crate::routing::{ExpertSet, ResolvedRouter, RoutedHook};
use crate::{Cancel, Result};

/// Prompts that run together.
const BATCH: usize = 16;

/// Greedy continuations, without their end token, of `prompts` (token ids, none empty). Every sequence gets
/// what it would get alone. Stops at a token of `ends` or after `max_tokens`.
pub fn generate_batch(
    model: &Model,
    routed: Option<(&ExpertSet, &ResolvedRouter)>,
    prompts: &[Vec<u32>],
    max_tokens: usize,
    ends: &[u32],
    cancel: &Cancel,
) -> Result<Vec<Vec<u32>>> {
    let mut outputs = Vec::with_capacity(prompts.len());
    for chunk in prompts.chunks(BATCH) {
        outputs.extend(run(model, routed, chunk, max_tokens, ends, cancel)?);
    }
    Ok(outputs)
}

fn run(
    model: &Model,
    routed: Option<(&ExpertSet, &ResolvedRouter)>,
    prompts: &[Vec<u32>],
    max_tokens: usize,
    ends: &[u32],
    cancel: &Cancel,
) -> Result<Vec<Vec<u32>>> {
    let decoder = &model.decoder;
    let mut caches: Vec<KvCache> = prompts.iter().map(|_| decoder.cache()).collect();
    let mut outputs = vec![Vec::new(); prompts.len()];
    let mut open: Vec<usize> = (0..prompts.len()).collect();
    let mut next: Vec<Vec<u32>> = prompts.to_vec();
    for _ in 0..max_tokens {
        if open.is_empty() {
            break;
        }
        let lengths: Vec<usize> = next.iter().map(Vec::len).collect();
        let tokens: Vec<u32> = next.concat();
        let active = caches.iter_mut().enumerate().filter(|(i, _)| open.contains(i)).map(|(_, c)| c);
        let mut hook: Box<dyn LinearHook> = match routed {
            Some((experts, router)) => Box::new(RoutedHook::new(experts, router)),
            None => Box::new(NoHook),
        };
        let pass = ForwardPass::new(&mut *hook, cancel).cached(active);
        let hidden = decoder.forward(&tokens, &lengths, pass)?;
        let mut row = 0;
        let last: Vec<usize> = lengths
            .iter()
            .map(|len| {
                row += len;
                row - 1
            })
            .collect();
        let last = decoder.ops().select_rows(&hidden, &last)?;
        let logits = decoder.logits_with(&last, &mut *hook)?.into_tensor()?;
        let best = logits.argmax(1)?.to_vec1::<u32>()?;
        let mut still = Vec::new();
        next.clear();
        for (&sequence, &token) in open.iter().zip(&best) {
            if !ends.contains(&token) {
                outputs[sequence].push(token);
                still.push(sequence);
                next.push(vec![token]);
            }
        }
        open = still;
    }
    Ok(outputs)
}

//! Right answers fed in: whether a method would have given them, and how likely it finds them, in one pass and without
//! generating anything.

use candle_core::{D, Tensor};

use crate::model::Model;
use crate::routing::{ExpertSet, Knockout, Prompt, ResolvedRouter, RoutedHook};
use crate::{Cancel, Result};

/// Sequences that run together.
const BATCH: usize = 16;

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
        all.extend(feed(model, hook, prompts, answers, cancel)?);
    }
    Ok(all)
}

/// One prompt with one answer, once for each of `knockouts`, with that taken out.
///
/// # Errors
/// As [`forced`].
pub(super) fn forced_without(
    model: &Model,
    (experts, router): (&ExpertSet, &ResolvedRouter),
    (prompt, answer): (&Prompt, &[u32]),
    knockouts: &[Option<Knockout>],
    cancel: &Cancel,
) -> Result<Vec<Forced>> {
    let mut all = Vec::with_capacity(knockouts.len());
    for knockouts in knockouts.chunks(BATCH) {
        let one = std::slice::from_ref(prompt);
        let findings = router.survey(experts, &model.decoder, one, cancel)?.copied(knockouts.len());
        let hook = RoutedHook::new(experts, router).informed(&findings).without(knockouts);
        let (prompts, answers) =
            (vec![prompt.clone(); knockouts.len()], vec![answer.to_vec(); knockouts.len()]);
        all.extend(feed(model, hook, &prompts, &answers, cancel)?);
    }
    Ok(all)
}

/// Feeds answers in after their prompts in one pass.
fn feed(
    model: &Model,
    mut hook: RoutedHook,
    prompts: &[Prompt],
    answers: &[Vec<u32>],
    cancel: &Cancel,
) -> Result<Vec<Forced>> {
    let decoder = &model.decoder;
    // The last token of an answer foretells nothing that is asked.
    let fed = |(prompt, answer): (&Prompt, &Vec<u32>)| {
        prompt.clone().answered(answer.split_last().map_or(&[], |(_, before)| before)).ids
    };
    let sequences: Vec<Vec<u32>> = prompts.iter().zip(answers).map(fed).collect();
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let owners = |lengths: &[usize]| -> Vec<u32> {
        let numbered = lengths.iter().enumerate();
        numbered.flat_map(|(at, &length)| std::iter::repeat_n(at as u32, length)).collect()
    };
    hook.set_rows(owners(&lengths));
    let hidden = hook.forward(decoder, &sequences.concat(), &lengths, &mut [], cancel)?;
    let (mut rows, mut start) = (Vec::new(), 0);
    for (length, answer) in lengths.iter().zip(answers) {
        rows.extend(start + length - answer.len()..start + length);
        start += length;
    }
    hook.set_rows(owners(&answers.iter().map(Vec::len).collect::<Vec<_>>()));
    let hidden = decoder.ops().select_rows(&hidden, &rows)?;
    judge(&hook.logits(decoder, &hidden)?.into_tensor()?, answers)
}

/// From the logits [Σ answer, vocabulary] before each token of the answers.
fn judge(logits: &Tensor, answers: &[Vec<u32>]) -> Result<Vec<Forced>> {
    let most = logits.max_keepdim(D::Minus1)?;
    let sums: Vec<f32> = logits.broadcast_sub(&most)?.exp()?.sum(D::Minus1)?.to_vec1()?;
    let most: Vec<f32> = most.flatten_all()?.to_vec1()?;
    let best: Vec<u32> = logits.argmax(D::Minus1)?.to_vec1()?;
    let wanted: Vec<u32> = answers.concat();
    let index = Tensor::from_slice(&wanted, (wanted.len(), 1), logits.device())?;
    let own: Vec<f32> = logits.gather(&index, 1)?.flatten_all()?.to_vec1()?;
    let mut at = 0;
    let mut all = Vec::with_capacity(answers.len());
    for answer in answers {
        let mut found = Forced { exact: true, log_probability: 0.0 };
        for row in at..at + answer.len() {
            found.exact &= best[row] == wanted[row];
            found.log_probability += f64::from(own[row] - most[row]) - f64::from(sums[row]).ln();
        }
        at += answer.len();
        all.push(found);
    }
    Ok(all)
}

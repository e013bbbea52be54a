//! From what the model said to scores of items.

use super::pass::Fed;
use crate::eval::store::Record;
use crate::eval::wording::Matching as Comparison;
use crate::model::Tokenizer;
use crate::scorers::{Likelihood, likeliest};
use crate::train::Example;
use crate::{Error, Result};

/// The best of the scores of an answer given each right one.
///
/// # Errors
/// A pattern of the task that takes too long.
pub(super) fn best_match(
    answer: &str,
    item: &Example,
    (matching, score): (&Comparison, fn(&str, &str) -> f64),
) -> Result<f64> {
    let answer = matching.filtered(answer)?;
    let answer = matching.normal(&answer)?;
    let one = |best: f64, right: &str| Ok(best.max(score(&answer, &matching.normal(right)?)));
    item.right().try_fold(0.0, one)
}

/// How a right answer is known: by its score, and by what it may begin with.
#[derive(Clone, Copy)]
pub(super) struct Matching {
    pub score: fn(&str, &str) -> f64,
    pub hope: fn(&str, &str) -> bool,
}

/// Whether the greedy answer is right by `reference`, given how the tokens `text` of it fared; `None` where only the
/// answer itself could say.
///
/// # Errors
/// Tokens that cannot be decoded.
pub(super) fn is_right(
    tokenizer: &Tokenizer,
    ends: &[u32],
    (text, fed): (&[u32], &Fed),
    (reference, matching): (&str, Matching),
) -> Result<Option<bool>> {
    let Some((at, token)) = fed.differs else {
        // Without an end of its own, more may follow.
        return Ok(text.last().is_some_and(|last| ends.contains(last)).then_some(true));
    };
    let mut said = text.get(..at).unwrap_or_default().to_vec();
    if ends.contains(&token) {
        return Ok(Some((matching.score)(&tokenizer.decode(&said, true)?, reference) == 1.0));
    }
    said.push(token);
    let said = tokenizer.decode(&said, true)?;
    // It may be the beginning of the same text in other tokens; and half a character may become any.
    let hope = (matching.hope)(said.trim_start(), reference) || said.contains('\u{fffd}');
    Ok(if hope { None } else { Some(false) })
}

/// The record of an item whose options were fed in.
///
/// # Errors
/// An item without options.
pub(super) fn chosen(
    item: &Example,
    options: &[String],
    fed: &[(usize, Fed)],
    value: fn(&Likelihood) -> f64,
) -> Result<Record> {
    let (options, right) = item.options(options).map_err(Error::msg)?;
    let of = |(text, (tokens, fed)): (&String, &(usize, Fed))| {
        value(&Likelihood { text, tokens: *tokens, log_probability: fed.log_probability })
    };
    let best = likeliest(&options.iter().zip(fed).map(of).collect::<Vec<_>>());
    Ok(Record {
        score: f64::from(u8::from(best == Some(right))),
        log_probability: fed.get(right).map(|(_, fed)| fed.log_probability),
        answer: best.and_then(|best| options.get(best)).cloned(),
    })
}

/// The record of an item whose references were fed in, the output first.
pub(super) fn told(item: &Example, fed: &[(usize, Fed)], score: fn(&Likelihood) -> f64) -> Record {
    let of = |(text, (tokens, fed)): (&str, &(usize, Fed))| {
        score(&Likelihood { text, tokens: *tokens, log_probability: fed.log_probability })
    };
    Record {
        score: item.right().zip(fed).map(of).fold(f64::INFINITY, f64::min),
        log_probability: fed.first().map(|(_, fed)| fed.log_probability),
        answer: None,
    }
}

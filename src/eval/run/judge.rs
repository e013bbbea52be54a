//! From what the model said to scores of items.

use super::pass::Fed;
use crate::model::Tokenizer;
use crate::scorers::{Likelihood, likeliest};
use crate::train::Example;
use crate::{Error, Result};

use crate::eval::store::Record;

/// The best of the scores of an answer given each right one.
pub(super) fn best_match(answer: &str, item: &Example, score: fn(&str, &str) -> f64) -> f64 {
    item.right().map(|right| score(answer, right)).fold(0.0, f64::max)
}

/// Whether the greedy answer is `reference` but for blanks around it, given how its tokens `text` fared; `None` where
/// only the answer itself could say.
///
/// # Errors
/// Tokens that cannot be decoded.
pub(super) fn is_greedy(
    tokenizer: &Tokenizer,
    ends: &[u32],
    (text, fed): (&[u32], &Fed),
    reference: &str,
) -> Result<Option<bool>> {
    let Some((at, token)) = fed.differs else { return Ok(Some(true)) };
    let mut said = text.get(..at).unwrap_or_default().to_vec();
    let reference = reference.trim();
    if ends.contains(&token) {
        return Ok(Some(tokenizer.decode(&said, true)?.trim() == reference));
    }
    said.push(token);
    let said = tokenizer.decode(&said, true)?;
    let said = said.trim_start();
    // It may be the beginning of the same text in other tokens, or blanks may follow.
    let begins = reference.starts_with(said) || said.contains('\u{fffd}');
    let ended = said.strip_prefix(reference).is_some_and(|more| more.trim().is_empty());
    Ok(if begins || ended { None } else { Some(false) })
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

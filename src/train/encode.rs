//! Examples as token ids.

use super::example::Example;
use crate::library::Template;
use crate::model::Tokenizer;
use crate::{Error, Result};

/// An example in tokens: the loss is on `output` only, which ends with the template's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Tokens without loss.
    pub prompt: Vec<u32>,
    /// Tokens with loss.
    pub output: Vec<u32>,
    /// Whether it was too long, so that something of it is missing.
    pub cut: bool,
}

impl Encoded {
    /// Tokens that go through the model: all but the last, which is only predicted.
    pub fn len(&self) -> usize {
        self.prompt.len() + self.output.len() - 1
    }

    /// Whether there is nothing to learn from.
    pub fn is_empty(&self) -> bool {
        self.output.is_empty() || self.prompt.is_empty()
    }
}

/// Encodes `example`; prompt and output are tokenised separately. Longer than `max_length` tokens, it loses the
/// start of its prompt, then the end of its output.
pub fn encode(
    example: &Example,
    template: &Template,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> Result<Encoded> {
    let prompt = template.render(&example.instruction, &example.input);
    let mut prompt = tokenizer.encode_start(&prompt)?;
    let mut output = tokenizer.encode(&format!("{}{}", example.output, template.end))?;
    if prompt.is_empty() || output.is_empty() {
        return Err(Error::msg("an example has no tokens: the template or the example is empty"));
    }
    let cut = prompt.len() + output.len() > max_length;
    output.truncate(max_length.saturating_sub(1).max(1));
    let room = max_length.saturating_sub(output.len()).max(1);
    if prompt.len() > room {
        prompt.drain(..prompt.len() - room);
    }
    Ok(Encoded { prompt, output, cut })
}

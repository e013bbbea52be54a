//! An item as a method is asked it: its prompt, and the texts whose likelihood is wanted.

use super::pass::Asked;
use crate::eval::evaluation::Evaluation;
use crate::model::ChatTemplate;
use crate::routing::{Part, Prompt};
use crate::scorers::{Answers, Scoring};
use crate::train::Example;
use crate::{Error, Result};

/// Puts items into words, and words into tokens, as a scoring says.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub evaluation: Evaluation<'a>,
    pub scoring: Scoring,
    /// Whether items are put into the model's own chat template.
    pub chat: bool,
}

impl Asking<'_> {
    fn chat(&self) -> Result<Option<&ChatTemplate>> {
        let chat = self.evaluation.model().chat.as_ref();
        match (self.chat, chat) {
            (false, _) => Ok(None),
            (true, Some(chat)) => Ok(Some(chat)),
            (true, None) => Err(Error::msg("the base model has no chat template")),
        }
    }

    /// An item as bare text, and what stands between it and an answer.
    fn bare(&self, item: &Example) -> Result<(String, &'static str)> {
        let content = self.evaluation.template().content(&item.instruction, &item.input);
        Ok(match self.chat()? {
            // The template says itself what begins a text, as in transformers.
            Some(chat) => (chat.user(content.trim())?, ""),
            None => (content, " "),
        })
    }

    /// The prompt of an item whose answer is generated, with room for `room` tokens behind it.
    ///
    /// # Errors
    /// A base model without a tokenizer; a chat template that fails.
    pub fn prompt(&self, item: &Example, room: usize) -> Result<Prompt> {
        let tokenizer = self.evaluation.model().tokenizer()?;
        let prompt = match (self.chat()?, self.scoring.answers) {
            (Some(_), _) => Prompt::of_tokens(tokenizer.encode(&self.bare(item)?.0)?),
            (None, Answers::InTemplate) => self.evaluation.prompt(item)?,
            (None, Answers::AfterBlank) => Prompt::of_tokens(tokenizer.encode_start(&self.bare(item)?.0)?),
        };
        self.fitted(prompt, room)
    }

    /// The item with a text as its answer, and whether that ends as answers do.
    ///
    /// # Errors
    /// As [`Self::prompt`]; a text without tokens.
    pub fn asked(&self, item: &Example, text: &str, ends: bool) -> Result<Asked> {
        let end = if ends { self.evaluation.template().end.as_str() } else { "" };
        let tokenizer = self.evaluation.model().tokenizer()?;
        let (prompt, text) = match self.scoring.answers {
            Answers::InTemplate => {
                let text = tokenizer.encode(&format!("{text}{end}"))?;
                (self.prompt(item, text.len())?, text)
            }
            Answers::AfterBlank => {
                let (content, blank) = self.bare(item)?;
                let context = content.trim_end();
                let whole = format!("{content}{blank}{text}{end}");
                let encode = |text: &str| match self.chat {
                    true => tokenizer.encode(text),
                    false => tokenizer.encode_start(text),
                };
                let (mut whole, before) = (encode(&whole)?, encode(context)?.len());
                let text = whole.split_off(before.min(whole.len()));
                (self.fitted(Prompt::of_tokens(whole), text.len())?, text)
            }
        };
        if prompt.ids.is_empty() || text.is_empty() {
            return Err(Error::msg("an item has no tokens: the template or the item is empty"));
        }
        Ok(Asked { prompt, text })
    }

    /// A prompt without the first of its tokens where it would be too long.
    fn fitted(&self, mut prompt: Prompt, room: usize) -> Result<Prompt> {
        let context = self.evaluation.model().decoder.spec.context;
        let most = context.saturating_sub(room);
        if most == 0 {
            return Err(Error::msg(format!(
                "an answer of {room} tokens leaves no room for its prompt in the base model's context of {context}"
            )));
        }
        if let Some(over) = prompt.ids.len().checked_sub(most).filter(|over| *over > 0) {
            prompt.ids.drain(..over);
            prompt.parts.drain(..over);
            // What counts of it begins behind the first token.
            if let Some(first) = prompt.parts.first_mut() {
                *first = Part::Template;
            }
        }
        Ok(prompt)
    }
}

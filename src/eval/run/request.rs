//! An item as a method is asked it: its prompt, and the texts whose likelihood is wanted.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::pass::Asked;
use crate::eval::asked_task::{Question, end_of_turn};
use crate::eval::evaluation::Evaluation;
use crate::model::ChatTemplate;
use crate::routing::{Part, Prompt};
use crate::scorers::{Answers, Scoring};
use crate::train::Example;
use crate::{Error, Result};

/// What is asked of an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub question: Question<'a>,
    /// The choice that is asked, where choices are.
    pub context: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn before(&self) -> &'a str {
        self.question.task.wording.before(self.question.at)
    }
}

impl<'a> From<Question<'a>> for Said<'a> {
    fn from(question: Question<'a>) -> Self {
        Self { question, context: None }
    }
}

/// An item as trainings put it, in the library's template, behind its examples.
///
/// # Errors
/// A base model without a tokenizer, or without room for the item.
pub(in crate::eval) fn in_template(evaluation: &Evaluation, question: Question) -> Result<Prompt> {
    Asking::as_trained(evaluation).prompt(&question.into(), 1)
}

/// [`in_template`], with the first of its right answers and the end of answers.
///
/// # Errors
/// As there; an item without tokens.
pub(in crate::eval) fn with_its_answer(
    evaluation: &Evaluation,
    question: Question,
) -> Result<(Prompt, Vec<u32>)> {
    let Asked { prompt, text } =
        Asking::as_trained(evaluation).asked(&question.into(), &question.item.output, true)?;
    Ok((prompt, text))
}

/// Adds a prompt without its first `start` tokens, which begin a sequence, where there is something before it.
fn append(whole: &mut Prompt, prompt: Prompt, start: usize) {
    let skip = if whole.ids.is_empty() { 0 } else { start };
    whole.ids.extend(prompt.ids.into_iter().skip(skip));
    whole.parts.extend(prompt.parts.into_iter().skip(skip));
}

/// Puts items into words, and words into tokens, as a scoring says.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub evaluation: Evaluation<'a>,
    pub scoring: Scoring,
    /// Whether items are put into the model's own chat template.
    pub chat: bool,
    /// Counts requests that lose their beginning, where somebody wants to know.
    pub cut: Option<&'a AtomicUsize>,
}

impl<'a> Asking<'a> {
    /// As trainings put items into words.
    fn as_trained(evaluation: &Evaluation<'a>) -> Self {
        Self { evaluation: *evaluation, scoring: Scoring::default(), chat: false, cut: None }
    }
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

    /// What is asked, as bare text behind its examples, and what stands between it and an answer.
    fn bare<'q>(&self, said: &Said<'q>) -> Result<(String, &'q str)> {
        let wording = &said.question.task.wording;
        let text = said.question.text(self.evaluation.template(), said.context);
        Ok(match self.chat()? {
            // The template says itself what begins a text, as in transformers.
            Some(chat) => (chat.user(text.trim())?, ""),
            None => (text, wording.blank.as_str()),
        })
    }

    /// What is asked in the library's template behind its examples, each of them a turn of its own with its answer, split
    /// into tokens as trainings do it.
    fn in_template(&self, said: &Said) -> Result<Prompt> {
        let Self { evaluation, .. } = self;
        let wording = &said.question.task.wording;
        let (tokenizer, template) = (evaluation.model().tokenizer()?, evaluation.template());
        let mut before = said.before();
        let mut turn = |item: &Example, context: Option<&str>| {
            let (instruction, input) = wording.asked(item, context);
            match std::mem::take(&mut before) {
                "" => evaluation.session.prompt_of(instruction, input),
                before => evaluation.session.prompt_of(&format!("{before}{instruction}"), input),
            }
        };
        let start = tokenizer.encode_start("")?.len();
        let end = end_of_turn(wording, template);
        let mut whole = Prompt::default();
        for shot in said.question.shots() {
            append(&mut whole, turn(shot, None)?, start);
            let answer = tokenizer.encode(&format!("{}{end}", shot.output))?;
            append(&mut whole, Prompt::of_tokens(answer), 0);
        }
        append(&mut whole, turn(said.question.item, said.context)?, start);
        Ok(whole)
    }

    /// The prompt of what is answered in words, with room for `room` tokens behind it.
    ///
    /// # Errors
    /// A base model without a tokenizer; a chat template that fails.
    pub fn prompt(&self, said: &Said, room: usize) -> Result<Prompt> {
        let tokenizer = self.evaluation.model().tokenizer()?;
        let prompt = match (self.chat()?, self.scoring.answers) {
            (Some(_), _) => Prompt::of_tokens(tokenizer.encode(&self.bare(said)?.0)?),
            (None, Answers::InTemplate) => self.in_template(said)?,
            (None, Answers::AfterBlank) => Prompt::of_tokens(tokenizer.encode_start(&self.bare(said)?.0)?),
        };
        self.fitted(prompt, room)
    }

    /// What is asked with a text as its answer, and whether that ends as answers do.
    ///
    /// # Errors
    /// As [`Self::prompt`]; a text without tokens.
    pub fn asked(&self, said: &Said, text: &str, ends: bool) -> Result<Asked> {
        let end = if ends { self.evaluation.template().end.as_str() } else { "" };
        let tokenizer = self.evaluation.model().tokenizer()?;
        let (prompt, text) = match self.scoring.answers {
            Answers::InTemplate => {
                let text = tokenizer.encode(&format!("{text}{end}"))?;
                (self.prompt(said, text.len())?, text)
            }
            Answers::AfterBlank => {
                let (content, blank) = self.bare(said)?;
                let context = content.trim_end();
                let whole = format!("{content}{blank}{text}{end}");
                let encode = |text: &str| match self.chat {
                    true => tokenizer.encode(text),
                    false => tokenizer.encode_start(text),
                };
                let (mut whole, before) = (encode(&whole)?, encode(context)?.len());
                let text = whole.split_off(before.min(whole.len()));
                // The last token foretells nothing, and needs no room.
                (self.fitted(Prompt::of_tokens(whole), text.len().saturating_sub(1))?, text)
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
            if let Some(cut) = self.cut {
                cut.fetch_add(1, Ordering::Relaxed);
            }
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

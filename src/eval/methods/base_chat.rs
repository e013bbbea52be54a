//! Base in its own chat template.

use super::method::Baseline;
use crate::Result;
use crate::eval::evaluation::{Answering, Evaluation, TaskItems};
use crate::routing::Prompt;
use crate::train::Example;

pub(super) const BASELINE: Baseline =
    Baseline { name: "base-chat", alias: None, help: "The base model with its own chat template", answering };

fn answering(evaluation: &Evaluation, task: &TaskItems) -> Result<Option<Answering>> {
    let (model, template) = (evaluation.model(), evaluation.template());
    let Some(chat) = &model.chat else { return Ok(None) };
    let tokenizer = model.tokenizer()?;
    let prompt = |e: &Example| {
        let text = chat.user(template.content(&e.instruction, &e.input).trim())?;
        tokenizer.encode_start(&text).map(Prompt::of_tokens)
    };
    let prompts = task.items.iter().map(prompt).collect::<Result<_>>()?;
    Ok(Some(Answering::Generated { prompts, routed: None }))
}

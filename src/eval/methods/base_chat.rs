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
        // The template says itself what begins a text, as in transformers.
        let text = chat.user(template.content(&e.instruction, &e.input).trim())?;
        tokenizer.encode(&text).map(Prompt::of_tokens)
    };
    let mut prompts = Vec::with_capacity(task.items.len());
    for item in task.items {
        evaluation.cancel.check()?;
        match prompt(item) {
            Ok(prompt) => prompts.push(prompt),
            Err(e) => return Ok(Some(Answering::Impossible(e.to_string()))),
        }
    }
    Ok(Some(Answering::Generated { prompts, routed: None }))
}

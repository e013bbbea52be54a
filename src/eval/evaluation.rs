//! What an evaluation works with: the library, its model, and the items that are asked.

use std::path::PathBuf;
use std::sync::Arc;

use super::split::Split;
use crate::Cancel;
use crate::Result;
use crate::library::{Library, Template};
use crate::model::Model;
use crate::routing::{ExpertSet, Prompt, ResolvedRouter, RouterConfig, Session};
use crate::train::{Dataset, Example};

/// A library on its base model, under evaluation.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// Whose experts are evaluated.
    pub library: &'a Library,
    /// Its router has the settings that a method does not give, and says who takes part.
    pub session: &'a Session,
    /// Stops it.
    pub cancel: &'a Cancel,
}

/// Which items of which tasks are asked.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'a> {
    /// Task folders.
    pub tasks: &'a [PathBuf],
    /// Of each task.
    pub split: Split,
    /// Items per task, at most.
    pub limit: usize,
}

/// The items of one task.
#[derive(Clone, Copy)]
pub struct TaskItems<'a> {
    pub data: &'a Dataset,
    pub items: &'a [Example],
}

/// How the items of a task are answered.
pub enum Answering {
    /// The same text for every item, without the model.
    Text(String),
    /// Not at all, for this reason, which is that of the model's files and no other method's matter.
    Impossible(String),
    /// The model continues a prompt per item, through experts or alone.
    Generated { prompts: Vec<Prompt>, routed: Option<Box<(Arc<ExpertSet>, ResolvedRouter)>> },
}

impl Evaluation<'_> {
    /// The base model.
    pub fn model(&self) -> &Model {
        self.session.model()
    }

    /// The template that items are filled into.
    pub fn template(&self) -> &Template {
        self.session.template()
    }

    /// Prompts in the library's template, continued through a router; settings that `config` does not give are
    /// those of the session's router.
    ///
    /// # Errors
    /// A router that cannot be resolved; a base model without a tokenizer.
    pub fn routed(&self, task: &TaskItems, mut config: RouterConfig) -> Result<Answering> {
        let own = self.session.router();
        config.values.fill(&own.values);
        config.muted.clone_from(&own.muted);
        config.pinned.clone_from(&own.pinned);
        config.general.clone_from(&own.general);
        let resolve = || self.session.resolve(&config, &mut |_| {}, self.cancel).map(Box::new);
        let routed = config.is_weighted().then(resolve).transpose()?;
        let prompt = |e: &Example| self.session.prompt_of(&e.instruction, &e.input);
        Ok(Answering::Generated { prompts: task.items.iter().map(prompt).collect::<Result<_>>()?, routed })
    }
}

//! What an evaluation works with: the library, its model, and the items that are asked.

use crate::Cancel;
use crate::library::{Library, Template};
use crate::model::Model;
use crate::routing::{RouterConfig, Session};

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

/// How the items of a task are answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answering {
    /// The same text for every item, without the model.
    Text(String),
    /// By the model, through a router.
    Model {
        /// With all settings that were given, here or by the session's router.
        config: RouterConfig,
        /// Whether items are put into the model's own chat template instead of the library's.
        chat: bool,
    },
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

    /// A router with what it does not say itself taken from the session's.
    pub fn completed(&self, mut config: RouterConfig) -> RouterConfig {
        let own = self.session.router();
        config.values.fill(&own.values);
        config.muted.clone_from(&own.muted);
        config.pinned.clone_from(&own.pinned);
        config.general.clone_from(&own.general);
        config
    }
}

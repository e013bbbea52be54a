//! What a method is: a baseline of the table, or a router with its settings.

use crate::eval::asked_task::AskedTask;
use crate::eval::evaluation::{Answering, Evaluation};
use crate::library::Library;
use crate::routing::RouterConfig;
use crate::train::TaskInfo;

/// A way to answer that is more, or less, than a router.
#[derive(Debug)]
pub struct Baseline {
    /// On the command line and in JSON: `majority`.
    pub name: &'static str,
    /// Another name that is understood.
    pub alias: Option<&'static str>,
    /// One line for help and docs, without a full stop.
    pub help: &'static str,
    /// How the items of a task are answered; `None` where it does not apply.
    pub answering: fn(&Evaluation, &AskedTask) -> Option<Answering>,
    /// The router that answers in the library's template, given the task; `None` where none does.
    pub router: fn(&Library, &TaskInfo) -> Option<RouterConfig>,
}

/// One of the table: its name says which.
impl PartialEq for Baseline {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// A way to answer a task's items.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// One of the table of baselines.
    Baseline(&'static Baseline),
    /// Settings that are not given are those of the session's router.
    Routed(RouterConfig),
}

impl Method {
    /// The router that it is, if it is one.
    pub fn router(&self) -> Option<&RouterConfig> {
        match self {
            Self::Routed(config) => Some(config),
            Self::Baseline(_) => None,
        }
    }

    /// The expert that it names, if it names one.
    pub fn expert(&self) -> Option<&str> {
        match self {
            Self::Routed(config) if config.router.names_expert() => Some(&config.argument),
            _ => None,
        }
    }

    /// The router through which the items of a task are answered in the library's template, without the settings of a
    /// session; `None` where no router does that.
    pub fn routed(&self, library: &Library, task: &TaskInfo) -> Option<RouterConfig> {
        match self {
            Self::Baseline(baseline) => (baseline.router)(library, task),
            Self::Routed(config) => Some(config.clone()),
        }
    }

    /// How the items of a task are answered; `None` where it does not apply.
    pub fn answering(&self, evaluation: &Evaluation, task: &AskedTask) -> Option<Answering> {
        match self {
            Self::Baseline(baseline) => (baseline.answering)(evaluation, task),
            Self::Routed(config) => {
                Some(Answering::Model { config: evaluation.completed(config.clone()), chat: false })
            }
        }
    }
}

//! Base in its own chat template.

use super::method::Baseline;
use crate::eval::asked_task::AskedTask;
use crate::eval::evaluation::{Answering, Evaluation};
use crate::routing::RouterConfig;

pub(super) const BASELINE: Baseline = Baseline {
    name: "base-chat",
    alias: None,
    help: "The base model with its own chat template",
    answering,
    router: |_, _| None,
};

fn answering(evaluation: &Evaluation, _: &AskedTask) -> Option<Answering> {
    let has_template = evaluation.model().chat.is_some();
    has_template.then(|| Answering::Model { config: RouterConfig::base(), chat: true })
}

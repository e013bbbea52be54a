//! The task's own expert.

use super::method::Baseline;
use crate::eval::asked_task::AskedTask;
use crate::eval::evaluation::{Answering, Evaluation};
use crate::eval::own_expert::own_expert;
use crate::routing::RouterConfig;

pub(super) const BASELINE: Baseline = Baseline {
    name: "expert",
    alias: Some("oracle"),
    help: "The expert that was trained on the task",
    answering,
    router: |library, task| own_expert(library, task).map(RouterConfig::single),
};

fn answering(evaluation: &Evaluation, task: &AskedTask) -> Option<Answering> {
    let own = own_expert(evaluation.library, &task.info)?;
    Some(Answering::Model { config: evaluation.completed(RouterConfig::single(own)), chat: false })
}

//! The task's own expert.

use super::method::Baseline;
use crate::Result;
use crate::eval::evaluation::{Answering, Evaluation, TaskItems};
use crate::eval::own_expert::own_expert;
use crate::routing::RouterConfig;

pub(super) const BASELINE: Baseline = Baseline {
    name: "expert",
    alias: Some("oracle"),
    help: "The expert that was trained on the task",
    answering,
};

fn answering(evaluation: &Evaluation, task: &TaskItems) -> Result<Option<Answering>> {
    let own = own_expert(evaluation.library, &task.data.task.id);
    own.map(|name| evaluation.routed(task, RouterConfig::single(name))).transpose()
}

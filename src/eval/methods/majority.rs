//! Majority: always the most frequent training output.

use super::method::Baseline;
use crate::eval::asked_task::AskedTask;
use crate::eval::evaluation::{Answering, Evaluation};

pub(super) const BASELINE: Baseline = Baseline {
    name: "majority",
    alias: None,
    help: "Always the most frequent training output (label tasks only)",
    answering,
    router: |_, _| None,
};

fn answering(_: &Evaluation, task: &AskedTask) -> Option<Answering> {
    let labelled = !task.info.options.is_empty();
    task.majority.clone().filter(|_| labelled).map(Answering::Text)
}

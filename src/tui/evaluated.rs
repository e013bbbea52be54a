//! An evaluation as the Eval tab gets it: what was asked, and what is known of the answers.

use std::time::SystemTime;

use crate::eval::{EvalReport, EvalSpec};
use crate::jobs::JobSummary;

/// An evaluation of this library, finished or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Its job.
    pub job: JobSummary,
    /// What was asked.
    pub spec: EvalSpec,
    /// What it found out; so far, where it is not finished: then without differences.
    pub report: EvalReport,
    /// Per task and method, the items that are known, where it is not finished.
    pub known: Option<Vec<Vec<usize>>>,
    /// What its worker is doing; untrusted.
    pub stage: Option<String>,
    /// Estimated time left, in seconds.
    pub left: Option<f64>,
    /// When it ended.
    pub ended: Option<SystemTime>,
}

impl Evaluated {
    /// Items of a task that a method has answered, and all of them: none of a task that it is never asked.
    pub fn far(&self, task: usize, method: usize) -> (usize, usize) {
        let kept = |task: &Vec<Option<String>>| task.get(method).is_some_and(Option::is_some);
        let is_planned = self.report.kept.iter().any(kept);
        let is_asked = self.report.kept.get(task).is_some_and(kept);
        let all = match is_asked || !is_planned {
            true => self.report.tasks.get(task).map_or(0, |task| task.items),
            false => 0,
        };
        let known = |known: &Vec<Vec<usize>>| known.get(task)?.get(method).copied();
        (self.known.as_ref().map_or(Some(all), known).unwrap_or(0), all)
    }
}

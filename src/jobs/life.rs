//! How a job stands: its result, else what its executor says.

use std::path::Path;

use super::executors::{self, Life};
use super::job_dir::JobResult;

/// The end of a job, or whether it lives.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It ended and said how.
    Over(JobResult),
    /// No result yet.
    Open(Life),
}

impl Standing {
    /// Looks at the result, then asks the executor.
    pub fn of(job: &Path) -> Self {
        if let Some(result) = JobResult::read(job) {
            return Self::Over(result);
        }
        let life = executors::look(job);
        // A worker that ended between the two looks has left its result.
        match JobResult::read(job) {
            Some(result) => Self::Over(result),
            None => Self::Open(life),
        }
    }
}

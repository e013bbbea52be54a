//! What is checked of a job before it is started or resumed.

use super::JobSummary;
use super::kinds::AnyJob;
use crate::{Error, Result};

/// The job with absolute paths, if it can work and none of `others` does the same.
pub(super) fn prepared(job: &AnyJob, others: &[JobSummary]) -> Result<AnyJob> {
    let mut job = job.clone();
    job.prepare()?;
    let (kind, title) = (job.kind(), job.title());
    let same =
        |other: &&JobSummary| other.kind == Some(kind) && other.name == title && !other.state.is_over();
    if let Some(doing) = kind.unique
        && let Some(other) = others.iter().find(same)
    {
        return Err(Error::usage(format!(
            "job {} is already {doing} {title}; choose another name or cancel it",
            other.id
        )));
    }
    Ok(job)
}

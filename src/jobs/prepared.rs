//! What is checked of a job before it is started or resumed.

use super::JobSummary;
use super::kinds::{AnyJob, Use};
use crate::catalog::Catalog;
use crate::{Error, Result, train};

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

/// Refuses a training of layers that the base model does not have, where that is here.
///
/// # Errors
/// A usage error with the layers that there are.
pub(super) fn check_targets(job: &AnyJob) -> Result<()> {
    let Some(training) = job.training() else { return Ok(()) };
    let uses = job.uses();
    let library = uses.iter().find_map(|(how, path)| (*how == Use::Library).then_some(path));
    let base =
        library.and_then(|library| Catalog::open(library, training.base.as_deref()).ok()?.base_here().ok());
    base.map_or(Ok(()), |base| train::check_targets(&base, &training.targets))
}

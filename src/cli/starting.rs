//! Jobs are started: what every command with `--background` has in common with `jobs LIBRARY start`.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::configured;
use super::options::GivenJob;
use super::output::Output;
use crate::catalog::{Catalog, Source};
use crate::jobs::executors::executor_named;
use crate::jobs::kinds::Around;
use crate::jobs::{After, AnyJob, Jobs, Started};
use crate::text::{counted, typed_path};
use crate::{Error, Result};

/// Starts jobs of the library in the folder `library` and says which.
///
/// # Errors
/// As [`Catalog::look`] and [`Jobs::start_many`]; an id that fits no job or several.
pub fn start(library: &Path, given: &GivenJob, output: &Output) -> Result<()> {
    start_changed(library, given, &|_| Ok(()), output)
}

/// [`start`] for a job that a command has more to say about than its settings do.
///
/// # Errors
/// As there; those of `change`.
pub fn start_changed(
    library: &Path,
    given: &GivenJob,
    change: &dyn Fn(&mut AnyJob) -> Result<()>,
    output: &Output,
) -> Result<()> {
    configured::note_library(library, output);
    // What is wrong with a base model, the worker says.
    let source = Source { root: library.to_path_buf(), base: given.base().map(Path::to_path_buf) };
    let catalog = Catalog::look(&Arc::new(source))?;
    let comparable = catalog.comparable().count();
    let around = Around { library, base: given.base(), comparable, ..Around::default() };
    let mut jobs = Jobs::open(&catalog)?.with_share(given.share);
    if let Some(name) = given.executor {
        jobs = jobs.with_executor(executor_named(name, Some(library.to_path_buf()))?);
    }
    let after = |ids: &[String], any: bool| {
        let resolve = |id: &String| Ok(After { id: jobs.resolve(id)?, any });
        ids.iter().map(resolve).collect::<Result<Vec<_>>>()
    };
    let after = [after(&given.after, false)?, after(&given.after_any, true)?].concat();
    let all = given.jobs(&around)?;
    let asked_for = all.len();
    let all = if given.each { left_to_make(all, given.skip_existing, &jobs)? } else { all };
    let note_left = |left: usize| {
        if left < asked_for {
            let (there, all) = (asked_for - left, counted(asked_for, "dataset"));
            output
                .note(&format!("left out {there} of {all}: their experts are there already, or being made"));
        }
    };
    let mut asked: Vec<_> = all.into_iter().map(|job| (job, after.clone())).collect();
    asked.iter_mut().try_for_each(|(job, _)| change(job))?;
    if given.dry_run {
        note_left(asked.len());
        let plan = jobs.plan(&asked)?;
        if output.is_json() {
            return output.document(&json!({ "jobs": asked.len(), "plan": plan }));
        }
        return output.text(&plan);
    }
    // Somebody else may have started some a moment ago.
    let mut started = jobs.start_left(&asked, given.each && given.skip_existing)?;
    note_left(started.len());
    let problem = started.iter().find_map(|job| job.problem.clone());
    if !given.each
        && let Some(Started { id, problem }) = started.pop()
    {
        if let Some(problem) = problem {
            return Err(Error::msg(problem));
        }
        if output.is_json() {
            return output.document(&json!({ "job": id, "skipped": catalog.bad() }));
        }
        return follow_it(library, &id, output);
    }
    if output.is_json() {
        let rows: Vec<_> = started.iter().map(|job| json!({ "job": job.id, "error": job.problem })).collect();
        output.document(&json!({ "jobs": rows, "skipped": catalog.bad() }))?;
    } else {
        for job in &started {
            output.line(&job.id)?;
        }
        output.note(&format!("see them with `lora-tui jobs {}`", typed_path(library)));
    }
    let failed = started.iter().filter(|job| job.problem.is_some()).count();
    match problem {
        None => Ok(()),
        Some(problem) => Err(Error::msg(format!(
            "{failed} of {} were not handed over: {problem}",
            counted(started.len(), "job")
        ))),
    }
}

/// Says how a job is followed.
pub fn follow_it(library: &Path, job: &str, output: &Output) -> Result<()> {
    output.line(job)?;
    output.note(&format!("follow it with `lora-tui jobs {} log {job} --follow`", typed_path(library)));
    Ok(())
}

/// Of jobs that each make something, those that have it still to do.
///
/// # Errors
/// Where they are not to be skipped, what is there already; a list of jobs that cannot be read.
fn left_to_make(all: Vec<AnyJob>, skip: bool, jobs: &Jobs) -> Result<Vec<AnyJob>> {
    let under_way = jobs.list()?;
    let (made, left): (Vec<AnyJob>, Vec<AnyJob>) =
        all.into_iter().partition(|job| Jobs::is_made(job, &under_way));
    if skip || made.is_empty() {
        return Ok(left);
    }
    const NAMED: usize = 3;
    let mut named: Vec<String> = made.iter().take(NAMED).map(AnyJob::title).collect();
    if made.len() > NAMED {
        named.push("…".into());
    }
    Err(Error::usage(format!(
        "{} of {} there already, or being made ({}): --skip-existing leaves them out",
        made.len(),
        counted(made.len() + left.len(), "new expert") + if made.len() == 1 { " is" } else { " are" },
        named.join(", ")
    )))
}

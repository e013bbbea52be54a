//! What evaluations found out, read from the directories of their jobs and from the stores of results.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::latest_task::{LatestTask, spawn};
use crate::eval::{EvalReport, EvalSpec, Seen, TaskItems, differences};
use crate::export::Format;
use crate::jobs::Jobs;
use crate::outside::atomic_write;
use crate::settings::path_of;
use crate::tui::{EvalEffect, EvalMessage, Evaluated, Sender, Unsaved};
use crate::{Cancel, Error, Result};

/// Reads evaluations on threads of its own.
#[derive(Debug)]
pub struct Evaluations {
    send: Sender,
    jobs: Option<Jobs>,
    reading: LatestTask,
    items: LatestTask,
    comparing: LatestTask,
    /// What was read of the evaluation that was read last.
    seen: Arc<Mutex<(String, Seen)>>,
}

impl Evaluations {
    /// Nothing is read yet.
    pub fn new(send: Sender) -> Self {
        Self {
            send,
            jobs: None,
            reading: LatestTask::new("evaluation"),
            items: LatestTask::new("items"),
            comparing: LatestTask::new("differences"),
            seen: Arc::default(),
        }
    }

    /// The library's jobs are known.
    pub fn set_jobs(&mut self, jobs: Jobs) {
        self.jobs = Some(jobs);
    }

    /// Begins an effect; returns at once.
    pub fn run(&mut self, effect: EvalEffect) {
        let send = self.send.clone();
        let answer = move |cancel: &Cancel, message: EvalMessage| {
            if !cancel.is_cancelled() {
                send.send(message);
            }
        };
        match effect {
            EvalEffect::Read { ticket, id } => {
                let Some(jobs) = self.jobs.clone() else { return };
                let seen = self.seen.clone();
                self.reading.run(self.send.clone(), move |cancel| {
                    // What was seen is only a cache: a panic elsewhere cannot make it wrong.
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    let result = read(&jobs, &id, &mut seen, cancel).map(Arc::new);
                    let result = result.map_err(|error| error.to_string());
                    answer(cancel, EvalMessage::Read { ticket, result });
                });
            }
            EvalEffect::Items { ticket, evaluated, task } => {
                self.items.run(self.send.clone(), move |cancel| {
                    let result = TaskItems::read(&evaluated.spec, &evaluated.report, task, cancel);
                    let result = result.map(Arc::new).map_err(|error| error.to_string());
                    answer(cancel, EvalMessage::Items { ticket, result });
                });
            }
            EvalEffect::Compare { ticket, evaluated, tasks, group, against } => {
                self.comparing.run(self.send.clone(), move |cancel| {
                    let over = (tasks.as_slice(), group.as_deref());
                    let result = differences(&evaluated.spec, &evaluated.report, over, against, cancel);
                    let result = result.map_err(|error| error.to_string());
                    answer(cancel, EvalMessage::Compared { ticket, result });
                });
            }
            EvalEffect::Save { ticket, evaluated, path, over } => {
                spawn("saving", self.send.clone(), move || {
                    let result = save(&evaluated.report, &path, over);
                    answer(&Cancel::new(), EvalMessage::Saved { ticket, result });
                });
            }
        }
    }
}

/// An evaluation as its job left it, or as far as it is.
fn read(jobs: &Jobs, id: &str, seen: &mut (String, Seen), cancel: &Cancel) -> Result<Evaluated> {
    let detail = jobs.detail(id)?;
    let spec = detail.job.as_ref().and_then(|job| job.get::<EvalSpec>());
    let spec = spec.cloned().ok_or_else(|| {
        let why = detail.summary.error.clone();
        Error::msg(why.unwrap_or_else(|| format!("what the job {id} was asked cannot be read")))
    })?;
    let (report, known) = match &detail.outcome {
        Some(Ok(report)) => (report.get::<EvalSpec>().cloned().unwrap_or_default(), None),
        Some(Err(error)) => return Err(Error::msg(error.clone())),
        None => {
            if seen.0 != id {
                *seen = (id.to_string(), Seen::default());
            }
            let outline = jobs.outline(id)?;
            let mut report =
                outline.and_then(|outline| outline.get::<EvalSpec>().cloned()).unwrap_or_default();
            let known = seen.1.fill(&spec, &mut report, cancel)?;
            (report, Some(known))
        }
    };
    Ok(Evaluated {
        spec,
        report,
        known,
        stage: detail.progress.stage.clone(),
        left: detail.progress.eta_seconds,
        ended: detail.ended,
        job: detail.summary,
    })
}

/// Writes a table into a file, as its ending says; where. A file that is there stays unless it is to be replaced.
fn save(report: &EvalReport, path: &str, over: bool) -> Result<PathBuf, Unsaved> {
    let failed = |error: Error| Unsaved::Failed(error.to_string());
    let typed = path_of(path);
    let bytes = Format::of_name(&typed).and_then(|format| format.bytes(report)).map_err(failed)?;
    let path = std::path::absolute(&typed).map_err(|error| failed(Error::io(&typed, error)))?;
    if path.symlink_metadata().is_ok() && !over {
        return Err(Unsaved::Exists);
    }
    atomic_write(&path, &bytes).map_err(failed)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn a_file_that_is_there_is_replaced_only_when_asked_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.md");
        let typed = path.to_str().unwrap();
        let report = fixtures::evaluated().report;
        assert_eq!(save(&report, typed, false), Ok(path.clone()));
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(save(&report, typed, false), Err(Unsaved::Exists));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        save(&report, typed, true).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("| task |"));
        let Err(Unsaved::Failed(error)) = save(&report, "table.pdf", false) else { panic!("a pdf") };
        assert!(error.contains("must end in"), "{error}");
        let nowhere = dir.path().join("nowhere/table.md");
        assert!(matches!(save(&report, nowhere.to_str().unwrap(), true), Err(Unsaved::Failed(_))));
    }
}

//! What jobs do once it is their turn.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::directory::STATE;
use super::events::EventLog;
use super::files::now;
use super::{ClusterSpec, JobEvent, JobRow, JobSpec};
use crate::analysis::{self, Metric};
use crate::model::open_library;
use crate::text::counted;
use crate::train::{self, ClusterRow, ClustersEvent, ClustersSpec, TrainEvent, TrainSpec};
use crate::{Cancel, Error, Result};

/// Does the work of `spec` for the job in the directory `job`, reporting to `events`; returns what goes into
/// the result.
pub fn run(spec: &JobSpec, job: &Path, events: &mut EventLog, cancel: &Cancel) -> Result<Value> {
    match spec {
        JobSpec::Train(spec) => train(spec, job, events, cancel),
        JobSpec::Cluster(spec) => cluster(spec, events, cancel),
        JobSpec::TrainClusters(spec) => train_clusters(spec, events, cancel),
    }
}

/// The train command's JSON. Its state in the job's directory is what a resumed job goes on from.
fn train(spec: &TrainSpec, job: &Path, events: &mut EventLog, cancel: &Cancel) -> Result<Value> {
    let mut tell = |event: TrainEvent| match event {
        TrainEvent::Stage(text) => events.stage(&text),
        TrainEvent::Started { steps, .. } => {
            events.started(steps);
            step_of(event).into_iter().for_each(|step| events.step(step));
        }
        TrainEvent::Step { .. } => step_of(event).into_iter().for_each(|step| events.step(step)),
    };
    let report = train::train(spec, Some(&job.join(STATE)), &mut tell, cancel)?;
    serde_json::to_value(report).map_err(|error| Error::msg(error.to_string()))
}

/// What readers of a job see of a training's event: the base's loss as step 0, and each step.
fn step_of(event: TrainEvent) -> Option<JobEvent> {
    match event {
        TrainEvent::Started { step: 0, steps, base_validation_loss: Some(loss) } => Some(JobEvent::Step {
            time: now(),
            step: 0,
            steps,
            loss: None,
            validation_loss: Some(loss),
            learning_rate: None,
            tokens_per_second: None,
            eta_seconds: None,
            row: None,
        }),
        TrainEvent::Step {
            step,
            steps,
            loss,
            validation_loss,
            learning_rate,
            tokens_per_second,
            eta_seconds,
        } => Some(JobEvent::Step {
            time: now(),
            step,
            steps,
            loss: Some(loss),
            validation_loss,
            learning_rate: Some(learning_rate),
            tokens_per_second: Some(tokens_per_second),
            eta_seconds: Some(eta_seconds),
            row: None,
        }),
        _ => None,
    }
}

/// The train-clusters command's JSON: one row an expert, one count of steps over all.
fn train_clusters(spec: &ClustersSpec, events: &mut EventLog, cancel: &Cancel) -> Result<Value> {
    let mut rows: Vec<ClusterRow> = Vec::new();
    // When the first step of this worker began, and after how many.
    let mut pace: Option<(Instant, usize)> = None;
    let mut tell = |event: ClustersEvent| match event {
        ClustersEvent::Stage(text) => events.stage(&text),
        ClustersEvent::Rows(all) => {
            events.started(all.iter().map(|row| row.steps).sum());
            events.rows(all.iter().map(row_of).collect());
            rows = all;
        }
        ClustersEvent::Training { row, event: TrainEvent::Stage(text) } => {
            let name = rows.get(row).map_or("", |row| row.name.as_str());
            events.stage(&format!("{name}: {text}"));
        }
        ClustersEvent::Training { row, event } => {
            let before: usize = rows.iter().take(row).map(|row| row.steps).sum();
            let all: usize = rows.iter().map(|row| row.steps).sum();
            if let TrainEvent::Started { step, .. } = event {
                pace.get_or_insert((Instant::now(), before + step));
            }
            let Some(JobEvent::Step {
                time,
                step,
                loss,
                validation_loss,
                learning_rate,
                tokens_per_second,
                ..
            }) = step_of(event)
            else {
                return;
            };
            let step = before + step;
            let eta_seconds = pace.and_then(|(began, first)| {
                let made = step.checked_sub(first).filter(|made| *made > 0)?;
                Some(began.elapsed().as_secs_f64() / made as f64 * all.saturating_sub(step) as f64)
            });
            events.step(JobEvent::Step {
                time,
                step,
                steps: all,
                loss,
                validation_loss,
                learning_rate,
                tokens_per_second,
                eta_seconds,
                row: Some(row),
            });
        }
    };
    let report = train::train_clusters(spec, &mut tell, cancel)?;
    report.warnings.iter().for_each(|warning| events.log(warning));
    serde_json::to_value(report).map_err(|error| Error::msg(error.to_string()))
}

fn row_of(row: &ClusterRow) -> JobRow {
    let report = row.report.as_ref();
    JobRow {
        name: row.name.clone(),
        members: row.members.clone(),
        step: report.map_or(0, |_| row.steps),
        steps: row.steps,
        loss: report.map(|report| report.train_loss),
        validation_loss: report.and_then(|report| report.validation_loss),
    }
}

/// The cluster command's JSON, with the experts that were left out.
fn cluster(spec: &ClusterSpec, events: &mut EventLog, cancel: &Cancel) -> Result<Value> {
    events.stage("reading the library");
    let library = open_library(&spec.library, spec.base.as_deref())?;
    let experts = library.comparable().count();
    if spec.k == 0 || spec.k > experts {
        return Err(Error::usage(format!(
            "k is {}, but the library has {}",
            spec.k,
            counted(experts, "usable expert")
        )));
    }
    cancel.check()?;
    events.stage("comparing the experts");
    let mut progress = |step: usize, steps: usize| {
        events.step(JobEvent::Step {
            time: now(),
            step,
            steps,
            loss: None,
            validation_loss: None,
            learning_rate: None,
            tokens_per_second: None,
            eta_seconds: None,
            row: None,
        });
    };
    let similarity = analysis::similarity(&library, Metric::default(), spec.sparsity, &mut progress, cancel)?;
    for warning in &similarity.warnings {
        events.log(warning);
    }
    cancel.check()?;
    events.stage("clustering");
    let clustering = analysis::cluster(&similarity, spec.k, spec.seed, cancel)?;
    let skipped = similarity.skipped.iter().map(|(name, reason)| json!({ "name": name, "reason": reason }));
    let skipped: Vec<Value> = skipped.collect();
    Ok(json!({
        "k": clustering.k,
        "seed": clustering.seed,
        "sparsity": spec.sparsity,
        "experts": clustering.experts,
        "labels": clustering.labels,
        "inertia": clustering.inertia,
        "silhouette": clustering.silhouette,
        "skipped": skipped,
    }))
}

//! What jobs do once it is their turn.

use std::path::Path;

use serde_json::{Value, json};

use super::directory::STATE;
use super::events::EventLog;
use super::files::now;
use super::{ClusterSpec, JobEvent, JobSpec};
use crate::analysis::{self, Metric};
use crate::model::open_library;
use crate::train::{self, TrainEvent, TrainSpec};
use crate::{Cancel, Error, Result};

/// Does the work of `spec` for the job in the directory `job`, reporting to `events`; returns what goes into
/// the result.
pub fn run(spec: &JobSpec, job: &Path, events: &mut EventLog, cancel: &Cancel) -> Result<Value> {
    match spec {
        JobSpec::Train(spec) => train(spec, job, events, cancel),
        JobSpec::Cluster(spec) => cluster(spec, events, cancel),
    }
}

/// The train command's JSON. Its state in the job's directory is what a resumed job goes on from.
fn train(spec: &TrainSpec, job: &Path, events: &mut EventLog, cancel: &Cancel) -> Result<Value> {
    let mut report = |event: TrainEvent| match event {
        TrainEvent::Stage(text) => events.stage(&text),
        TrainEvent::Started { step, steps, base_validation_loss } => {
            events.started(steps);
            if step == 0 && base_validation_loss.is_some() {
                events.step(JobEvent::Step {
                    time: now(),
                    step: 0,
                    steps,
                    loss: None,
                    validation_loss: base_validation_loss,
                    learning_rate: None,
                    tokens_per_second: None,
                    eta_seconds: None,
                });
            }
        }
        TrainEvent::Step {
            step,
            steps,
            loss,
            validation_loss,
            learning_rate,
            tokens_per_second,
            eta_seconds,
        } => events.step(JobEvent::Step {
            time: now(),
            step,
            steps,
            loss: Some(loss),
            validation_loss,
            learning_rate: Some(learning_rate),
            tokens_per_second: Some(tokens_per_second),
            eta_seconds: Some(eta_seconds),
        }),
    };
    let report = train::train(spec, Some(&job.join(STATE)), &mut report, cancel)?;
    serde_json::to_value(report).map_err(|error| Error::msg(error.to_string()))
}

/// The cluster command's JSON, with the experts that were left out.
fn cluster(spec: &ClusterSpec, events: &mut EventLog, cancel: &Cancel) -> Result<Value> {
    events.stage("reading the library");
    let library = open_library(&spec.library, spec.base.as_deref())?;
    let experts: Vec<_> = library.comparable().collect();
    if spec.k == 0 || spec.k > experts.len() {
        return Err(Error::usage(format!(
            "k is {}, but the library has {} usable experts",
            spec.k,
            experts.len()
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
        });
    };
    let similarity = analysis::similarity(&experts, Metric::Mbc, spec.sparsity, &mut progress, cancel)?;
    for warning in &similarity.warnings {
        events.log(warning);
    }
    cancel.check()?;
    events.stage("clustering");
    let clustering = analysis::cluster(&similarity, spec.k, spec.seed)?;
    let left = library.experts.iter().filter_map(|e| Some((e.name.clone(), e.incomparable()?.to_string())));
    let skipped: Vec<Value> = left
        .chain(similarity.skipped.iter().cloned())
        .map(|(name, reason)| json!({ "name": name, "reason": reason }))
        .collect();
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

//! Jobs and reports of any kind, without their types.

use std::any::Any;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::job::{Around, Findings, Job, JobContext, Use};
use super::next::{Next, Step};
use super::{KINDS, Kind};
use crate::settings::{CommandOption, Entry, Look, Refusal};
use crate::train::{ClustersSpec, TrainReport, TrainSpec};
use crate::{Error, Result};

/// A job of any kind.
#[derive(Debug)]
pub struct AnyJob(Box<dyn Erased>);

impl AnyJob {
    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        self.0.kind()
    }

    /// The job as one of this kind, if it is one.
    pub fn get<J: Job>(&self) -> Option<&J> {
        self.0.as_any().downcast_ref()
    }

    /// Reads `spec.json`.
    ///
    /// # Errors
    /// What is no job, or of a kind that this version does not know, in words.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let broken = |error: serde_json::Error| format!("cannot be read: {error}");
        let mut value: Value = serde_json::from_slice(bytes).map_err(broken)?;
        let name = value.as_object_mut().and_then(|fields| fields.remove("kind"));
        let Some(name) = name.as_ref().and_then(Value::as_str) else {
            return Err("names no kind of job".into());
        };
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            return Err(format!("is a job of the kind {name:?}, which this version does not know"));
        };
        (kind.read)(value).map_err(broken)
    }

    /// See [`Job::title`].
    pub fn title(&self) -> String {
        self.0.title()
    }

    /// See [`Job::prepare`].
    ///
    /// # Errors
    /// As there.
    pub fn prepare(&mut self) -> Result<()> {
        self.0.prepare()
    }

    /// See [`Job::estimate`].
    pub fn estimate(&mut self) {
        self.0.estimate();
    }

    /// See [`Job::paths`].
    pub fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
        self.0.paths(visit);
    }

    /// Every path that the job reads or writes.
    pub fn uses(&self) -> Vec<(Use, PathBuf)> {
        let mut found = Vec::new();
        self.clone().paths(&mut |path, how| found.push((how, path.clone())));
        found
    }

    /// See [`Job::check_new`].
    ///
    /// # Errors
    /// As there.
    pub fn check_new(&self) -> Result<()> {
        self.0.check_new()
    }

    /// See [`Job::check_begin`].
    ///
    /// # Errors
    /// As there.
    pub fn check_begin(&self, waits: bool) -> Result<()> {
        self.0.check_begin(waits)
    }

    /// See [`Job::is_made`].
    pub fn is_made(&self) -> bool {
        self.0.is_made()
    }

    /// See [`Job::check_resumed`].
    ///
    /// # Errors
    /// As there.
    pub fn check_resumed(&self) -> Result<()> {
        self.0.check_resumed()
    }

    /// See [`Job::run`].
    ///
    /// # Errors
    /// As there.
    pub(in crate::jobs) fn run(&self, context: &mut JobContext<'_>) -> Result<AnyReport> {
        self.0.run(context)
    }

    /// See [`Job::facts`].
    pub fn facts(&self) -> Vec<String> {
        self.0.facts()
    }

    /// What can be done once it has ended, whether or not it came to a report.
    pub fn next(&self, report: Option<&AnyReport>) -> Vec<Next> {
        let mut all = report.map_or_else(Vec::new, |report| self.0.next(report));
        all.extend(self.start("Start another like this one, with other settings"));
        all
    }

    /// The step that starts this job, after a look at its settings.
    pub(super) fn start(&self, text: &str) -> Option<Next> {
        let spec = serde_json::to_value(self).ok()?;
        Some(Next { text: text.into(), step: Step::Start(spec) })
    }

    /// See [`Job::training`].
    pub fn training(&self) -> Option<&TrainSpec> {
        self.0.training()
    }

    /// See [`Job::clusters`].
    pub fn clusters(&self) -> Option<&ClustersSpec> {
        self.0.clusters()
    }

    /// What a form shows of its settings.
    pub fn looks(&self) -> Vec<Look> {
        self.0.looks()
    }

    /// What the command line shows of its settings.
    pub fn options(&self) -> Vec<CommandOption> {
        self.0.options()
    }

    /// The value of a setting as typed.
    pub fn text(&self, id: &str) -> String {
        self.0.text(id)
    }

    /// Takes a typed text for a setting.
    ///
    /// # Errors
    /// What it has to be.
    pub fn set(&mut self, id: &str, text: &str) -> Result<(), Refusal> {
        self.0.set(id, text)
    }

    /// What is wrong with the value of a setting given the others, if anything.
    pub fn problem(&self, id: &str) -> Option<String> {
        self.0.problem(id)
    }

    /// The paths of a setting that has some, as they would be typed.
    pub fn paths_of(&self, id: &str) -> Vec<String> {
        let value = self.0.value().unwrap_or_default();
        let paths = value.get(id).and_then(Value::as_array).cloned().unwrap_or_default();
        paths.iter().filter_map(Value::as_str).map(String::from).collect()
    }

    /// Takes paths for a setting that has some.
    pub fn set_paths(&mut self, id: &str, paths: Vec<PathBuf>) {
        self.0.set_paths(id, paths);
    }

    /// See [`Job::each`].
    ///
    /// # Errors
    /// As there.
    pub fn each(&self) -> Result<Vec<Self>> {
        self.0.each()
    }

    /// See [`Job::suggest`].
    pub fn suggest(&self, id: &str, around: &Around<'_>) -> Option<String> {
        self.0.suggest(id, around)
    }
}

impl<J: Job> From<J> for AnyJob {
    fn from(job: J) -> Self {
        Self(Box::new(job))
    }
}

impl Clone for AnyJob {
    fn clone(&self) -> Self {
        self.0.boxed()
    }
}

impl PartialEq for AnyJob {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other)
    }
}

/// As `spec.json` has it: the `kind`, then the fields of the job.
impl Serialize for AnyJob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serde_json::Map::new();
        fields.insert("kind".into(), self.kind().name.into());
        match self.0.value().map_err(serde::ser::Error::custom)? {
            Value::Object(own) => fields.extend(own),
            _ => return Err(serde::ser::Error::custom("a job is an object")),
        }
        fields.serialize(serializer)
    }
}

/// What a finished job of any kind reports. Clones share it.
#[derive(Clone, Debug)]
pub struct AnyReport(Arc<dyn ErasedReport>);

impl AnyReport {
    /// The report as that of a job of this kind, if it is one.
    pub fn get<J: Job>(&self) -> Option<&J::Report> {
        self.0.as_any().downcast_ref::<Reported<J>>().map(|reported| &reported.report)
    }

    /// See [`Job::findings`].
    pub fn findings(&self) -> Findings {
        self.0.findings()
    }

    /// See [`Job::trained`].
    pub fn trained(&self) -> Vec<(&str, Option<&TrainReport>)> {
        self.0.trained()
    }

    /// As `result.json` has it.
    ///
    /// # Errors
    /// What JSON cannot say.
    pub fn value(&self) -> Result<Value> {
        self.0.value().map_err(|error| Error::msg(error.to_string()))
    }
}

impl PartialEq for AnyReport {
    fn eq(&self, other: &Self) -> bool {
        self.0.value().ok() == other.0.value().ok()
    }
}

/// A report made from a job's own.
pub fn report_of<J: Job>(report: J::Report) -> AnyReport {
    AnyReport(Arc::new(Reported::<J> { report }))
}

/// [`Job`] without its type.
trait Erased: Debug + Send + Sync {
    fn kind(&self) -> &'static Kind;
    fn as_any(&self) -> &dyn Any;
    fn boxed(&self) -> AnyJob;
    fn equals(&self, other: &AnyJob) -> bool;
    fn value(&self) -> serde_json::Result<Value>;
    fn title(&self) -> String;
    fn prepare(&mut self) -> Result<()>;
    fn estimate(&mut self);
    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use));
    fn check_new(&self) -> Result<()>;
    fn check_begin(&self, waits: bool) -> Result<()>;
    fn is_made(&self) -> bool;
    fn check_resumed(&self) -> Result<()>;
    fn run(&self, context: &mut JobContext<'_>) -> Result<AnyReport>;
    fn facts(&self) -> Vec<String>;
    fn next(&self, report: &AnyReport) -> Vec<Next>;
    fn training(&self) -> Option<&TrainSpec>;
    fn clusters(&self) -> Option<&ClustersSpec>;
    fn each(&self) -> Result<Vec<AnyJob>>;
    fn looks(&self) -> Vec<Look>;
    fn options(&self) -> Vec<CommandOption>;
    fn text(&self, id: &str) -> String;
    fn set(&mut self, id: &str, text: &str) -> Result<(), Refusal>;
    fn problem(&self, id: &str) -> Option<String>;
    fn set_paths(&mut self, id: &str, paths: Vec<PathBuf>);
    fn suggest(&self, id: &str, around: &Around<'_>) -> Option<String>;
}

/// The setting of `J` with this name.
fn entry<J: Job>(id: &str) -> Option<&'static dyn Entry<J>> {
    J::settings().iter().map(|entry| &**entry).find(|entry| entry.id() == id)
}

impl<J: Job> Erased for J {
    fn kind(&self) -> &'static Kind {
        Kind::named::<J>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn boxed(&self) -> AnyJob {
        AnyJob::from(self.clone())
    }

    fn equals(&self, other: &AnyJob) -> bool {
        other.get::<J>() == Some(self)
    }

    fn value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn title(&self) -> String {
        Job::title(self)
    }

    fn prepare(&mut self) -> Result<()> {
        Job::prepare(self)
    }

    fn estimate(&mut self) {
        Job::estimate(self);
    }

    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
        Job::paths(self, visit);
    }

    fn check_new(&self) -> Result<()> {
        Job::check_new(self)
    }

    fn check_begin(&self, waits: bool) -> Result<()> {
        Job::check_begin(self, waits)
    }

    fn is_made(&self) -> bool {
        Job::is_made(self)
    }

    fn check_resumed(&self) -> Result<()> {
        Job::check_resumed(self)
    }

    fn run(&self, context: &mut JobContext<'_>) -> Result<AnyReport> {
        Job::run(self, context).map(report_of::<J>)
    }

    fn facts(&self) -> Vec<String> {
        Job::facts(self)
    }

    fn next(&self, report: &AnyReport) -> Vec<Next> {
        report.get::<J>().map_or_else(Vec::new, |report| Job::next(self, report))
    }

    fn training(&self) -> Option<&TrainSpec> {
        Job::training(self)
    }

    fn clusters(&self) -> Option<&ClustersSpec> {
        Job::clusters(self)
    }

    fn each(&self) -> Result<Vec<AnyJob>> {
        Ok(Job::each(self)?.into_iter().map(AnyJob::from).collect())
    }

    fn looks(&self) -> Vec<Look> {
        J::settings().iter().filter_map(|entry| entry.look()).collect()
    }

    fn options(&self) -> Vec<CommandOption> {
        J::settings().iter().filter_map(|entry| entry.option()).collect()
    }

    fn text(&self, id: &str) -> String {
        entry::<J>(id).map_or(String::new(), |entry| entry.text(self))
    }

    fn set(&mut self, id: &str, text: &str) -> Result<(), Refusal> {
        entry::<J>(id).map_or(Ok(()), |entry| entry.set(self, text))
    }

    fn problem(&self, id: &str) -> Option<String> {
        entry::<J>(id)?.problem(self)
    }

    fn set_paths(&mut self, id: &str, paths: Vec<PathBuf>) {
        if let Some(entry) = entry::<J>(id) {
            entry.set_paths(self, paths);
        }
    }

    fn suggest(&self, id: &str, around: &Around<'_>) -> Option<String> {
        Job::suggest(self, id, around)
    }
}

/// A report with the kind of its job.
#[derive(Debug)]
struct Reported<J: Job> {
    report: J::Report,
}

/// A report without its type.
trait ErasedReport: Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn findings(&self) -> Findings;
    fn trained(&self) -> Vec<(&str, Option<&TrainReport>)>;
    fn value(&self) -> serde_json::Result<Value>;
}

impl<J: Job> ErasedReport for Reported<J> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn findings(&self) -> Findings {
        J::findings(&self.report)
    }

    fn trained(&self) -> Vec<(&str, Option<&TrainReport>)> {
        J::trained(&self.report)
    }

    fn value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.report)
    }
}

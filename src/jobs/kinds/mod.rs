//! The kinds of jobs, a file each: what a job is asked to do, how it is checked, done and described.
//!
//! [`KINDS`] is the only list of them. Forms, commands and readers go through it.

mod cluster;
mod train;
mod train_clusters;

use std::any::Any;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::events::EventLog;
use crate::library::Skipped;
use crate::settings::{self, CommandOption, Entry, Look};
use crate::train::{ClustersSpec, TrainSpec};
use crate::{Cancel, Error, Result};

pub use cluster::{CLUSTER, ClusterReport, ClusterSpec};
pub use train::TRAIN;
pub use train_clusters::TRAIN_CLUSTERS;

/// All kinds, in the order of lists.
pub static KINDS: &[&Kind] = &[&TRAIN, &CLUSTER, &TRAIN_CLUSTERS];

/// What a worker works with.
#[derive(Debug)]
pub struct JobContext<'a> {
    /// Where the state is kept that a resumed job begins with.
    pub state: &'a Path,
    /// Where progress is written.
    pub events: &'a mut EventLog,
    /// Raised when the job is to stop.
    pub cancel: &'a Cancel,
}

/// A kind of job. The value is what one job is asked to do, as `spec.json` holds it.
pub trait Job:
    Serialize + DeserializeOwned + Clone + Debug + Default + PartialEq + Send + Sync + 'static
{
    /// The `kind` in `spec.json` and on the command line.
    const KIND: &'static str;
    /// Heading of its form.
    const HEADING: &'static str;
    /// Whether what was done is kept when the job is cancelled, so that it is resumed from there; other jobs begin
    /// again.
    const RESUMES: bool;
    /// What a second job of the same title would also be doing, where that cannot be ("training").
    const UNIQUE: Option<&'static str> = None;

    /// What a finished job reports, as `result.json` holds it.
    type Report: Serialize + DeserializeOwned + Debug + PartialEq + Send + Sync;

    /// Its settings, in the order of forms, help and details: a form shows those with a label, the command line
    /// those with a flag. One with the id `base` is the path of the base model.
    fn settings() -> &'static [Box<dyn Entry<Self>>];

    /// A new job with the defaults, where the person is.
    fn fresh(around: &Around<'_>) -> Self;

    /// What an untouched field could say, given the others.
    fn suggest(&self, _id: &str, _around: &Around<'_>) -> Option<String> {
        None
    }

    /// The new expert's name, or what is clustered or made (`library, k = 4`).
    fn title(&self) -> String;

    /// Checks what can be checked at once and makes paths absolute: workers may run elsewhere. What takes long
    /// to check is the worker's.
    ///
    /// # Errors
    /// A job that cannot work (usage), or paths that are not there.
    fn prepare(&mut self) -> Result<()>;

    /// Notes what the job will take, once, before it is written down.
    fn estimate(&mut self) {}

    /// Shows every path that the job reads or writes, with what it does there: to list them, and to follow a library
    /// that has moved.
    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use));

    /// Checks a job that is to be started: what it makes must not be there yet.
    ///
    /// # Errors
    /// What is in the way.
    fn check_new(&self) -> Result<()> {
        Ok(())
    }

    /// Checks a job that is to be resumed: its directory may come from anywhere.
    ///
    /// # Errors
    /// Anything that it would write over.
    fn check_resumed(&self) -> Result<()> {
        Ok(())
    }

    /// Does the work.
    ///
    /// # Errors
    /// Whatever ends it; a raised `cancel`.
    fn run(&self, context: &mut JobContext<'_>) -> Result<Self::Report>;

    /// What was asked for, in a few short facts.
    fn facts(&self) -> Vec<String> {
        settings::facts(Self::settings(), self)
    }

    /// What a job found out, for people.
    fn findings(report: &Self::Report) -> Findings;

    /// The training that it does, once or several times.
    fn training(&self) -> Option<&TrainSpec> {
        None
    }

    /// What it trains for each cluster, where it does: a form shows the plan.
    fn clusters(&self) -> Option<&ClustersSpec> {
        None
    }
}

/// What a job does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Its library, which it reads and may write new experts into.
    Library,
    /// Reads what is there.
    Reads,
    /// Writes there.
    Writes,
}

/// Where a person is who starts a job.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The library, as it was opened.
    pub library: &'a Path,
    /// Base model and device, where they were chosen.
    pub base: Option<&'a Path>,
    /// `--device`.
    pub device: &'a str,
    /// Experts that can be compared.
    pub comparable: usize,
    /// k and seed of the clustering that is shown, and the sparsity of the similarity.
    pub k: Option<usize>,
    /// Seed of the clustering that is shown.
    pub seed: Option<u64>,
    /// Sparsity of the similarity that is shown.
    pub sparsity: Option<f64>,
}

impl Default for Around<'_> {
    fn default() -> Self {
        Self {
            library: Path::new(""),
            base: None,
            device: "",
            comparable: 0,
            k: None,
            seed: None,
            sparsity: None,
        }
    }
}

/// What a job made.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// An expert of the job's library.
    Expert(String),
    /// Clusters of its experts, by what gives them again.
    Clusters {
        /// Number of clusters.
        k: usize,
        /// Of k-means.
        seed: u64,
        /// Share of each expert's smallest entries that counts as zero.
        sparsity: f64,
    },
    /// A library, in this folder.
    Library(PathBuf),
}

/// What a job found out, for people; all text is untrusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// What there is now, in a sentence without a full stop: `money is trained: validation 0.51, base 2.05`.
    pub headline: String,
    /// What it made, where that can be looked at.
    pub made: Option<Made>,
    /// Short facts, in the order in which they are shown.
    pub facts: Vec<String>,
    /// Members of each cluster, by its number.
    pub clusters: Vec<(usize, Vec<String>)>,
    /// Experts that were left out, and why.
    pub left_out: Vec<Skipped>,
}

/// What is known of a kind without a job of it.
pub struct Kind {
    /// `Job::KIND`.
    pub name: &'static str,
    /// `Job::HEADING`.
    pub heading: &'static str,
    /// `Job::RESUMES`.
    pub resumes: bool,
    /// `Job::UNIQUE`.
    pub unique: Option<&'static str>,
    fresh: fn(&Around<'_>) -> AnyJob,
    read: fn(Value) -> serde_json::Result<AnyJob>,
    read_report: fn(Value) -> serde_json::Result<AnyReport>,
}

impl Kind {
    /// The kind of `J`.
    const fn of<J: Job>() -> Self {
        Self {
            name: J::KIND,
            heading: J::HEADING,
            resumes: J::RESUMES,
            unique: J::UNIQUE,
            fresh: |around| AnyJob::from(J::fresh(around)),
            read: |value| J::deserialize(value).map(AnyJob::from),
            read_report: |value| {
                Ok(AnyReport(Arc::new(Reported::<J> { report: J::Report::deserialize(value)? })))
            },
        }
    }

    /// The entry of `J` in the table.
    pub fn named<J: Job>() -> &'static Self {
        // Every job's kind stands there: a test looks.
        KINDS.iter().copied().find(|kind| kind.name == J::KIND).unwrap_or(&TRAIN)
    }

    /// A new job of this kind with the defaults.
    pub fn fresh(&self, around: &Around<'_>) -> AnyJob {
        (self.fresh)(around)
    }

    /// Reads a report of this kind.
    ///
    /// # Errors
    /// What is no report of it.
    pub fn report(&self, value: Value) -> serde_json::Result<AnyReport> {
        (self.read_report)(value)
    }
}

impl Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

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
    pub(super) fn run(&self, context: &mut JobContext<'_>) -> Result<AnyReport> {
        self.0.run(context)
    }

    /// See [`Job::facts`].
    pub fn facts(&self) -> Vec<String> {
        self.0.facts()
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
    pub fn set(&mut self, id: &str, text: &str) -> Result<(), String> {
        self.0.set(id, text)
    }

    /// Takes paths for a setting that holds some.
    pub fn set_paths(&mut self, id: &str, paths: Vec<PathBuf>) {
        self.0.set_paths(id, paths);
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
    fn check_resumed(&self) -> Result<()>;
    fn run(&self, context: &mut JobContext<'_>) -> Result<AnyReport>;
    fn facts(&self) -> Vec<String>;
    fn training(&self) -> Option<&TrainSpec>;
    fn clusters(&self) -> Option<&ClustersSpec>;
    fn looks(&self) -> Vec<Look>;
    fn options(&self) -> Vec<CommandOption>;
    fn text(&self, id: &str) -> String;
    fn set(&mut self, id: &str, text: &str) -> Result<(), String>;
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

    fn check_resumed(&self) -> Result<()> {
        Job::check_resumed(self)
    }

    fn run(&self, context: &mut JobContext<'_>) -> Result<AnyReport> {
        Job::run(self, context).map(report_of::<J>)
    }

    fn facts(&self) -> Vec<String> {
        Job::facts(self)
    }

    fn training(&self) -> Option<&TrainSpec> {
        Job::training(self)
    }

    fn clusters(&self) -> Option<&ClustersSpec> {
        Job::clusters(self)
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

    fn set(&mut self, id: &str, text: &str) -> Result<(), String> {
        entry::<J>(id).map_or(Ok(()), |entry| entry.set(self, text))
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
    fn value(&self) -> serde_json::Result<Value>;
}

impl<J: Job> ErasedReport for Reported<J> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn findings(&self) -> Findings {
        J::findings(&self.report)
    }

    fn value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.report)
    }
}

/// The real path of what has to be there.
fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::io(path, error))
}

/// The real path of what may be there: else it is a name of something, or comes later, and the worker will say.
fn real_if_there(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// The whole path of what need not be there.
fn absolute(path: impl AsRef<Path>) -> PathBuf {
    std::path::absolute(&path).unwrap_or_else(|_| path.as_ref().to_path_buf())
}

/// `library, k = 4`.
fn clusters_title(folder: &Path, k: usize) -> String {
    format!("{}, k = {k}", folder.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_jobs_that_are_written_and_read_back() {
        let around = Around { library: Path::new("lib"), comparable: 8, ..Around::default() };
        for kind in KINDS {
            let job = kind.fresh(&around);
            assert_eq!(job.kind(), *kind);
            let text = serde_json::to_vec(&job).unwrap();
            assert!(text.starts_with(format!("{{\"kind\":\"{}\"", kind.name).as_bytes()));
            assert_eq!(AnyJob::read(&text).unwrap(), job);
            let options = job.options();
            for mut names in [
                job.looks().iter().map(|look| look.id).collect::<Vec<_>>(),
                options.iter().map(|option| option.id).collect(),
                options.iter().flat_map(|option| [option.flag, option.alias]).collect(),
            ] {
                names.retain(|name| !name.is_empty());
                let mut once = names.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!(once.len(), names.len(), "{names:?}");
            }
        }
    }

    #[test]
    fn every_path_of_a_job_is_shown() {
        let base = PathBuf::from("/base");
        let around =
            Around { library: Path::new("/library"), base: Some(&base), comparable: 8, ..Around::default() };
        for kind in KINDS {
            let mut job = kind.fresh(&around);
            for look in job.looks() {
                job.set_paths(look.id, vec!["/set".into()]);
                if look.is_path {
                    job.set(look.id, "/typed").unwrap();
                }
            }
            assert!(
                job.uses().iter().any(|(how, path)| *how == Use::Library && path == Path::new("/library"))
            );
            job.paths(&mut |path, _| *path = "shown".into());
            let text = serde_json::to_string(&job).unwrap();
            assert!(!text.contains("\"/"), "{}: {text}", kind.name);
        }
    }

    #[test]
    fn what_is_no_job_of_this_version_says_so() {
        let error = |text: &str| AnyJob::read(text.as_bytes()).unwrap_err();
        assert!(error("{\"kind\":\"tr").starts_with("cannot be read"));
        assert_eq!(error("{}"), "names no kind of job");
        assert!(error(r#"{"kind":"dance"}"#).contains("\"dance\", which this version does not know"));
        assert!(error(r#"{"kind":"cluster","k":-1}"#).starts_with("cannot be read"));
    }
}

//! What a kind of job has to say and do: its specification, its settings, the work, what came of it.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::measure::Measure;
use super::next::{Made, Next};
use crate::jobs::events::EventLog;
use crate::library::Skipped;
use crate::settings::{self, Entry};
use crate::train::{ClustersSpec, TrainReport, TrainSpec};
use crate::{Cancel, Result};

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

/// A kind of job. The value is what one job is asked to do, as `spec.json` has it.
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

    /// The setting that names what a job makes, where one can be split into a job for each of its datasets ([`Self::each`]):
    /// then each chooses its own.
    const EACH: Option<&'static str> = None;

    /// What the parts of its work are, where it has several.
    const PARTS: Parts = Parts { one: "expert", many: "experts", unit: "step", of: "made for" };

    /// What a finished job reports, as `result.json` has it.
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

    /// A job for each of its datasets, named after it.
    ///
    /// # Errors
    /// Datasets that cannot be found.
    fn each(&self) -> Result<Vec<Self>> {
        Ok(vec![self.clone()])
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

    /// Checks a job that is to be started as its worker would at its beginning, before there is a job. One that `waits`
    /// for others may need what they make.
    ///
    /// # Errors
    /// What the worker would say.
    fn check_begin(&self, _waits: bool) -> Result<()> {
        Ok(())
    }

    /// Whether what it makes is there already.
    fn is_made(&self) -> bool {
        false
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

    /// The experts that a job made or was to make by training, by name, with what came of those that are trained.
    fn trained(_report: &Self::Report) -> Vec<(&str, Option<&TrainReport>)> {
        Vec::new()
    }

    /// What can be done with what a job made, the most usual first. That a job like it may follow need not be said.
    fn next(&self, _report: &Self::Report) -> Vec<Next> {
        Vec::new()
    }

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

/// What the parts of a job's work are called, each in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// One of them.
    pub one: &'static str,
    /// Several.
    pub many: &'static str,
    /// What is counted in each.
    pub unit: &'static str,
    /// What stands beside each.
    pub of: &'static str,
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

/// What a job found out, for people; all text is untrusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// What there is now, in a sentence without a full stop: `money is trained: validation 0.51, base 2.05`.
    pub headline: String,
    /// What it made, where that can be looked at.
    pub made: Option<Made>,
    /// What came of it in one number.
    pub measure: Option<Measure>,
    /// Short facts, in the order in which they are shown.
    pub facts: Vec<String>,
    /// Members of each cluster, by its number.
    pub clusters: Vec<(usize, Vec<String>)>,
    /// Experts that were left out, and why.
    pub left_out: Vec<Skipped>,
}

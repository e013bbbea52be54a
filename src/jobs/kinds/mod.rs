//! The kinds of jobs, a file each: what a job is asked to do, how it is checked, done and described.
//!
//! [`KINDS`] is the only list of them. Forms, commands and readers go through it.

mod adapt;
mod any;
mod cluster;
mod eval;
mod job;
mod measure;
mod next;
mod rows;
mod train;
mod train_clusters;
mod train_many;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::text::counted;
use crate::train::Given;
use crate::{Error, Result};

pub use adapt::ADAPT;
pub use any::{AnyJob, AnyReport, report_of};
pub use cluster::{CLUSTER, ClusterReport, ClusterSpec};
pub(in crate::jobs) use eval::Heard;
pub use eval::{EVAL, EVALUATION};
pub use job::{Around, Findings, Job, JobContext, Parts, Use};
pub use measure::Measure;
pub use next::{Made, Next, Step};
pub use train::TRAIN;
pub use train_clusters::TRAIN_CLUSTERS;
pub use train_many::TRAIN_MANY;

/// All kinds, in the order of lists.
pub static KINDS: &[&Kind] = &[&TRAIN, &TRAIN_MANY, &CLUSTER, &TRAIN_CLUSTERS, &ADAPT, &EVAL];

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
    /// `Job::EACH`.
    pub each: Option<&'static str>,
    /// `Job::PARTS`.
    pub parts: Parts,
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
            each: J::EACH,
            parts: J::PARTS,
            fresh: |around| AnyJob::from(J::fresh(around)),
            read: |value| J::deserialize(value).map(AnyJob::from),
            read_report: |value| J::Report::deserialize(value).map(report_of::<J>),
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

/// The real path of what has to be there.
fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::io(path, error))
}

/// Puts the real path of what has to be there in the place of what was given, which is remembered.
fn make_real(path: &mut PathBuf, given: &mut Given) -> Result<()> {
    let real = real(path)?;
    given.note(&real, path);
    *path = real;
    Ok(())
}

/// The real path of what may be there: else it is a name of something, or comes later, and the worker will say.
fn real_if_there(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// The whole path of what need not be there.
fn absolute(path: impl AsRef<Path>) -> PathBuf {
    std::path::absolute(&path).unwrap_or_else(|_| path.as_ref().to_path_buf())
}

/// The folders of up to three tasks by their names, more of them by their number.
fn tasks_title(tasks: &[PathBuf]) -> String {
    const NAMED: usize = 3;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match tasks.len() {
        0..=NAMED => tasks.iter().map(name).collect::<Vec<_>>().join(", "),
        more => counted(more, "task"),
    }
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

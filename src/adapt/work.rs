//! The folder of an adaptation while it is made: starts, states, experts that are only compared. What is there is not made
//! again.

use std::path::{Path, PathBuf};

use super::report::AdaptReport;
use crate::library::{AdaptedFrom, Library, Manifest, SeenTask, Template};
use crate::module_path::kinds;
use crate::outside::{Lock, make_folders, own, sweep};
use crate::{Error, Result};

/// Largest report that is read back.
const MOST_BYTES: u64 = 64 << 20;

/// Folders in it: experts and starts, the states of trainings, and digests of what these were made of.
const EXPERTS: &str = "experts";
const STATES: &str = "states";
const MADE_OF: &str = "made-of";

/// The folder.
pub(super) struct Work {
    root: PathBuf,
    _lock: Lock,
}

impl Work {
    /// Opens the folder at `root`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or somebody works in it.
    pub fn open(root: &Path) -> Result<Self> {
        make_folders(root)?;
        match Lock::take_where_possible(&root.join("lock"))? {
            Some(lock) => Ok(Self { root: root.to_path_buf(), _lock: lock }),
            None => Err(Error::file(root, "this adaptation is being made already")),
        }
    }

    /// The library of experts that are only compared, with this template.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn library(&self, template: Option<Template>) -> Result<PathBuf> {
        let library = self.root.join(EXPERTS);
        make_folders(&library)?;
        // What writers that were killed left behind.
        sweep(&library);
        let path = library.join(Manifest::FILE);
        let text = toml::to_string(&Manifest { template, ..Manifest::default() });
        own::replace(&path, text.map_err(|e| Error::msg(e.to_string()))?.as_bytes())?;
        Ok(library)
    }

    /// Where the state of a training is kept.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn state(&self, name: &str) -> Result<PathBuf> {
        let states = self.root.join(STATES);
        make_folders(&states)?;
        Ok(states.join(format!("{name}.safetensors")))
    }

    /// Keeps of what was made under a name before only what was made of the same; `made_of` is a digest of that.
    ///
    /// # Errors
    /// When something cannot be read, removed or written.
    pub fn keep_same(&self, name: &str, made_of: &str) -> Result<()> {
        let digests = self.root.join(MADE_OF);
        make_folders(&digests)?;
        let path = digests.join(name);
        if own::read(&path, MOST_BYTES)?.as_deref() == Some(made_of.as_bytes()) {
            return Ok(());
        }
        for folder in [start_name(name), name.to_string()] {
            own::remove_folder(&self.root.join(EXPERTS).join(folder))?;
        }
        own::remove(&self.state(name)?)?;
        own::replace(&path, made_of.as_bytes())
    }

    /// The report, if all of it was done.
    pub fn report(&self) -> Option<AdaptReport> {
        let bytes = own::read(&self.root.join("report.json"), MOST_BYTES).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps the report, and removes what led to it.
    ///
    /// # Errors
    /// When the report cannot be written. What cannot be removed is only in the way.
    pub fn finish(&self, report: &AdaptReport) -> Result<()> {
        let text = serde_json::to_vec(report).map_err(|e| Error::msg(e.to_string()))?;
        own::replace(&self.root.join("report.json"), &text)?;
        for folder in [EXPERTS, STATES, MADE_OF] {
            let _ = own::remove_folder(&self.root.join(folder));
        }
        Ok(())
    }
}

/// The name of the adapter that the training of an expert starts from.
pub(super) fn start_name(expert: &str) -> String {
    format!("{expert}-start")
}

/// What a start that was made before is made of, what was learned before, and the kinds of layers that it has; `None` where
/// there is none.
pub(super) fn made_before(path: &Path) -> Option<(AdaptedFrom, Vec<SeenTask>, Vec<String>)> {
    if !own::is_taken(path) {
        return None;
    }
    let expert = Library::open(path).ok()?.experts.into_iter().next().filter(|expert| expert.is_usable())?;
    let mut targets: Vec<String> = kinds(expert.modules.iter().map(|module| module.module.as_str()))
        .into_iter()
        .map(String::from)
        .collect();
    targets.sort_unstable();
    let provenance = expert.provenance?;
    Some((provenance.adapted?, provenance.seen_before, targets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_of_something_else_is_made_again() {
        let place = tempfile::tempdir().unwrap();
        let work = Work::open(place.path()).unwrap();
        let library = work.library(None).unwrap();
        let make = || {
            for folder in [start_name("s0-8"), "s0-8".to_string()] {
                make_folders(&library.join(folder)).unwrap();
            }
            std::fs::write(work.state("s0-8").unwrap(), "state").unwrap();
        };
        let is_there = || {
            let start = library.join(start_name("s0-8")).exists();
            [start, library.join("s0-8").exists(), work.state("s0-8").unwrap().exists()]
        };
        // Of nobody knows what.
        make();
        work.keep_same("s0-8", "one").unwrap();
        assert_eq!(is_there(), [false; 3]);
        make();
        work.keep_same("s0-8", "one").unwrap();
        assert_eq!(is_there(), [true; 3]);
        work.keep_same("s1-8", "two").unwrap();
        assert_eq!(is_there(), [true; 3]);
        work.keep_same("s0-8", "two").unwrap();
        assert_eq!(is_there(), [false; 3]);
    }
}

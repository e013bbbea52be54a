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
        let library = self.root.join("experts");
        make_folders(&library)?;
        // What writers that were killed left behind.
        sweep(&library);
        let path = library.join(Manifest::FILE);
        if !own::is_taken(&path) {
            let text = toml::to_string(&Manifest { template, ..Manifest::default() });
            own::replace(&path, text.map_err(|e| Error::msg(e.to_string()))?.as_bytes())?;
        }
        Ok(library)
    }

    /// Where the state of a training is kept.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn state(&self, name: &str) -> Result<PathBuf> {
        let states = self.root.join("states");
        make_folders(&states)?;
        Ok(states.join(format!("{name}.safetensors")))
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
        for folder in ["experts", "states"] {
            let _ = own::remove_folder(&self.root.join(folder));
        }
        Ok(())
    }
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

//! What a batch of jobs that is handed over as one does: which jobs each of its tasks carries out.
//!
//! A file of JSON lines: a head, then a line of ids for each task. It says what a worker on another machine has to
//! find as it was: the version of the program, and what the library says of its base model and template.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::is_id;
use super::origin;
use crate::library;
use crate::outside::{hex, own};
use crate::{Error, Result};

/// Largest manifest that is read.
const MAX_SIZE: u64 = 1 << 28;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of the program.
    pub version: String,
    /// The submission, as `executor.json` of each of its jobs names it.
    pub token: String,
    /// [`library_mark`].
    pub library: String,
}

/// A batch of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What has to be as it was.
    pub head: Head,
    /// The jobs of each task, done one after the other.
    pub tasks: Vec<Vec<String>>,
}

impl Manifest {
    /// A batch of `jobs`, so many per task.
    pub fn new(token: &str, library: String, jobs: &[String], per_task: usize) -> Self {
        let head = Head { version: env!("CARGO_PKG_VERSION").into(), token: token.into(), library };
        Self { head, tasks: jobs.chunks(per_task.max(1)).map(<[String]>::to_vec).collect() }
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, path: &Path) -> Result<()> {
        let fail = |error: serde_json::Error| Error::msg(error.to_string());
        let mut text = serde_json::to_string(&self.head).map_err(fail)?;
        for task in &self.tasks {
            text.push('\n');
            text += &serde_json::to_string(task).map_err(fail)?;
        }
        text.push('\n');
        own::replace(path, text.as_bytes())
    }

    /// Reads one.
    ///
    /// # Errors
    /// A file that is missing, or no manifest.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            own::read(path, MAX_SIZE)?.ok_or_else(|| Error::file(path, "missing: no jobs are listed"))?;
        let fail = |error: serde_json::Error| Error::file(path, format!("cannot be read: {error}"));
        let mut lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let head = serde_json::from_slice(lines.next().unwrap_or_default()).map_err(fail)?;
        let tasks =
            lines.map(serde_json::from_slice).collect::<Result<Vec<Vec<String>>, _>>().map_err(fail)?;
        if tasks.iter().flatten().any(|id| !is_id(id)) {
            return Err(Error::file(path, "names what is no job"));
        }
        Ok(Self { head, tasks })
    }
}

/// A mark of what the library of the jobs in `jobs` says of its base model and its template: another one would give
/// other results. Empty where the jobs lie outside a library.
///
/// # Errors
/// A `library.toml` that cannot be read.
pub fn library_mark(jobs: &Path) -> Result<String> {
    use sha2::{Digest, Sha256};
    let Some(root): Option<PathBuf> = origin::library_of(&jobs.join("job")) else { return Ok(String::new()) };
    let library::Manifest { base, template, .. } = library::Manifest::read(&root)?;
    let text = serde_json::to_vec(&(base, template)).map_err(|error| Error::msg(error.to_string()))?;
    Ok(hex(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_as_it_was_and_names_jobs_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.jsonl");
        let ids: Vec<String> = (0..5).map(|n| format!("job-{n}")).collect();
        let manifest = Manifest::new("lora-train-1", "mark".into(), &ids, 2);
        assert_eq!(manifest.tasks.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        manifest.write(&path).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), manifest);
        for text in ["", "{}", "nonsense"] {
            std::fs::write(&path, text).unwrap();
            assert!(Manifest::read(&path).is_err(), "{text}");
        }
        let head = serde_json::to_string(&manifest.head).unwrap();
        std::fs::write(&path, format!("{head}\n[\"../../other\"]\n")).unwrap();
        assert!(Manifest::read(&path).unwrap_err().to_string().contains("what is no job"));
    }

    #[test]
    fn a_library_is_known_by_what_decides_its_results() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = dir.path().join(".lora-tui/jobs");
        std::fs::create_dir_all(&jobs).unwrap();
        let mark = |text: &str| {
            std::fs::write(dir.path().join("library.toml"), text).unwrap();
            library_mark(&jobs).unwrap()
        };
        let plain = mark("");
        assert_eq!(plain, mark("name = \"x\"\n[executor.slurm]\npartition = \"gpu\"\n"));
        assert_ne!(plain, mark("[base]\npath = \"model.gguf\"\n"));
        assert_eq!(library_mark(&dir.path().join("elsewhere")).unwrap(), "");
    }
}

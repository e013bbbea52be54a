//! Tasks out of datasets as others keep them. `tests/fixtures/import/make_import.py` writes those of pyarrow, pandas and
//! the datasets library.

mod hostile;
mod layouts;
mod options;
mod shapes;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use lora_tui::import::{ImportReport, ImportSpec, import};
use lora_tui::{Cancel, Result};
use serde_json::Value;

use crate::support::repository;

/// A folder for sources and tasks.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("tasks")
    }

    /// Writes a source file.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn source(&self) -> PathBuf {
        self.0.path().join("source")
    }

    fn spec(&self, source: impl AsRef<Path>) -> ImportSpec {
        ImportSpec { source: source.as_ref().into(), out: self.out(), ..ImportSpec::default() }
    }

    /// The lines of a split.
    fn lines(&self, task: &str, split: &str) -> Vec<Value> {
        let path = self.out().join(task).join(format!("{split}.jsonl"));
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All examples of a task.
    fn all(&self, task: &str) -> Vec<Value> {
        ["train", "validation", "test"].iter().flat_map(|split| self.lines(task, split)).collect()
    }

    /// Nothing is left beside what was asked for.
    fn is_clean(&self) {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "tasks" || name == "source", "{name}");
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    repository().join("tests/fixtures/import").join(name)
}

fn run(spec: &ImportSpec) -> Result<ImportReport> {
    import(spec, &Cancel::new(), &mut |_, _| {})
}

/// The one line of an import that fails and leaves nothing.
fn problem(desk: &Desk, spec: &ImportSpec) -> String {
    let error = run(spec).expect_err("it cannot be imported").to_string();
    assert!(error.lines().count() == 1 && !error.contains('\u{1b}'), "{error:?}");
    assert!(!desk.out().exists(), "{error}");
    desk.is_clean();
    error
}

fn texts<'v>(lines: &'v [Value], field: &str) -> HashSet<&'v str> {
    lines.iter().map(|line| line[field].as_str().unwrap()).collect()
}

fn counts(report: &ImportReport) -> Vec<(&str, u64, u64, u64)> {
    report.tasks.iter().map(|task| (task.task.as_str(), task.train, task.validation, task.test)).collect()
}

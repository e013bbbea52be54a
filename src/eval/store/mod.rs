//! What evaluations found out before: one record per method with all that it follows from, task and item.
//!
//! A method on a task is a file under `.lora-tui/results`, named by the hash of everything that its results follow
//! from: the method with all its settings and the content of its experts, the base model and its precision, the
//! template, the split's content, the scorer's version. Its lines are the items.

mod cell;
mod record;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use cell::{Cell, Known, Origin};
pub use record::Record;

use crate::library::state_dir;
use crate::outside::{hex, make_folders, own};
use crate::{Error, Result};

/// Part of every name: changes with what changes a result and is not among the rest.
const FORMULA: &str = "results 1";
/// Folder of the results in a library's folder for derived data.
const RESULTS: &str = "results";
/// Longest line that says what results follow from.
const MAX_ORIGIN: u64 = 1 << 24;
/// Of the names of its files.
const ENDING: &str = ".tsv";

/// The results of a library's methods.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// That of the library at `root`.
    ///
    /// # Errors
    /// When there is no place for derived data.
    pub fn of(root: &Path) -> Result<Self> {
        let folder = state_dir(root)?.join(RESULTS);
        make_folders(&folder)?;
        Ok(Self { folder })
    }

    /// What is known of `items` items of what has this origin.
    ///
    /// # Errors
    /// What is in the place of its file.
    pub fn cell(&self, origin: &Origin, items: usize) -> Result<Cell> {
        let text = origin.text();
        let mut hash = Sha256::new_with_prefix(FORMULA);
        hash.update(&text);
        let name = format!("{}{ENDING}", hex(&hash.finalize()));
        Cell::read(self.folder.join(name), text, items)
    }
}

impl Store {
    /// What was kept of `items` items under the name of a [`Cell`], as a report has it; nothing under other names.
    ///
    /// # Errors
    /// As [`Self::cell`].
    pub fn kept(&self, name: &str, items: usize) -> Result<Vec<Option<Record>>> {
        match self.place(name) {
            Some(path) => Cell::read(path, String::new(), items)?.records(),
            None => Ok(vec![None; items]),
        }
    }

    /// The file of a name; `None` where it is no name of ours.
    fn place(&self, name: &str) -> Option<PathBuf> {
        let hash = name.strip_suffix(ENDING)?;
        hash.bytes().all(|b| b.is_ascii_hexdigit()).then(|| self.folder.join(name))
    }
}

impl Store {
    /// What results that are kept under a name follow from, by name, as their file says; `None` where there is none, or
    /// it does not say.
    ///
    /// # Errors
    /// What is in the place of the file.
    pub fn origin(&self, name: &str) -> Result<Option<BTreeMap<String, String>>> {
        let Some(path) = self.place(name) else { return Ok(None) };
        let Some(file) = own::open(&path)? else { return Ok(None) };
        let mut line = Vec::new();
        let read = BufReader::new(file).take(MAX_ORIGIN).read_until(b'\n', &mut line);
        read.map_err(|error| Error::io(&path, error))?;
        Ok(line.strip_prefix(b"# ").and_then(|text| serde_json::from_slice(text).ok()))
    }

    /// What is known of `items` items under a name, without answers.
    ///
    /// # Errors
    /// As [`Self::cell`].
    pub fn known(&self, name: &str, items: usize) -> Result<Vec<Option<Known>>> {
        match self.place(name) {
            Some(path) => Ok(Cell::read(path, String::new(), items)?.known().to_vec()),
            None => Ok(vec![None; items]),
        }
    }

    /// Bytes of what is kept under a name: they grow with every result.
    pub fn bytes(&self, name: &str) -> u64 {
        self.place(name).and_then(|path| path.symlink_metadata().ok()).map_or(0, |found| found.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn record(score: f64) -> Record {
        Record { score, log_probability: Some(-score), answer: None }
    }

    fn scores(cell: &Cell) -> Vec<Option<f64>> {
        cell.known().iter().map(|known| known.map(|known| known.score)).collect()
    }

    #[test]
    fn what_was_appended_is_known_again_and_only_there() {
        let library = tempfile::tempdir().unwrap();
        let store = Store::of(library.path()).unwrap();
        let origin = |task: &str| Origin::default().with("method", "arrow").with("task", task);
        let mut cell = store.cell(&origin("a"), 3).unwrap();
        cell.append(vec![(2, record(1.0)), (0, record(0.5))]).unwrap();
        assert_eq!(scores(&store.cell(&origin("a"), 3).unwrap()), [Some(0.5), None, Some(1.0)]);
        let records = store.kept(&cell.name(), 3).unwrap();
        assert_eq!((&records[0], &records[1]), (&Some(record(0.5)), &None));
        assert_eq!(store.kept("../../library.toml", 2).unwrap(), [None, None]);
        // Another origin, and fewer items.
        assert_eq!(scores(&store.cell(&origin("b"), 3).unwrap()), [None; 3]);
        assert_eq!(scores(&store.cell(&origin("a"), 1).unwrap()), [Some(0.5)]);
        // The newest counts, unless it says less.
        let answered = Record { answer: Some("x".into()), ..record(0.25) };
        cell.append(vec![(0, answered.clone())]).unwrap();
        cell.append(vec![(0, record(0.25))]).unwrap();
        assert_eq!(store.cell(&origin("a"), 1).unwrap().records().unwrap()[0], Some(answered));
        // Another score is no more of what was answered.
        cell.append(vec![(0, record(0.0))]).unwrap();
        assert_eq!(store.cell(&origin("a"), 1).unwrap().records().unwrap()[0], Some(record(0.0)));
    }

    #[test]
    fn half_a_line_costs_itself_alone() {
        let library = tempfile::tempdir().unwrap();
        let store = Store::of(library.path()).unwrap();
        let origin = Origin::default().with("method", "base");
        let mut cell = store.cell(&origin, 2).unwrap();
        cell.append(vec![(0, record(1.0))]).unwrap();
        let path = std::fs::read_dir(&store.folder).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# {\"method\":\"base\"}\n"), "{text}");
        for cut in 0..text.len() {
            std::fs::write(&path, &text[..cut]).unwrap();
            let mut cell = store.cell(&origin, 2).unwrap();
            assert_eq!(scores(&cell)[1], None);
            cell.append(vec![(1, record(0.5))]).unwrap();
            let known = scores(&store.cell(&origin, 2).unwrap());
            assert!(
                known[1] == Some(0.5) && (known[0].is_none() || known[0] == Some(1.0)),
                "{cut}: {known:?}"
            );
        }
        // What is no text is skipped too.
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\xff\xfe\n\n\tx").unwrap();
        assert_eq!(scores(&store.cell(&origin, 2).unwrap())[1], Some(0.5));
    }

    #[test]
    fn several_threads_append_to_one_file() {
        let library = tempfile::tempdir().unwrap();
        let store = Store::of(library.path()).unwrap();
        let origin = Origin::default().with("method", "base");
        std::thread::scope(|scope| {
            for thread in 0..4usize {
                let (store, origin) = (store.clone(), origin.clone());
                scope.spawn(move || {
                    let mut cell = store.cell(&origin, 400).unwrap();
                    for i in 0..100 {
                        cell.append(vec![(thread * 100 + i, record(i as f64))]).unwrap();
                    }
                });
            }
        });
        let cell = store.cell(&origin, 400).unwrap();
        let records = cell.records().unwrap();
        assert!(records.iter().enumerate().all(|(i, r)| *r == Some(record((i % 100) as f64))));
    }
}

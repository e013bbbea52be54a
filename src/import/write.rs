//! Task folders, written beside their place and put there when they are whole.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use super::record::Record;
use super::splits::Split;
use crate::outside::{TEMPORARY, UnfinishedFolder, make_folders, own, sweep};
use crate::text::printable;
use crate::train::TaskInfo;
use crate::{Error, Result};

/// Bytes that wait in memory for their files, of all tasks together. No file is open longer than one write.
const WAITING: usize = 48 << 20;

/// A task's place below the folder of tasks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskPath {
    pub family: String,
    pub task: String,
}

impl TaskPath {
    fn below(&self, folder: &Path) -> PathBuf {
        folder.join(&self.family).join(&self.task)
    }
}

/// That tasks can be written to a folder: it is one or is not there, and it is neither the source nor below it, where the
/// next import would take its tasks for rows.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_out(out: &Path, source: &Path) -> Result<()> {
    if out.as_os_str().is_empty() {
        return Err(Error::usage("--out needs a folder"));
    }
    if out.exists() && !out.is_dir() {
        return Err(Error::file(out, "is not a folder: choose another --out"));
    }
    let is_below = |source: PathBuf| real(out).is_some_and(|out| out.starts_with(source));
    if std::fs::canonicalize(source).ok().is_some_and(is_below) {
        return Err(Error::file(out, "lies in the source itself: choose another --out"));
    }
    Ok(())
}

/// Where a path leads, of which the last parts need not be there.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find_map(|part| Some((part, std::fs::canonicalize(part).ok()?)));
    let (there, mut real) = there?;
    for part in path.strip_prefix(there).ok()?.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            part => real.push(part),
        }
    }
    Some(real)
}

/// That none of the tasks is there already.
///
/// # Errors
/// The first that is.
pub(super) fn check_free(out: &Path, tasks: &[TaskPath]) -> Result<()> {
    match tasks.iter().map(|task| task.below(out)).find(|path| own::is_taken(path)) {
        Some(path) => Err(taken(&path)),
        None => Ok(()),
    }
}

fn is_taken(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::DirectoryNotEmpty)
}

fn taken(path: &Path) -> Error {
    Error::file(path, "exists already: remove it, or choose another --out, --family or --name")
}

/// What waits for a task's files.
#[derive(Debug, Default)]
struct Waiting {
    splits: [Vec<u8>; 3],
    made: bool,
    described: bool,
}

/// Tasks that are being written.
#[derive(Debug)]
pub(super) struct Writer {
    folder: UnfinishedFolder,
    /// Whether the folder of tasks is there already.
    exists: bool,
    out: PathBuf,
    tasks: Vec<TaskPath>,
    waiting: Vec<Waiting>,
    bytes: usize,
}

impl Writer {
    /// Begins to write these tasks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new(out: &Path, tasks: Vec<TaskPath>) -> Result<Self> {
        let exists = out.is_dir();
        let parent = match (exists, out.parent()) {
            (true, _) => out,
            (false, Some(parent)) if !parent.as_os_str().is_empty() => parent,
            (false, _) => Path::new("."),
        };
        make_folders(parent)?;
        // What an import that was killed left behind.
        sweep(parent);
        let folder = UnfinishedFolder::new_in(parent, TEMPORARY).map_err(|e| Error::io(parent, e))?;
        let waiting = tasks.iter().map(|_| Waiting::default()).collect();
        Ok(Self { folder, exists, out: out.into(), tasks, waiting, bytes: 0 })
    }

    /// Writes an example of the task with this number.
    ///
    /// # Errors
    /// What the file system says.
    pub fn example(&mut self, task: usize, split: Split, record: &Record<'_>) -> Result<()> {
        let Some(waiting) = self.waiting.get_mut(task) else { return Ok(()) };
        let buffer = &mut waiting.splits[split.index()];
        let before = buffer.len();
        serde_json::to_writer(&mut *buffer, record).map_err(|e| Error::msg(e.to_string()))?;
        buffer.push(b'\n');
        self.bytes += buffer.len() - before;
        if self.bytes > WAITING { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        for (task, waiting) in self.tasks.iter().zip(&mut self.waiting) {
            let folder = task.below(self.folder.path());
            for split in Split::ALL {
                let buffer = &mut waiting.splits[split.index()];
                if buffer.is_empty() {
                    continue;
                }
                if !waiting.made {
                    make_folders(&folder)?;
                    waiting.made = true;
                }
                let path = folder.join(split.file());
                let written = own::append(&path)?.write_all(buffer);
                written.map_err(|e| Error::io(&self.out, e))?;
                *buffer = Vec::new();
            }
        }
        self.bytes = 0;
        Ok(())
    }

    /// Describes the task with this number.
    ///
    /// # Errors
    /// What the file system says.
    pub fn describe(&mut self, task: usize, info: &TaskInfo) -> Result<()> {
        let Some(path) = self.tasks.get(task) else { return Ok(()) };
        let mut table = toml::Table::try_from(info).map_err(|e| Error::msg(e.to_string()))?;
        // What is not said is read as empty.
        table.retain(|_, value| {
            !matches!(value, toml::Value::Boolean(false))
                && value.as_array().is_none_or(|list| !list.is_empty())
        });
        let text = toml::to_string(&table).map_err(|e| Error::msg(e.to_string()))?;
        let folder = path.below(self.folder.path());
        make_folders(&folder)?;
        if let Some(waiting) = self.waiting.get_mut(task) {
            waiting.described = true;
        }
        own::create(&folder.join("task.toml"), text.as_bytes())
    }

    /// Puts the tasks into their place: all of them or none.
    ///
    /// # Errors
    /// What the file system says; a name that was taken meanwhile. Nothing is there then that was not before.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        if !self.exists {
            match self.folder.finish(&self.out) {
                Ok(()) => return Ok(()),
                // Another import made it meanwhile: these tasks go beside its own.
                Err(e) if is_taken(&e) && self.out.is_dir() => {}
                Err(e) if is_taken(&e) => return Err(taken(&self.out)),
                Err(e) => return Err(Error::io(&self.out, e)),
            }
        }
        let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
        let moved = self.put(&mut done);
        if moved.is_err() {
            for (from, to) in done.iter().rev() {
                let _ = own::rename_new(to, from);
            }
        }
        moved
    }

    /// Moves new families as a whole, and tasks into those that are there; `done` is what was moved.
    fn put(&self, done: &mut Vec<(PathBuf, PathBuf)>) -> Result<()> {
        let mut moved: HashSet<&str> = HashSet::new();
        // Of the others no row is kept.
        let made = self.tasks.iter().zip(&self.waiting).filter(|(_, waiting)| waiting.described);
        for (task, _) in made {
            if moved.contains(task.family.as_str()) {
                continue;
            }
            let (from, to) = (self.folder.path().join(&task.family), self.out.join(&task.family));
            match own::rename_new(&from, &to) {
                Ok(()) => {
                    moved.insert(&task.family);
                    done.push((from, to));
                    continue;
                }
                Err(e) if is_taken(&e) => {}
                Err(e) => return Err(Error::io(&to, e)),
            }
            let (from, to) = (task.below(self.folder.path()), task.below(&self.out));
            own::rename_new(&from, &to).map_err(|e| match is_taken(&e) {
                true => taken(&to),
                false => Error::io(&to, e),
            })?;
            done.push((from, to));
        }
        Ok(())
    }
}

/// A path for messages.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}

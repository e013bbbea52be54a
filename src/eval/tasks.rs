//! Where the tasks that are asked lie: folders of examples, and YAML files of lm-evaluation-harness.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::asked_task::AskedTask;
use super::harness;
use super::split::Split;
use crate::scorers::Scorer;
use crate::train::find_tasks;
use crate::{Cancel, Error, Result};

/// What a path of tasks may be, in the help of every command that asks some.
pub const TASKS_HELP: &str = "Task folder, folder of such, or YAML of lm-evaluation-harness; several add up";

/// A task's folder, or the YAML file of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    File(PathBuf),
}

/// The tasks at or below a path, which is a folder or such a file. `note` hears of what is passed over.
///
/// # Errors
/// A path that is neither; a folder without tasks, or that cannot be read; a file in it that is no YAML.
pub(super) fn places(path: &Path, note: &mut dyn FnMut(String)) -> Result<Vec<Place>> {
    if harness::is_named_so(path) && path.is_file() {
        return Ok(vec![Place::File(path.into())]);
    }
    if path.is_file() {
        let problem = "is neither a folder of tasks nor YAML of lm-evaluation-harness: give the folder that it is in, or a \
                       .yaml file";
        return Err(Error::file(path, problem));
    }
    let (files, groups) = if path.is_dir() { harness::find(path)? } else { Default::default() };
    for group in &groups {
        let problem = "names a group, whose tasks are asked where they have files of their own";
        note(Error::file(group, problem).to_string());
    }
    let folders = match find_tasks(path) {
        Err(_) if !files.is_empty() => Vec::new(),
        found => found?,
    };
    Ok(folders.into_iter().map(Place::Folder).chain(files.into_iter().map(Place::File)).collect())
}

/// Which items of tasks are asked, and how.
#[derive(Clone, Debug, Default)]
pub struct ToAsk {
    /// Of each task.
    pub split: Split,
    /// Items of each task, at most.
    pub limit: Option<usize>,
    /// Examples before each item; else none, or as many as a task's YAML says.
    pub shots: Option<usize>,
    /// The metric of every task, in place of its own.
    pub metric: Option<Scorer>,
    /// Seeds of trainings that hold a share of the training split back, where a task has no validation split.
    pub seeds: BTreeSet<u64>,
}

/// The tasks at or below these paths. `note` hears of what is passed over.
///
/// # Errors
/// Paths without tasks; what [`AskedTask::load`] and YAML files say; a raised `cancel`.
pub fn asked_tasks(
    paths: &[PathBuf],
    how: &ToAsk,
    note: &mut dyn FnMut(String),
    cancel: &Cancel,
) -> Result<Vec<AskedTask>> {
    let mut all: Vec<Place> = Vec::new();
    for path in paths {
        all.extend(places(path, note)?);
    }
    // However often it is named, a task counts once.
    let mut once = HashSet::new();
    all.retain(|place| {
        let (Place::Folder(path) | Place::File(path)) = place;
        once.insert(path.canonicalize().unwrap_or_else(|_| path.clone()))
    });
    let limit = how.limit.unwrap_or(usize::MAX);
    let mut tasks = Vec::with_capacity(all.len());
    for place in &all {
        cancel.check()?;
        let (path, of_place) = match place {
            Place::Folder(path) => {
                (path, vec![AskedTask::load(path, how.split, limit, how.shots.unwrap_or(0), &how.seeds)?])
            }
            Place::File(path) => (path, harness::load(path, how.split, limit, how.shots)?),
        };
        tasks.extend(AskedTask::measured_by(of_place, how.metric, how.split, path)?);
    }
    if tasks.is_empty() {
        return Err(Error::usage("there is no task to ask: name a folder of tasks"));
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_named_twice_is_asked_once() {
        let place = tempfile::tempdir().unwrap();
        for id in ["a", "b"] {
            std::fs::create_dir(place.path().join(id)).unwrap();
            let row = "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\"}\n";
            std::fs::write(place.path().join(id).join("test.jsonl"), row).unwrap();
        }
        let paths = [place.path().to_path_buf(), place.path().join("b"), place.path().to_path_buf()];
        let tasks = asked_tasks(&paths, &ToAsk::default(), &mut |_| {}, &Cancel::new()).unwrap();
        let names: Vec<&str> = tasks.iter().map(|task| task.info.id.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}

//! A look at what an evaluation keeps: its items with every method's answer, differences to any of the methods, and what
//! is known while it works.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::asked_task::AskedTask;
use super::contender::OF;
use super::harness;
use super::report::{Difference, EvalReport};
use super::run::split_of;
use super::spec::EvalSpec;
use super::store::{Record, Store};
use super::summary::{ItemScores, Over, differences_over, summarise};
use crate::train::{Example, find_tasks, read_task};
use crate::{Cancel, Error, Result};

/// The items of a task with what methods made of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskItems {
    /// The items, in the order of the split; untrusted.
    pub items: Vec<Example>,
    /// What can be chosen from where an item has no choices of its own; untrusted.
    pub options: Vec<String>,
    /// Per method and item, what is kept of it.
    pub records: Vec<Vec<Option<Record>>>,
}

/// The stores of an evaluation's libraries, opened once.
struct Stores<'a> {
    spec: &'a EvalSpec,
    known: HashMap<PathBuf, Store>,
}

impl<'a> Stores<'a> {
    fn of(spec: &'a EvalSpec) -> Self {
        Self { spec, known: HashMap::new() }
    }

    /// The folder of the library whose method has this label.
    fn root(&self, label: &str) -> &'a Path {
        let named =
            label.split_once(OF).and_then(|(name, _)| self.spec.libraries.iter().find(|l| l.name == name));
        named.map_or(&self.spec.library, |library| &library.path)
    }

    fn store(&mut self, label: &str) -> Result<&Store> {
        let root = self.root(label);
        if !self.known.contains_key(root) {
            self.known.insert(root.to_path_buf(), Store::of(root)?);
        }
        self.known.get(root).ok_or_else(|| Error::msg("a library has no place for results"))
    }
}

/// The name under which the results of a method on a task are kept.
fn kept(report: &EvalReport, task: usize, method: usize) -> Option<&str> {
    report.kept.get(task)?.get(method)?.as_deref()
}

/// A task of the report, and where it is: of several with the same name the one in its place.
fn asked(spec: &EvalSpec, report: &EvalReport, task: usize, cancel: &Cancel) -> Result<(PathBuf, AskedTask)> {
    let count = report.tasks.get(task).map_or(0, |task| task.items);
    let wanted = report.tasks.get(task).map(|task| task.task.as_str()).unwrap_or_default();
    let before = report.tasks.iter().take(task).filter(|other| other.task == wanted).count();
    let mut found = Vec::new();
    for root in &spec.tasks {
        let files = harness::files(root)?;
        let folders = match find_tasks(root) {
            Err(_) if !files.is_empty() => Vec::new(),
            folders => folders?,
        };
        for path in files {
            cancel.check()?;
            let tasks = harness::load(&path, report.split, count, spec.num_fewshot)?;
            if let Some(task) = tasks.into_iter().find(|task| task.label == wanted) {
                return Ok((path, task));
            }
        }
        for path in folders {
            cancel.check()?;
            if !found.contains(&path) && read_task(&path).is_ok_and(|info| info.id == wanted) {
                found.push(path);
            }
        }
    }
    let path = found.into_iter().nth(before).ok_or_else(|| {
        Error::msg(format!(
            "the task {wanted} is no longer in the folders of this evaluation: its items cannot be shown"
        ))
    })?;
    let task = AskedTask::load(&path, report.split, count, 0, &Default::default())?;
    Ok((path, task))
}

impl TaskItems {
    /// The items of a task, by its number in the report.
    ///
    /// # Errors
    /// A task that is no longer there, or is another one now; results that cannot be read; a raised `cancel`.
    pub fn read(spec: &EvalSpec, report: &EvalReport, task: usize, cancel: &Cancel) -> Result<Self> {
        let count = report.tasks.get(task).map_or(0, |task| task.items);
        let (path, asked) = asked(spec, report, task, cancel)?;
        let (split, mut stores) = (split_of(&asked), Stores::of(spec));
        let mut records = Vec::with_capacity(report.methods.len());
        for (method, label) in report.methods.iter().enumerate() {
            cancel.check()?;
            let Some(name) = kept(report, task, method) else {
                records.push(vec![None; count]);
                continue;
            };
            let store = stores.store(label)?;
            let origin = store.origin(name)?;
            if origin.as_ref().and_then(|origin| origin.get("split")).is_some_and(|kept| *kept != split) {
                return Err(Error::file(
                    &path,
                    "has changed since this evaluation: its items are others now; evaluate it again",
                ));
            }
            records.push(store.kept(name, count)?);
        }
        let items = asked.asked().to_vec();
        Ok(Self { items, options: asked.info.options, records })
    }
}

/// The scores of all items of some tasks that are kept; of methods of which nothing is kept, none.
fn scores(spec: &EvalSpec, report: &EvalReport, tasks: &[usize], cancel: &Cancel) -> Result<ItemScores> {
    let mut stores = Stores::of(spec);
    let mut all: ItemScores = vec![Vec::new(); report.tasks.len()];
    for &task in tasks {
        let count = report.tasks.get(task).map_or(0, |task| task.items);
        let mut row = Vec::with_capacity(report.methods.len());
        for (method, label) in report.methods.iter().enumerate() {
            cancel.check()?;
            row.push(match kept(report, task, method) {
                Some(name) => {
                    let known = stores.store(label)?.known(name, count)?;
                    known.into_iter().map(|known| known.map(|known| known.score)).collect()
                }
                None => None,
            });
        }
        if let Some(place) = all.get_mut(task) {
            *place = row;
        }
    }
    Ok(all)
}

/// How each method differs from that of the number `against` over some tasks of the report, on the same items. `group` is
/// the name of the tasks, where they are one of the groups of the report: then all is as there.
///
/// # Errors
/// Results that cannot be read; a raised `cancel`.
pub fn differences(
    spec: &EvalSpec,
    report: &EvalReport,
    (tasks, group): (&[usize], Option<&str>),
    against: usize,
    cancel: &Cancel,
) -> Result<Vec<Option<Difference>>> {
    let items = scores(spec, report, tasks, cancel)?;
    let is_loss =
        tasks.first().and_then(|task| report.tasks.get(*task)).is_some_and(|task| task.metric.is_loss());
    let task = match tasks {
        [one] if group.is_none() => report.tasks.get(*one).map(|task| task.task.as_str()),
        _ => None,
    };
    let over = Over { tasks, task, group, is_loss };
    Ok(differences_over(&report.methods, &items, against, &over))
}

/// Results that were read before, by the names under which they are kept.
#[derive(Debug, Default)]
pub struct Seen {
    cells: HashMap<String, (u64, Vec<f64>)>,
}

impl Seen {
    /// Fills in the scores and means of what is known so far, and how many items that are, per task and method. Reads
    /// only what has grown since the last look.
    ///
    /// # Errors
    /// Results that cannot be read; a raised `cancel`.
    pub fn fill(
        &mut self,
        spec: &EvalSpec,
        report: &mut EvalReport,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<usize>>> {
        let mut stores = Stores::of(spec);
        let mut items: ItemScores = Vec::with_capacity(report.tasks.len());
        for (task, of) in report.tasks.iter().enumerate() {
            let mut row = Vec::with_capacity(report.methods.len());
            for (method, label) in report.methods.iter().enumerate() {
                cancel.check()?;
                row.push(match kept(report, task, method) {
                    Some(name) => {
                        Some(self.scores(stores.store(label)?, name, of.items)?).filter(|s| !s.is_empty())
                    }
                    None => None,
                });
            }
            items.push(row);
        }
        summarise(report, &items, None, None);
        Ok(items
            .iter()
            .map(|row| row.iter().map(|scores| scores.as_ref().map_or(0, Vec::len)).collect())
            .collect())
    }

    fn scores(&mut self, store: &Store, name: &str, items: usize) -> Result<Vec<f64>> {
        let bytes = store.bytes(name);
        if let Some((known, scores)) = self.cells.get(name)
            && *known == bytes
        {
            return Ok(scores.clone());
        }
        let scores: Vec<f64> =
            store.known(name, items)?.into_iter().flatten().map(|known| known.score).collect();
        self.cells.insert(name.to_string(), (bytes, scores.clone()));
        Ok(scores)
    }
}

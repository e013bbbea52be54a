//! The tasks of a recipe, read and looked at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::recipe::Recipe;
use crate::catalog::Catalog;
use crate::eval::Split;
use crate::library::expert_path;
use crate::outside::hex;
use crate::text::printable;
use crate::train::{Dataset, Example, data_of_experts, find_tasks};
use crate::{Cancel, Error, Result};

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name; untrusted.
    pub id: String,
    /// Its real folder, or a `.jsonl` file.
    pub path: PathBuf,
    /// Its family; untrusted.
    pub family: Option<String>,
    /// Training examples.
    pub examples: usize,
    /// Characters of these.
    pub characters: usize,
    /// Items of the split that is asked.
    pub items: usize,
    /// SHA-256 of what is trained on and validated with.
    pub trained: String,
    /// SHA-256 of what is asked.
    pub asked: String,
}

/// What there is to train on and what is only asked, each in the order of the recipe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tasks {
    /// Each of them is learnt by an expert.
    pub train: Vec<Task>,
    /// Nobody learns them.
    pub held_out: Vec<Task>,
}

impl Tasks {
    /// Reads all tasks that `recipe` names.
    ///
    /// # Errors
    /// Folders that are not there or have no tasks; two tasks of one name; nothing to train on; nothing to ask. A raised
    /// `cancel`.
    pub fn read(recipe: &Recipe, cancel: &Cancel) -> Result<Self> {
        let mut tasks = Self::default();
        for folder in &recipe.tasks.train {
            for path in found(recipe, "train", folder)? {
                cancel.check()?;
                let (task, held_out) = read(&path, recipe)?;
                let list = if held_out { &mut tasks.held_out } else { &mut tasks.train };
                list.push(task);
            }
        }
        if recipe.tasks.train.is_empty()
            && let Some(library) = &recipe.private.library
        {
            let catalog = Catalog::open(library, None).map_err(|e| recipe.fail("private", "library", e))?;
            let data = data_of_experts(&catalog, &[]).map_err(|e| recipe.fail("private", "library", e))?;
            for path in data {
                cancel.check()?;
                tasks.train.push(read(&path, recipe)?.0);
            }
        }
        for folder in &recipe.tasks.held_out {
            for path in found(recipe, "held_out", folder)? {
                cancel.check()?;
                tasks.held_out.push(read(&path, recipe)?.0);
            }
        }
        tasks.check(recipe)?;
        Ok(tasks)
    }

    fn check(&mut self, recipe: &Recipe) -> Result<()> {
        let mut names: BTreeMap<String, (PathBuf, bool)> = BTreeMap::new();
        let mut doubled = Vec::new();
        for (held_out, task) in
            self.train.iter().map(|task| (false, task)).chain(self.held_out.iter().map(|task| (true, task)))
        {
            match names.get(&task.id) {
                Some((path, before)) if *path == task.path && *before == held_out => {
                    doubled.push(task.path.clone())
                }
                Some((path, _)) if *path == task.path => {
                    let problem = format!("{} is to be trained on and held out", task.path.display());
                    return Err(recipe.fail("tasks", "held_out", problem));
                }
                Some((path, _)) => {
                    let (one, other) = (path.display(), task.path.display());
                    let problem = format!("two tasks are called {}: {one} and {other}", printable(&task.id));
                    return Err(recipe.fail("tasks", "train", problem));
                }
                None => drop(names.insert(task.id.clone(), (task.path.clone(), held_out))),
            }
        }
        // A folder that was named twice, or within another.
        for list in [&mut self.train, &mut self.held_out] {
            let mut seen = std::collections::BTreeSet::new();
            list.retain(|task| !doubled.contains(&task.path) || seen.insert(task.path.clone()));
        }
        if self.train.is_empty() {
            let problem = match self.held_out.is_empty() {
                true => "there is no task to train on: name folders of tasks, train = [\"tasks\"] in [tasks]",
                false => {
                    "there is no task to train on: all of them are held out, by their task.toml or held_out"
                }
            };
            return Err(recipe.fail("tasks", "train", problem));
        }
        Ok(())
    }

    /// All of them, those to train on first.
    pub fn all(&self) -> impl Iterator<Item = &Task> {
        self.train.iter().chain(&self.held_out)
    }

    /// Those that can be asked.
    pub fn asked(&self) -> impl Iterator<Item = &Task> {
        self.all().filter(|task| task.items > 0)
    }
}

fn found(recipe: &Recipe, id: &str, folder: &Path) -> Result<Vec<PathBuf>> {
    find_tasks(folder).map_err(|error| recipe.fail("tasks", id, error))
}

/// Reads a task, and whether it is for evaluation alone.
fn read(path: &Path, recipe: &Recipe) -> Result<(Task, bool)> {
    let path = path.canonicalize().map_err(|error| Error::io(path, error))?;
    let mut data = Dataset::load(&path)?;
    let held_out = data.task.held_out || data.train.is_empty();
    if !held_out {
        expert_path(Path::new("library"), &data.task.id)
            .map_err(|error| Error::file(&path, format!("names its task so that {error}")))?;
    }
    let split = match recipe.evaluation.split {
        Split::Validation => &data.validation,
        Split::Test => &data.test,
    };
    let asked = digest([split.as_slice()], &format!("{:?} {}", data.task.options, data.task.metric.name));
    let items = split.len();
    let trained = digest([data.train.as_slice(), &data.validation], "");
    data.ensure_validation(recipe.training.seed);
    let task = Task {
        id: data.task.id,
        path,
        family: data.task.family,
        examples: data.train.len(),
        characters: data.train.iter().map(|e| e.instruction.len() + e.input.len() + e.output.len()).sum(),
        items: recipe.evaluation.limit.map_or(items, |limit| items.min(limit)),
        trained,
        asked,
    };
    Ok((task, held_out))
}

/// SHA-256 of some examples and a text.
fn digest<const N: usize>(splits: [&[Example]; N], text: &str) -> String {
    let mut hash = Sha256::new_with_prefix(text);
    for split in splits {
        hash.update((split.len() as u64).to_le_bytes());
        for example in split {
            let text = serde_json::to_vec(example).unwrap_or_default();
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
    hex(&hash.finalize())
}

//! The data that existing experts were trained on, found again.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::dataset::{Dataset, find_tasks, known_hashes, read_task};
use super::given::Given;
use crate::library::{Expert, Library, Provenance};
use crate::text::listed;
use crate::{Error, Result};

/// In how many folders from the library's outwards a dataset with a relative name is looked for. A recipe's libraries lie
/// in its folder, and that often in the one where its tasks are.
const AROUND: usize = 4;

/// Task folders and files to look for tasks in.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_task: HashMap<String, Vec<PathBuf>>,
    /// Folder of the library.
    root: PathBuf,
    /// Where names begin that are not absolute, beside the working directory.
    here: Option<PathBuf>,
}

/// Data of one expert.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Real paths of task folders or `.jsonl` files.
    pub paths: Vec<PathBuf>,
    /// What is odd about it.
    pub warning: Option<String>,
}

/// What the experts of a library were trained on, each once, in the order of their names: found again below `tasks`,
/// else where their provenance says.
///
/// # Errors
/// A folder of `tasks` without tasks; experts whose data is not found, all named.
pub fn data_of_experts(library: &Library, tasks: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let sources = Sources::new(&library.root, tasks, &Given::default())?;
    let (mut paths, mut missing) = (Vec::new(), Vec::new());
    for expert in library.usable() {
        match sources.of(expert) {
            Ok(found) => paths.extend(found.paths),
            Err(reason) => missing.push(format!("{} ({reason})", expert.name)),
        }
    }
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(String::as_str).collect();
        return Err(Error::file(
            &library.root,
            format!("has no data for {}: give the folder with the tasks", listed(&names, "and")),
        ));
    }
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    Ok(paths)
}

impl Sources {
    /// Tasks at and below `data`; without any, only what the experts of the library at `root` name is found. `given` says
    /// where it was asked for, which is not the working directory of every worker.
    ///
    /// # Errors
    /// A path of `data` that is no `.jsonl` file and has no task; a broken `task.toml`.
    pub(super) fn new(root: &Path, data: &[PathBuf], given: &Given) -> Result<Self> {
        let mut by_task: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for path in data {
            if path.is_file() {
                let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                by_task.entry(id).or_default().push(real(path));
                continue;
            }
            for task in find_tasks(path)? {
                by_task.entry(read_task(&task)?.id).or_default().push(real(&task));
            }
        }
        for paths in by_task.values_mut() {
            paths.sort();
            paths.dedup();
        }
        Ok(Self { by_task, root: real(root), here: given.here().map(Path::to_path_buf) })
    }

    /// The data of an expert: the given tasks of its tasks' names, else what its provenance names, which has
    /// to be unchanged. The reason when there is none.
    pub(super) fn of(&self, expert: &Expert) -> std::result::Result<Found, String> {
        let none = Provenance::default();
        let provenance = expert.provenance.as_ref().unwrap_or(&none);
        let tasks = tasks_of(expert, provenance);
        if let Some(choices) = self.given(&tasks) {
            let choices = choices?;
            return match choices.iter().find(|paths| unchanged(paths, provenance) == Some(true)) {
                Some(paths) => Ok(Found { paths: paths.clone(), warning: None }),
                None if choices.len() > 1 => {
                    Err(format!("several of the given tasks are called {}", tasks.join(" or ")))
                }
                None => {
                    let paths = choices.into_iter().next().unwrap_or_default();
                    let known = provenance.dataset_sha256.is_some();
                    let warning = known.then(|| "was trained on another version of this data".to_string());
                    Ok(Found { paths, warning })
                }
            };
        }
        let Some(named) = &provenance.dataset else {
            return Err("its expert.toml names no dataset".into());
        };
        let mut changed = None;
        let begun = |here: &PathBuf| dataset_names(named).map(|paths| in_folder(here, &paths));
        let begun = self.here.iter().flat_map(begun);
        for paths in begun.chain(dataset_places(&self.root, named)) {
            match unchanged(&paths, provenance) {
                Some(true) => return Ok(Found { paths, warning: None }),
                Some(false) => changed = Some(paths),
                None => {}
            }
        }
        match changed {
            Some(_) if provenance.dataset_sha256.is_none() => {
                Err(format!("its expert.toml has no hash to check {named} with"))
            }
            Some(_) => Err(format!("{named} has changed since it was trained")),
            None => Err(format!("{named} is not there")),
        }
    }

    /// All choices of paths for the tasks; `None` when a task is not among those that were given.
    fn given(&self, tasks: &[String]) -> Option<std::result::Result<Vec<Vec<PathBuf>>, String>> {
        let mut choices: Vec<Vec<PathBuf>> = vec![Vec::new()];
        for task in tasks {
            let paths = self.by_task.get(task)?;
            if choices.len() * paths.len() > 64 {
                return Some(Err(format!("too many of the given tasks are called {task}")));
            }
            let longer = |chosen: &Vec<PathBuf>| {
                paths
                    .iter()
                    .map(|path| [chosen.as_slice(), std::slice::from_ref(path)].concat())
                    .collect::<Vec<_>>()
            };
            choices = choices.iter().flat_map(longer).collect();
        }
        Some(Ok(choices))
    }
}

/// Where the data of an expert may be: real paths of what its provenance calls its dataset (`named`), as given, in the
/// library at `root` and in the folders around it. Each place has one path per dataset: the data of a joint expert is
/// written `a, b`.
pub fn dataset_places(root: &Path, named: &str) -> Vec<Vec<PathBuf>> {
    let root = real(root);
    let mut places = Vec::new();
    for paths in dataset_names(named) {
        places.push(in_folder(Path::new(""), &paths));
        places.extend(root.ancestors().take(AROUND).map(|root| in_folder(root, &paths)));
    }
    places.dedup();
    places
}

/// The paths that a provenance names: one, or several.
fn dataset_names(named: &str) -> [Vec<PathBuf>; 2] {
    // A path may have the comma that separates several, too.
    [vec![named.into()], named.split(", ").map(PathBuf::from).collect()]
}

/// Real paths of `paths` as seen from `folder`.
fn in_folder(folder: &Path, paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().map(|path| real(&folder.join(path))).collect()
}

/// The tasks an expert was trained on; its own name when it does not say.
fn tasks_of(expert: &Expert, provenance: &Provenance) -> Vec<String> {
    if !provenance.tasks.is_empty() {
        return provenance.tasks.iter().map(|task| task.task.clone()).collect();
    }
    let name = expert.name.rsplit('/').next().unwrap_or(&expert.name);
    vec![provenance.task.clone().unwrap_or_else(|| name.to_string())]
}

/// Whether the data has the hash of the provenance; `None` when it cannot be read.
fn unchanged(paths: &[PathBuf], provenance: &Provenance) -> Option<bool> {
    let all: Vec<Dataset> = paths.iter().map(|path| Dataset::load(path).ok()).collect::<Option<_>>()?;
    let Some(wanted) = &provenance.dataset_sha256 else { return Some(false) };
    let is_it = |all: &[Dataset]| known_hashes(all.iter().flat_map(|data| &data.train)).contains(wanted);
    // With or without what was kept for validation.
    if is_it(&all) {
        return Some(true);
    }
    let mut held = all;
    held.iter_mut().for_each(|data| data.ensure_validation(provenance.seed.unwrap_or_default()));
    if is_it(&held) {
        return Some(true);
    }
    // Or only some of it.
    let shots = provenance.settings.get("shots").and_then(serde_json::Value::as_u64);
    let Some(shots) = shots else { return Some(false) };
    let drawn = held.iter_mut().try_for_each(|data| {
        data.draw(usize::try_from(shots).unwrap_or(usize::MAX), provenance.seed.unwrap_or_default())
    });
    Some(drawn.is_ok() && is_it(&held))
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(folder: &Path, count: usize) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let text: String = (0..count)
            .map(|i| format!("{{\"instruction\":\"add one\",\"input\":\"{i}\",\"output\":\"{}\"}}\n", i + 1))
            .collect();
        std::fs::write(folder.join("train.jsonl"), text).unwrap();
        folder.canonicalize().unwrap()
    }

    fn expert(dataset: Option<&str>, data: Option<&Path>) -> Expert {
        let hash = data.map(|path| {
            let mut data = Dataset::load(path).unwrap();
            data.ensure_validation(7);
            known_hashes(&data.train)[0].clone()
        });
        let provenance = Provenance {
            task: Some("one".into()),
            dataset: dataset.map(String::from),
            dataset_sha256: hash,
            seed: Some(7),
            ..Provenance::default()
        };
        Expert { name: "e".into(), provenance: Some(provenance), ..Expert::default() }
    }

    #[test]
    fn what_a_provenance_names_is_found_around_the_library_and_must_be_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("library");
        std::fs::create_dir(&library).unwrap();
        let task = lines(&dir.path().join("tasks/one"), 40);
        let sources = Sources::new(&library, &[], &Given::default()).unwrap();
        let known = expert(Some("tasks/one"), Some(&task));
        assert_eq!(sources.of(&known).unwrap(), Found { paths: vec![task.clone()], warning: None });
        // A recipe's library lies deeper.
        let made = dir.path().join("run/experiment/private");
        std::fs::create_dir_all(&made).unwrap();
        let made = Sources::new(&made, &[], &Given::default()).unwrap();
        assert_eq!(made.of(&known).unwrap().paths, std::slice::from_ref(&task));
        // Or where it was asked for.
        let other = lines(&dir.path().join("away/tasks/there"), 40);
        let mut given = Given::default();
        given.note(&dir.path().join("away"), Path::new(""));
        let away = Sources::new(&library, &[], &given).unwrap();
        let there = expert(Some("tasks/there"), Some(&other));
        assert_eq!(away.of(&there).unwrap(), Found { paths: vec![other], warning: None });
        assert!(sources.of(&there).unwrap_err().contains("is not there"));
        lines(&task, 41);
        assert!(sources.of(&known).unwrap_err().contains("tasks/one has changed"));
        assert!(sources.of(&expert(Some("tasks/one"), None)).unwrap_err().contains("no hash"));
        assert!(sources.of(&expert(Some("tasks/two"), Some(&task))).unwrap_err().contains("is not there"));
        assert!(sources.of(&expert(None, None)).unwrap_err().contains("names no dataset"));
    }

    #[test]
    fn given_tasks_are_found_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let task = lines(&dir.path().join("tasks/one"), 40);
        let sources = Sources::new(dir.path(), &[dir.path().join("tasks")], &Given::default()).unwrap();
        let known = expert(Some("/nowhere"), Some(&task));
        assert_eq!(sources.of(&known).unwrap(), Found { paths: vec![task.clone()], warning: None });
        // Another version is used, since it was asked for, and reported.
        lines(&task, 41);
        assert!(sources.of(&known).unwrap().warning.unwrap().contains("another version"));
        // Two of a name: the one with the right hash, else none.
        lines(&task, 40);
        lines(&dir.path().join("old/one"), 41);
        let both = [dir.path().join("tasks"), dir.path().join("old")];
        let both = Sources::new(dir.path(), &both, &Given::default()).unwrap();
        assert_eq!(both.of(&known).unwrap().paths, [task]);
        assert!(both.of(&expert(None, None)).unwrap_err().contains("several"));
        assert!(Sources::new(dir.path(), &[dir.path().join("nothing")], &Given::default()).is_err());
    }
}

//! Which prompts a library's experts are calibrated with.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::library::{BaseLocation, CalibrationDefaults, Expert, Library, fit_base, state_dir};
use crate::model::base_shape;
use crate::outside::own;
use crate::routing::{
    CalibrationPrompts, CalibrationText, Needs, OWN_PROMPTS, OwnAnswer, OwnPrompts, OwnSource, PromptSource,
    RouterConfig, general, read_prompts, unknown_data,
};
use crate::text::counted;
use crate::train::{Dataset, Example, GATES, dataset_places, find_tasks, read_task};
use crate::{Error, Result};

/// Prompts of all tasks together, about.
const WANTED: usize = 256;
/// Prompts of one task, at most.
const OF_ONE: usize = 24;
/// Own examples of one expert, at most: gates learn from all of them.
const EXAMPLES: usize = 200;
/// In a library's folder for derived data: the prompts that were chosen for it.
const CHOICE: &str = "calibration.json";

/// Prompts that a person chose: a file, or a folder of tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ChosenPrompts {
    /// A file with lines `{"prompt"}` or `{"tokens"}`.
    Prompts(PathBuf),
    /// Task folders, of which the validation prompts are taken.
    Tasks(PathBuf),
}

impl ChosenPrompts {
    /// Reads them.
    ///
    /// # Errors
    /// Files that cannot be read; no task.
    pub fn read(&self) -> Result<CalibrationPrompts> {
        match self {
            Self::Prompts(path) => read_prompts(path),
            Self::Tasks(path) => {
                let texts = of_tasks(&find_tasks(path)?)?;
                let source = format!("{} of the tasks in {}", counted(texts.len(), "prompt"), path.display());
                Ok(CalibrationPrompts { source, texts, ..CalibrationPrompts::default() })
            }
        }
    }

    /// The same with paths that mean the same in every folder.
    fn absolute(&self) -> Result<Self> {
        let real = |path: &Path| std::fs::canonicalize(path).map_err(|e| Error::io(path, e));
        Ok(match self {
            Self::Prompts(path) => Self::Prompts(real(path)?),
            Self::Tasks(path) => Self::Tasks(real(path)?),
        })
    }

    /// Those that a library's `library.toml` names.
    fn of_library(library: &Library) -> Option<Self> {
        let CalibrationDefaults { prompts, tasks } = &library.manifest.calibration;
        let at = |path: &PathBuf| library.root.join(path);
        prompts.as_ref().map(at).map(Self::Prompts).or_else(|| tasks.as_ref().map(at).map(Self::Tasks))
    }

    /// Makes them those of a library from now on, until its folder for derived data is deleted.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn remember(&self, library: &Library) -> Result<()> {
        let text = serde_json::to_vec(&self.absolute()?).map_err(|e| Error::msg(e.to_string()))?;
        let path = state_dir(&library.root)?.join(CHOICE);
        own::replace(&path, &text)
    }

    /// Those that were chosen for a library, there or gone; none where the file is missing or broken.
    fn choice(library: &Path) -> Option<Self> {
        let bytes = own::read(&state_dir(library).ok()?.join(CHOICE), 1 << 16).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    fn path(&self) -> &Path {
        let (Self::Prompts(path) | Self::Tasks(path)) = self;
        path
    }

    /// Those that were chosen for a library, where what was chosen is there.
    fn remembered(library: &Path) -> Option<Self> {
        Self::choice(library).filter(|chosen| chosen.path().exists())
    }
}

/// Where the prompts of a library's calibrations come from: `chosen`, else those that were chosen for the library
/// before, if they are still there, else those that its `library.toml` names, else the validation prompts of the
/// experts' own tasks where most of them are still there, else the general ones of this program. They are looked for
/// when they are needed. Where those that were chosen before are gone, the name of the others says so.
pub fn prompt_source(library: &Library, chosen: Option<ChosenPrompts>) -> PromptSource {
    let (root, usual) = (library.root.clone(), ChosenPrompts::of_library(library));
    let datasets: Vec<Option<String>> =
        library.usable().map(|expert| expert.provenance.as_ref()?.dataset.clone()).collect();
    PromptSource::new(move || {
        if let Some(chosen) = &chosen {
            return chosen.read();
        }
        let (there, gone) = match ChosenPrompts::choice(&root) {
            Some(choice) if choice.path().exists() => (Some(choice), None),
            gone => (None, gone),
        };
        let found = match there.or_else(|| usual.clone()) {
            Some(prompts) => prompts.read()?,
            None => own_prompts(&root, &datasets).map_or_else(general, Ok)?,
        };
        Ok(match gone {
            None => found,
            Some(gone) => {
                let (instead, gone) = (found.source, gone.path().display());
                CalibrationPrompts {
                    source: format!("{instead}, as {gone}, which was chosen, is gone"),
                    ..found
                }
            }
        })
    })
}

/// The own prompts of a library's experts: of the tasks in `tasks` or, without, in the folder that was chosen for the
/// library or that its `library.toml` names, that bear their names or those of their tasks; else of what their
/// `expert.toml` names. An expert whose data is not found has none.
pub fn own_source(library: &Library, tasks: Option<PathBuf>) -> OwnSource {
    let places = OwnPlaces::of(library, tasks);
    OwnSource::new(move |_| {
        let prompts = |(name, paths): (String, Vec<PathBuf>)| {
            let mut own = OwnPrompts { expert: name, ..OwnPrompts::default() };
            let each = EXAMPLES.div_ceil(paths.len().max(1));
            let tasks = paths.iter().map(|path| Ok(Dataset::load(path)?.train.into_iter().take(each)));
            let mut tasks: Vec<_> = tasks.collect::<Result<_>>()?;
            // Of several tasks one example each, in turn: the first ones are of all of them.
            for _ in 0..each {
                for example in tasks.iter_mut().filter_map(Iterator::next) {
                    own.texts.push(CalibrationText::Instruction(example.instruction, example.input));
                    own.answers.push(OwnAnswer::Text(example.output));
                }
            }
            Ok(own)
        };
        places.find()?.into_iter().map(prompts).collect()
    })
    .with_gates(GATES)
}

/// Whether the own data of all of a library's experts is there, where [`own_source`] looks for it: then routers that know
/// experts by their data can be used.
pub fn has_own_data(library: &Library) -> bool {
    let found = OwnPlaces::of(library, None).find().unwrap_or_default();
    !found.is_empty() && found.iter().all(|(_, paths)| !paths.is_empty())
}

/// Refuses a router that knows experts by their own data where that of an expert that may have weight is not where
/// [`own_source`] looks for it, before anything is loaded.
///
/// # Errors
/// A usage error that names these experts; tasks that cannot be read.
pub fn check_own_data(catalog: &Catalog, config: &RouterConfig, tasks: Option<&Path>) -> Result<()> {
    if config.needs() <= Needs::Spectra {
        return Ok(());
    }
    let found = OwnPlaces::of(catalog, tasks.map(Path::to_path_buf)).find()?;
    let all = found.len();
    let lacks = found.into_iter().filter(|(_, paths)| paths.is_empty());
    let lacking: Vec<&Expert> = lacks.filter_map(|(name, _)| catalog.expert(&name).ok()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let silent = |named: &String, expert: &Expert| catalog.expert(named).is_ok_and(|e| e.name == expert.name);
    let speaks =
        |expert: &Expert| !config.muted.iter().chain(&config.general).any(|name| silent(name, expert));
    let shape = match catalog.base() {
        Ok(BaseLocation::Found { path, .. }) => base_shape(&path).ok(),
        Ok(BaseLocation::Missing { .. }) | Err(_) => None,
    };
    // Who does not fit the base model takes no part. Before that is there, nobody knows who does.
    let takes_part = |expert: &Expert| match &shape {
        Some(shape) => fit_base(expert, shape).is_ok(),
        None => lacking.len() == all,
    };
    let named = lacking.iter().filter(|expert| speaks(expert) && takes_part(expert));
    let named: Vec<&str> = named.map(|expert| expert.name.as_str()).collect();
    if named.is_empty() { Ok(()) } else { Err(unknown_data(OWN_PROMPTS, &named)) }
}

/// Where the own data of a library's experts may be.
struct OwnPlaces {
    root: PathBuf,
    /// Tasks that were named for this once.
    tasks: Option<PathBuf>,
    /// What `library.toml` names.
    usual: Option<ChosenPrompts>,
    experts: Vec<OwnNames>,
}

/// An expert, with the tasks and the dataset that its provenance names.
struct OwnNames {
    expert: String,
    tasks: Vec<String>,
    dataset: Option<String>,
}

impl OwnPlaces {
    fn of(library: &Library, tasks: Option<PathBuf>) -> Self {
        let experts = library.usable().map(|expert| {
            let provenance = expert.provenance.as_ref();
            let tasks = provenance.map_or_else(Vec::new, |known| match known.tasks.as_slice() {
                [] => known.task.iter().cloned().collect(),
                several => several.iter().map(|record| record.task.clone()).collect(),
            });
            let dataset = provenance.and_then(|known| known.dataset.clone());
            OwnNames { expert: expert.name.clone(), tasks, dataset }
        });
        Self {
            root: library.root.clone(),
            tasks,
            usual: ChosenPrompts::of_library(library),
            experts: experts.collect(),
        }
    }

    /// The experts with the paths of their data, none for one whose data is not found.
    ///
    /// # Errors
    /// Tasks that were chosen and cannot be read.
    fn find(&self) -> Result<Vec<(String, Vec<PathBuf>)>> {
        let chosen = || ChosenPrompts::remembered(&self.root).or_else(|| self.usual.clone());
        let chosen = self.tasks.clone().or_else(|| match chosen() {
            Some(ChosenPrompts::Tasks(tasks)) => Some(tasks),
            _ => None,
        });
        let mut known: Vec<(String, PathBuf)> = Vec::new();
        for path in chosen.iter().map(|path| find_tasks(path)).collect::<Result<Vec<_>>>()?.concat() {
            known.push((read_task(&path)?.id, path));
        }
        let paths = |OwnNames { expert: name, tasks, dataset }: &OwnNames| {
            let named =
                |wanted: &String| known.iter().find(|(id, _)| id == wanted).map(|(_, path)| path.clone());
            // Of several, all have to be there.
            let given: Option<Vec<PathBuf>> = tasks.iter().map(named).collect();
            let given = given.filter(|paths| !paths.is_empty()).or_else(|| Some(vec![named(name)?]));
            let places = dataset.as_deref().map_or_else(Vec::new, |named| dataset_places(&self.root, named));
            let there = |place: &Vec<PathBuf>| place.iter().all(|path| path.exists());
            (name.clone(), given.or_else(|| places.into_iter().find(there)).unwrap_or_default())
        };
        Ok(self.experts.iter().map(paths).collect())
    }
}

/// The validation prompts of what the experts were trained on, where most of that is still there.
fn own_prompts(root: &Path, datasets: &[Option<String>]) -> Option<CalibrationPrompts> {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut found = 0;
    for dataset in datasets.iter().flatten() {
        let places = dataset_places(root, dataset);
        if let Some(place) = places.into_iter().find(|place| place.iter().all(|path| path.exists())) {
            found += 1;
            paths.extend(place);
        }
    }
    paths.sort();
    paths.dedup();
    if 2 * found <= datasets.len() || paths.len() < 2 {
        return None;
    }
    let texts = of_tasks(&paths).ok()?;
    let source = format!("{} that the experts' own tasks hold out", counted(texts.len(), "prompt"));
    Some(CalibrationPrompts { source, texts, ..CalibrationPrompts::default() })
}

/// Validation prompts of tasks, as many of each.
fn of_tasks(paths: &[PathBuf]) -> Result<Vec<CalibrationText>> {
    let each = WANTED.div_ceil(paths.len().max(1)).min(OF_ONE);
    let mut texts = Vec::new();
    for path in paths {
        let mut data = Dataset::load(path)?;
        // As a training without a validation split holds some back.
        data.ensure_validation(42);
        let examples = if data.validation.is_empty() { &data.train } else { &data.validation };
        let text = |e: &Example| CalibrationText::Instruction(e.instruction.clone(), e.input.clone());
        texts.extend(examples.iter().take(each).map(text));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_names_what_it_is_calibrated_with() {
        let root = tempfile::tempdir().unwrap();
        let manifest = |text: &str| {
            std::fs::write(root.path().join("library.toml"), text).unwrap();
            Library::open(root.path())
        };
        assert_eq!(ChosenPrompts::of_library(&manifest("").unwrap()), None);
        let prompts = manifest("[calibration]\nprompts = \"p.jsonl\"\n").unwrap();
        let found = ChosenPrompts::of_library(&prompts);
        assert_eq!(found, Some(ChosenPrompts::Prompts(root.path().join("p.jsonl"))));
        let error = found.unwrap().read().unwrap_err().to_string();
        assert!(error.contains("p.jsonl"), "{error}");
        let tasks = manifest("[calibration]\ntasks = \"../tasks\"\n").unwrap();
        let found = ChosenPrompts::of_library(&tasks);
        assert_eq!(found, Some(ChosenPrompts::Tasks(root.path().join("../tasks"))));
        for bad in ["prompts = \"a\"\ntasks = \"b\"", "files = \"a\"", "prompts = 3"] {
            assert!(manifest(&format!("[calibration]\n{bad}\n")).is_err(), "{bad}");
        }
    }

    #[test]
    fn tasks_that_were_chosen_for_a_library_are_data_of_its_experts() {
        let folder = tempfile::tempdir().unwrap();
        let (root, tasks) = (folder.path().join("library"), folder.path().join("tasks"));
        std::fs::create_dir(&root).unwrap();
        for task in ["plural", "negate"] {
            std::fs::create_dir_all(tasks.join(task)).unwrap();
            std::fs::write(tasks.join(task).join("train.jsonl"), "").unwrap();
        }
        let expert = |name: &str| crate::library::Expert { name: name.into(), ..Default::default() };
        let mut library =
            Library { root, experts: vec![expert("negate"), expert("plural")], ..Library::default() };
        assert!(!has_own_data(&library), "nothing says where it is");
        let check = |library: &Library, router: &str, tasks: Option<&Path>| {
            let catalog = Catalog::from(library.clone());
            check_own_data(&catalog, &router.parse().unwrap(), tasks).map_err(|e| e.to_string())
        };
        let error = check(&library, "retrieve", None).unwrap_err();
        assert!(error.starts_with("the training prompts of negate and plural are not known"), "{error}");
        assert_eq!(check(&library, "retrieve", Some(&tasks)), Ok(()));
        assert_eq!(check(&library, "arrow", None), Ok(()));
        ChosenPrompts::Tasks(tasks.clone()).remember(&library).unwrap();
        assert!(has_own_data(&library));
        library.experts.push(expert("sum"));
        assert_eq!(
            check(&library, "retrieve", None),
            Ok(()),
            "the base model says whether the last one takes part"
        );
        assert!(!has_own_data(&library), "nothing is known of the last one");
        library.experts.pop();
        // An expert of several tasks is known where all of them are there.
        let record = |task: &str| crate::library::TaskRecord { task: task.into(), ..Default::default() };
        for (tasks, known) in [(["plural", "negate"], true), (["plural", "sum"], false)] {
            let mut both = expert("both");
            both.provenance = Some(crate::library::Provenance {
                task: Some(tasks.join("+")),
                tasks: tasks.map(record).to_vec(),
                ..Default::default()
            });
            library.experts.push(both);
            assert_eq!(has_own_data(&library), known, "{tasks:?}");
            library.experts.pop();
        }
        std::fs::remove_dir_all(&tasks).unwrap();
        assert!(!has_own_data(&library), "it is gone");
        assert!(!has_own_data(&Library::default()));
    }

    #[test]
    fn a_choice_whose_prompts_are_gone_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library { root: folder.path().join("library"), ..Library::default() };
        std::fs::create_dir(&library.root).unwrap();
        let prompts = folder.path().join("prompts.jsonl");
        std::fs::write(&prompts, "{\"prompt\": \"a\"}\n").unwrap();
        ChosenPrompts::Prompts(prompts.clone()).remember(&library).unwrap();
        assert!(ChosenPrompts::remembered(&library.root).is_some());
        let source = || (prompt_source(&library, None).find().unwrap(), general().unwrap());
        let (found, _) = source();
        assert_eq!((found.texts.len(), found.source), (1, format!("1 prompt of {}", prompts.display())));
        std::fs::remove_file(&prompts).unwrap();
        assert_eq!(ChosenPrompts::remembered(&library.root), None);
        let (found, general) = source();
        assert_eq!(found.texts, general.texts);
        let said = format!("{}, as {}, which was chosen, is gone", general.source, prompts.display());
        assert_eq!(found.source, said);
    }
}

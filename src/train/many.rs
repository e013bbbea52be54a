//! A private library: one expert for each of several tasks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::dataset::{Dataset, find_tasks};
use super::given::Given;
use super::rows::{RowTraining, RowsEvent, TrainRow, at_once, refuse_single, train_rows};
use super::start::check_init;
use super::{TrainReport, TrainSpec};
use crate::catalog::Catalog;
use crate::library::{Skipped, content_sha256, expert_path, says_exists, state_dir};
use crate::outside::{hex, make_folders};
use crate::settings::{self, Kind, Role, Setting};
use crate::{Cancel, Error, Result, field};

/// What makes experts for several tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManySpec {
    /// That gets the new experts.
    pub library: PathBuf,
    /// Task folders, or folders of them: each task gets an expert of its name.
    pub tasks: Vec<PathBuf>,
    /// How many experts are trained at once; `None` means as many as make it faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<usize>,
    /// Leave out tasks whose expert is there already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_existing: bool,
    /// How each expert is trained. Library, data and name are filled in.
    pub training: TrainSpec,
}

/// What `train-many --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManyReport {
    /// That has the new experts.
    pub library: PathBuf,
    /// One per new expert.
    pub experts: Vec<TrainRow>,
    /// Seconds in all.
    pub seconds: f64,
    /// Tasks that get no expert.
    pub skipped: Vec<Skipped>,
}

/// Which tasks, and how many at once; the rest is [`super::TRAINING`].
pub static MANY: &[Setting<ManySpec>] = &[
    Setting::new("tasks", Kind::Paths(field!(ManySpec.tasks), Some("name a folder of tasks")))
        .flag("tasks", "Task folder, or a folder of them: each task gets an expert of its name")
        .value("DIR")
        .form("Tasks", "folder of tasks")
        .role(Role::Tasks),
    at_once(field!(ManySpec.at_once)),
    Setting::new("skip_existing", Kind::Switch(field!(ManySpec.skip_existing), true))
        .flag("skip-existing", "Leave out tasks whose expert is there already")
        .form("Skip existing", "leave out tasks whose expert is there")
        .advanced()
        .decides_nothing(),
];

impl ManySpec {
    /// Checks everything that needs no file.
    ///
    /// # Errors
    /// A usage error for the first setting that makes no sense.
    pub fn check(&self) -> Result<()> {
        settings::check(MANY, self)?;
        refuse_single(&self.training)?;
        if self.tasks.is_empty() {
            return Err(Error::usage("give at least one folder of tasks with --tasks"));
        }
        TrainSpec { data: self.tasks.clone(), ..self.training.clone() }.check()
    }

    /// Where states are kept while these settings are at work.
    fn states(&self) -> Result<PathBuf> {
        // What a path leads to decides, not how it is written; a state knows more of it.
        let content = |path: &PathBuf| content_sha256(path).map_or_else(|_| path.clone(), PathBuf::from);
        let deciding = Self {
            library: PathBuf::new(),
            tasks: Vec::new(),
            at_once: None,
            skip_existing: false,
            training: TrainSpec {
                checkpoint_every: None,
                given: Given::default(),
                forecast: None,
                base: self.training.base.as_ref().map(content),
                init: self.training.init.as_ref().map(content),
                ..self.training.clone()
            },
        };
        let text = serde_json::to_vec(&deciding).map_err(|e| Error::msg(e.to_string()))?;
        let name = hex(&Sha256::digest(text));
        Ok(state_dir(&self.library)?.join("train-many").join(name.get(..16).unwrap_or(&name)))
    }
}

/// The tasks that get an expert, in the order of their paths, and those that get none.
///
/// # Errors
/// Folders without tasks; two tasks of one name, or a name that is none for an expert; examples that cannot be read.
pub fn plan_many(spec: &ManySpec, cancel: &Cancel) -> Result<(Vec<TrainRow>, Vec<Skipped>)> {
    let (mut rows, mut skipped) = (Vec::new(), Vec::new());
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in &spec.tasks {
        for path in find_tasks(folder)? {
            cancel.check()?;
            let real = path.canonicalize().map_err(|e| Error::io(&path, e))?;
            let mut data = Dataset::load(&path)?;
            let name = data.task.id.clone();
            let reason = match () {
                () if data.task.held_out => "held out: it is for evaluation alone",
                () if data.train.is_empty() => "it has no training examples",
                () => "",
            };
            if !reason.is_empty() {
                skipped.push(Skipped::new(name, reason));
                continue;
            }
            expert_path(&spec.library, &name)
                .map_err(|error| Error::file(&path, format!("names its task so that {error}")))?;
            match names.insert(name.clone(), real.clone()) {
                Some(other) if other == real => continue,
                Some(other) => {
                    let problem = format!("is called {name}, as the task in {} is", other.display());
                    return Err(Error::file(&path, problem));
                }
                None => {}
            }
            data.ensure_validation(spec.training.seed);
            let examples = data.train.len();
            let steps = spec.training.steps(examples);
            rows.push(TrainRow { name, data: vec![path], examples, steps, ..TrainRow::default() });
        }
    }
    match rows.is_empty() {
        true => Err(Error::msg("no task here can be trained on: all are for evaluation alone")),
        false => Ok((rows, skipped)),
    }
}

/// Trains an expert for each task, several at once. What was interrupted resumes when it is asked for again with the
/// same settings: experts that it made stay, and those under way continue from their saved states.
///
/// # Errors
/// What [`plan_many`] refuses; trainings that failed, once all others are done; a raised `cancel`.
pub fn train_many(spec: &ManySpec, events: &mut dyn FnMut(RowsEvent), cancel: &Cancel) -> Result<ManyReport> {
    spec.check()?;
    let began = std::time::Instant::now();
    events(RowsEvent::Stage("reading the tasks".into()));
    let (mut rows, mut skipped) = plan_many(spec, cancel)?;
    if spec.training.init.is_some() {
        let library = Catalog::open(&spec.library, spec.training.base.as_deref())?;
        let mut stage = |text| events(RowsEvent::Stage(text));
        check_init(&spec.training, &library.base_fetched_with_words(&mut stage, cancel)?)?;
    }
    events(RowsEvent::Rows(rows.clone()));
    let states = spec.states()?;
    make_folders(&states)?;
    let all: Vec<RowTraining> =
        rows.iter().enumerate().map(|(at, row)| row_of(spec, at, row, &states)).collect();
    let mut made = |row: usize, report: TrainReport| {
        rows[row].report = Some(report);
        None
    };
    // An expert that this very training made is taken up; any other is in the way.
    let (mut there, mut in_the_way) = (Vec::new(), false);
    let mut leave = |row: usize, error: &Error| {
        let exists = says_exists(error);
        in_the_way |= exists;
        if exists && spec.skip_existing {
            there.push(row);
        }
        exists && spec.skip_existing
    };
    let done = train_rows(&all, spec.at_once, &mut made, &mut leave, events, cancel);
    done.map_err(|error| match in_the_way && !spec.skip_existing {
        true => Error::msg(format!("{error}; --skip-existing leaves out those that exist")),
        false => error,
    })?;
    there.sort_unstable();
    for row in there.into_iter().rev() {
        skipped.push(Skipped::new(rows.remove(row).name, "its expert is there already"));
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(ManyReport { library: spec.library.clone(), experts: rows, seconds, skipped })
}

fn row_of(spec: &ManySpec, number: usize, row: &TrainRow, states: &Path) -> RowTraining {
    RowTraining {
        number,
        state: states.join(format!("{}.safetensors", row.name)),
        adapted: None,
        spec: TrainSpec {
            library: spec.library.clone(),
            data: row.data.clone(),
            name: row.name.clone(),
            ..spec.training.clone()
        },
    }
}

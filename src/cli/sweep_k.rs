//! `sweep-k`: how many clusters are best, with controls; a recipe that is made for a library.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::output::Output;
use super::run::{HowToRun, run_recipe};
use crate::catalog::Catalog;
use crate::library::{Expert, Library};
use crate::module_path::kinds;
use crate::recipe;
use crate::scorers::Scoring;
use crate::settings::Setting;
use crate::train::{INIT, TRAINING, TrainSpec, data_of_experts, find_tasks};
use crate::{Error, Result};

/// Asked for where methods are not given.
const METHODS: &str = "base,uniform,arrow";
/// The setting that says which layers an expert adapts.
const TARGETS: &str = "targets";
/// The section of a recipe that says which clusters there are.
const CLUSTERS: &str = "clusters";
/// The first seed.
const SEED: u64 = 42;

/// Train libraries of k clusters over several k and seeds, with random clusters and joint training beside them
#[derive(Clone, Debug, clap::Args)]
pub struct SweepKArgs {
    /// Folder of adapters, one per task [default: ./library, if it is there]
    pub library: PathBuf,
    /// Numbers of clusters: a list or a range
    #[arg(long, value_name = "NUMBERS", default_value = "2..8")]
    pub k: String,
    /// Number of seeds, each of which makes a library for every k
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub seeds: u64,
    /// Percent of each task's steps that one expert makes on all tasks, with which those of the clusters then begin: a list
    #[arg(long, value_name = "PERCENTS", default_value = "0")]
    pub joint_shares: String,
    /// Task folder, or folder of such, to ask, too: those that no expert was trained on count as held out
    #[arg(long, value_name = "DIR")]
    pub tasks: Vec<PathBuf>,
    /// Methods to ask with --tasks
    #[arg(long, value_name = "METHODS", default_value = METHODS, requires = "tasks")]
    pub methods: String,
    /// Items per task
    #[arg(long, value_name = "N", requires = "tasks", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Print the recipe that it runs, to change it and to run it with `run`
    #[arg(long, conflicts_with_all = ["dry_run", "detach", "out"])]
    pub print: bool,
    #[command(flatten)]
    pub how: HowToRun,
}

/// Runs the command.
pub fn run(args: &SweepKArgs, output: &Output) -> Result<()> {
    let catalog = Catalog::open(&args.library, None)?;
    output.library_notes(&catalog);
    let begun = |expert: &&Expert| {
        expert
            .provenance
            .as_ref()
            .is_some_and(|own| own.settings.get(INIT).is_some_and(|init| !init.is_null()))
    };
    if let Some(expert) = catalog.usable().find(begun) {
        output.note(&format!(
            "{} started from an adapter: what is trained here does not, and has seen less than that; see --joint-shares",
            expert.name
        ));
    }
    let text = recipe_of(args, &catalog)?;
    if args.print {
        return output.text(&text);
    }
    let root = args.library.canonicalize().map_err(|error| Error::io(&args.library, error))?;
    let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let recipe = recipe::parse(&text, Path::new(&format!("{name}-sweep-k.toml")), Path::new(""))?;
    run_recipe(recipe, &args.how, output)
}

/// The recipe: the library as it is, its experts' settings for all that is trained.
fn recipe_of(args: &SweepKArgs, library: &Library) -> Result<String> {
    let whole = |path: &Path| -> Result<Value> {
        let real = path.canonicalize().map_err(|error| Error::io(path, error))?;
        Ok(Value::String(real.display().to_string()))
    };
    let numbers = |text: &str| Value::String(text.into());
    let seeds = format!("{SEED}..{}", SEED + args.seeds - 1);
    let clusters = [("k", args.k.as_str()), ("seeds", &seeds), ("joint_shares", &args.joint_shares)];
    for (id, text) in clusters {
        recipe::check(CLUSTERS, id, text).map_err(|wanted| {
            Error::usage(format!("--{} must be {wanted}, not {text}", id.replace('_', "-")))
        })?;
    }
    if recipe::numbers(&args.k).is_none_or(|all| all.is_empty()) {
        return Err(Error::usage("--k has no number"));
    }
    let mut table = Table::new();
    table.insert("name".into(), Value::String(format!("Number of clusters of {}", library.title())));
    let mut tasks = Table::new();
    let data = match data_of_experts(library, &[]) {
        Ok(data) => data,
        Err(error) if args.tasks.is_empty() => return Err(error),
        Err(_) => {
            let data = data_of_experts(library, &args.tasks)?;
            let paths = data.iter().map(|path| whole(path)).collect::<Result<Vec<_>>>()?;
            tasks.insert("train".into(), Value::Array(paths));
            data
        }
    };
    let mut held_out = Vec::new();
    for folder in &args.tasks {
        for path in find_tasks(folder)? {
            let real = path.canonicalize().map_err(|error| Error::io(&path, error))?;
            if !data.contains(&real) {
                held_out.push(whole(&real)?);
            }
        }
    }
    if !held_out.is_empty() {
        tasks.insert("held_out".into(), Value::Array(held_out));
    }
    if !tasks.is_empty() {
        table.insert("tasks".into(), Value::Table(tasks));
    }
    let section = |pairs: Vec<(&str, Value)>| {
        Value::Table(pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
    };
    table.insert("training".into(), Value::Table(training_of(library)));
    table.insert("private".into(), section(vec![("library", whole(&library.root)?)]));
    table.insert(CLUSTERS.into(), section(clusters.map(|(id, text)| (id, numbers(text))).to_vec()));
    if !args.tasks.is_empty() {
        let methods = args.methods.split(',').map(|method| Value::String(method.trim().into())).collect();
        let scoring = Value::String(Scoring::default().to_string());
        let mut asked = vec![("methods", Value::Array(methods)), ("scoring", scoring)];
        if let Some(limit) = args.limit {
            asked.push(("limit", Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX))));
        }
        table.insert("evaluation".into(), section(asked));
    }
    toml::to_string(&table).map_err(|error| Error::msg(error.to_string()))
}

/// How the experts of a library were trained: the settings of the first, and the median of their steps for each task.
/// What an expert of an earlier version does not say is what its layers show, else the default.
fn training_of(library: &Library) -> Table {
    let mut table = Table::new();
    let trained = || library.usable().filter_map(|expert: &Expert| expert.provenance.as_ref());
    let is_trained = |expert: &&Expert| expert.provenance.as_ref().is_some_and(|own| own.steps.is_some());
    let found = library.usable().find(is_trained);
    let Some((expert, first)) = found.and_then(|expert| Some((expert, expert.provenance.as_ref()?))) else {
        return table;
    };
    let targets = kinds(expert.modules.iter().map(|shape| shape.module.as_str()));
    if !targets.is_empty() {
        let targets = targets.into_iter().map(|target| Value::String(target.into())).collect();
        table.insert(TARGETS.into(), Value::Array(targets));
    }
    // What they started from may be no longer there, and a recipe has no place for it.
    let is_taken = |setting: &&Setting<TrainSpec>| setting.recorded && !setting.single && setting.id != INIT;
    for setting in TRAINING.iter().filter(is_taken) {
        if let Some(value) = first.settings.get(setting.id).and_then(|value| Value::try_from(value).ok()) {
            table.insert(setting.id.into(), value);
        }
    }
    let mut steps: Vec<usize> = trained().filter_map(|provenance| provenance.steps).collect();
    steps.sort_unstable();
    if let Some(&median) = steps.get(steps.len() / 2) {
        table.insert("max_steps".into(), Value::Integer(median as i64));
    }
    table
}

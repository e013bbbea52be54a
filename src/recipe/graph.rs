//! A recipe as a graph: the libraries that it makes, and the jobs that make and compare them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::methods::methods_of;
use super::recipe::{Clusters, Recipe};
use super::settings::numbers;
use super::tasks::{Task, Tasks};
use crate::catalog::Catalog;
use crate::eval::{EvalSpec, NamedLibrary, Unfit, check};
use crate::jobs::AnyJob;
use crate::library::{BaseSpec, Library, file_sha256};
use crate::outside::hex;
use crate::text::{counted, listed, printable};
use crate::train::{ClustersSpec, ManySpec, TrainSpec, data_of_experts, read_task};
use crate::{Error, Result};

/// Name and folder of the library with an expert for each task.
pub(super) const PRIVATE: &str = "private";
/// The same of that with one expert, and of that expert; those of other seeds begin with it.
pub(super) const JOINT: &str = "joint";
/// With this begin the names of libraries with one expert with which those of clusters begin, and of that expert.
const START: &str = "start";

/// What a library is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// An expert for each task.
    Private,
    /// One expert for all tasks.
    Joint {
        /// Of the training.
        seed: u64,
    },
    /// One expert for all tasks, with which those of clusters begin.
    Start {
        /// Percent of the steps.
        share: usize,
        /// Of the training.
        seed: u64,
    },
    /// An expert for each cluster of the private ones.
    Clusters(Clustered),
    /// An expert for each of as many random clusters of the same sizes.
    Random(Clustered),
}

/// How a library of clusters is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clustered {
    /// Number of clusters.
    pub k: usize,
    /// Percent of the steps that one expert has made on all tasks before.
    pub share: usize,
    /// Of the clustering, the dealing and the training.
    pub seed: u64,
}

impl Making {
    /// Whether it has one expert.
    pub fn is_single(&self) -> bool {
        matches!(self, Self::Joint { .. } | Self::Start { .. })
    }

    /// How its clusters are made, where it has some.
    pub fn clustered(&self) -> Option<Clustered> {
        match self {
            Self::Clusters(clustered) | Self::Random(clustered) => Some(*clustered),
            Self::Private | Self::Joint { .. } | Self::Start { .. } => None,
        }
    }

    /// What it is called with any seed.
    pub fn stem(&self) -> String {
        let begun = |share: usize| if share == 0 { String::new() } else { format!("-j{share}") };
        let of = |word: &str, Clustered { k, share, .. }: &Clustered| format!("{word}-k{k}{}", begun(*share));
        match self {
            Self::Private => PRIVATE.into(),
            Self::Joint { .. } => JOINT.into(),
            Self::Start { share, .. } => format!("{START}{}", begun(*share)),
            Self::Clusters(clustered) => of("mbc", clustered),
            Self::Random(clustered) => of("random", clustered),
        }
    }

    /// Its seed, where it is made by one of several.
    pub fn seed(&self) -> Option<u64> {
        match self {
            Self::Private => None,
            Self::Joint { seed } | Self::Start { seed, .. } => Some(*seed),
            Self::Clusters(clustered) | Self::Random(clustered) => Some(clustered.seed),
        }
    }

    /// Its name, with the seed.
    fn name(&self) -> String {
        self.seed().map_or_else(|| self.stem(), |seed| format!("{}-s{seed}", self.stem()))
    }
}

/// A library that takes part.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeLibrary {
    /// Its name in methods, and of its folder.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// What it is made of.
    pub making: Making,
    /// Whether it was there before.
    pub given: bool,
}

/// A job of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// By which it is known in the folder.
    pub name: String,
    /// What is to be done.
    pub job: AnyJob,
    /// Jobs that have to be finished before, by their place; all of them stand before this one.
    pub after: Vec<usize>,
    /// Hash of all that its outcome follows from, wherever the folder is.
    pub digest: String,
    /// The library that it fills, by its place.
    pub makes: Option<usize>,
    /// Examples that it trains on, each as often as it comes.
    pub trained: usize,
    /// Adapters that it makes, at most.
    pub adapters: usize,
    /// Answers that it asks for.
    pub answers: usize,
    /// The tasks that it trains on, each with the hash of its examples.
    pub tasks: BTreeMap<String, String>,
}

/// What a recipe comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// The libraries, the private one first.
    pub libraries: Vec<MadeLibrary>,
    /// The jobs, each behind those that it waits for.
    pub nodes: Vec<Node>,
    /// The job that compares all libraries, by its place.
    pub evaluation: Option<usize>,
}

impl Graph {
    /// Expands `recipe` over `tasks` for the folder `root`, an absolute path. Nothing is written.
    ///
    /// # Errors
    /// More clusters than experts; methods that there are not; settings that do not go together; nothing to do.
    pub fn of(recipe: &Recipe, tasks: &Tasks, root: &Path) -> Result<Self> {
        let mut building =
            Building { recipe, tasks, root, graph: Self::default(), before: String::new(), prompts: None };
        let training = TrainSpec { data: vec![root.to_path_buf()], ..recipe.training.clone() };
        training.check().map_err(|error| recipe.fail("training", "", error))?;
        building.private()?;
        building.joint();
        building.clusters()?;
        building.evaluation()?;
        match building.graph.nodes.is_empty() {
            true => Err(Error::file(
                &recipe.file,
                "asks for nothing: name k in [clusters], or methods in [evaluation]",
            )),
            false => Ok(building.graph),
        }
    }

    /// The jobs that fill a library.
    pub fn makers(&self, library: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&at| self.nodes[at].makes == Some(library)).collect()
    }
}

/// A graph that grows.
struct Building<'a> {
    recipe: &'a Recipe,
    tasks: &'a Tasks,
    root: &'a Path,
    graph: Graph,
    /// What a library that was there before follows from.
    before: String,
    /// SHA-256 of the prompts that routers are calibrated with, where a file is given.
    prompts: Option<String>,
}

impl Building<'_> {
    fn library(&mut self, name: String, making: Making) -> usize {
        let path = self.root.join(&name);
        self.graph.libraries.push(MadeLibrary { name, path, making, given: false });
        self.graph.libraries.len() - 1
    }

    fn private(&mut self) -> Result<()> {
        if let Some(path) = &self.recipe.private.library {
            let path = path
                .canonicalize()
                .map_err(|error| self.recipe.fail("private", "library", Error::io(path, error)))?;
            let library = Library::open(&path)?;
            self.same_tasks(&library)?;
            self.before = described(&library);
            let (name, making) = (PRIVATE.to_string(), Making::Private);
            self.graph.libraries.push(MadeLibrary { name, path, making, given: true });
            return Ok(());
        }
        let library = self.library(PRIVATE.into(), Making::Private);
        let jobs = self.recipe.private.jobs.min(self.tasks.train.len());
        for job in 0..jobs {
            // In turn: tasks of one size often stand together.
            let own: Vec<&Task> = self.tasks.train.iter().skip(job).step_by(jobs).collect();
            let name = if jobs == 1 { PRIVATE.to_string() } else { format!("{PRIVATE}-{}", job + 1) };
            let spec = ManySpec {
                skip_existing: false,
                library: self.graph.libraries[library].path.clone(),
                tasks: own.iter().map(|task| task.path.clone()).collect(),
                at_once: None,
                training: self.recipe.training.clone(),
            };
            let trained = trained_alone(&own, &self.recipe.training);
            self.training(name, spec.into(), Vec::new(), (library, own.len(), &own, trained));
        }
        Ok(())
    }

    /// Refuses a library whose experts were trained on other tasks than those that everything else is to be trained on.
    fn same_tasks(&self, library: &Library) -> Result<()> {
        let (given, clusters) = (&self.recipe.tasks.train, &self.recipe.clusters);
        if given.is_empty() || clusters.k.is_empty() && !self.recipe.controls.joint {
            return Ok(());
        }
        let fail = |problem: String| self.recipe.fail("private", "library", problem);
        let data = data_of_experts(library, given).map_err(|error| fail(error.to_string()))?;
        let known = data.iter().map(|path| Ok(read_task(path)?.id)).collect::<Result<BTreeSet<_>>>()?;
        let wanted: BTreeSet<String> = self.tasks.train.iter().map(|task| task.id.clone()).collect();
        let named = |ids: Vec<&String>| {
            let ids: Vec<String> = ids.into_iter().map(|id| printable(id).into_owned()).collect();
            listed(&ids.iter().map(String::as_str).collect::<Vec<_>>(), "and")
        };
        let (more, less): (Vec<_>, Vec<_>) =
            (known.difference(&wanted).collect(), wanted.difference(&known).collect());
        let problem = match (more.is_empty(), less.is_empty()) {
            (true, true) => return Ok(()),
            (_, false) => format!("has no expert of {}", named(less)),
            (false, true) => format!("has experts of {}, which are no tasks to train on", named(more)),
        };
        let path = library.root.display();
        Err(fail(format!("{path} {problem}: name the tasks of its experts as train in [tasks], or none")))
    }

    fn joint(&mut self) {
        if !self.recipe.controls.joint || self.tasks.train.len() < 2 {
            return;
        }
        let given = &self.recipe.clusters;
        let training = self.recipe.training.clone();
        self.on_all(JOINT.into(), Making::Joint { seed: training.seed }, training.clone());
        // As many as there are of the libraries that are compared with it: the first stands for its own seed, or one.
        let mut seeds =
            if given.k.is_empty() { Vec::new() } else { numbers(&given.seeds).unwrap_or_default() };
        let own = seeds.iter().position(|&seed| seed == training.seed).unwrap_or(0);
        if own < seeds.len() {
            seeds.remove(own);
        }
        for seed in seeds {
            let making = Making::Joint { seed };
            self.on_all(making.name(), making, TrainSpec { seed, ..training.clone() });
        }
    }

    /// A library with one expert of its name for all tasks, trained as `training` says of each; its place.
    fn on_all(&mut self, name: String, making: Making, training: TrainSpec) -> usize {
        let library = self.library(name.clone(), making);
        let own: Vec<&Task> = self.tasks.train.iter().collect();
        let spec = TrainSpec {
            library: self.graph.libraries[library].path.clone(),
            data: own.iter().map(|task| task.path.clone()).collect(),
            name: name.clone(),
            max_steps: training.max_steps.map(|steps| steps.saturating_mul(own.len())),
            ..training.clone()
        };
        let trained = spec.trained(own.iter().map(|task| task.examples).sum());
        self.training(name, spec.into(), Vec::new(), (library, 1, &own, trained));
        library
    }

    fn clusters(&mut self) -> Result<()> {
        let given = &self.recipe.clusters;
        let (all, seeds) = (numbers(&given.k).unwrap_or_default(), numbers(&given.seeds).unwrap_or_default());
        if all.is_empty() && given.joint_shares != Clusters::default().joint_shares {
            let problem = "joint_shares is for libraries of clusters: give k, their numbers, too";
            return Err(self.recipe.fail("clusters", "joint_shares", problem));
        }
        let private = self.graph.libraries[0].clone();
        let experts = match private.given {
            true => Catalog::open(&private.path, None)?.comparable().count(),
            false => self.tasks.train.len(),
        };
        if let Some(k) = all.iter().find(|&&k| k > experts as u64) {
            let problem = format!("k = {k} is more than there are experts: {}", counted(experts, "task"));
            return Err(self.recipe.fail("clusters", "k", problem));
        }
        let after = self.graph.makers(0);
        let own: Vec<&Task> = self.tasks.train.iter().collect();
        let shares = numbers(&given.joint_shares).unwrap_or_default();
        let all = shares.iter().flat_map(|&share| all.iter().map(move |&k| (share as usize, k as usize)));
        for (share, k, &seed) in all.flat_map(|(share, k)| seeds.iter().map(move |seed| (share, k, seed))) {
            let clustered = Clustered { k, share, seed };
            let (mut after, training) = (after.clone(), TrainSpec { seed, ..self.recipe.training.clone() });
            let training = match share {
                0 => training,
                _ => {
                    let [before, behind] = parted(&training, share).ok_or_else(|| {
                        let steps = counted(training.max_steps.unwrap_or_default(), "step");
                        let problem = format!(
                            "{share} % of {steps} leaves no step to one of both: give more max_steps, or another share"
                        );
                        self.recipe.fail("clusters", "joint_shares", problem)
                    })?;
                    let start = self.start(share, before);
                    after.extend(self.graph.makers(start));
                    let MadeLibrary { path, name, .. } = &self.graph.libraries[start];
                    TrainSpec { init: Some(path.join(name)), ..behind }
                }
            };
            for random in [false, true] {
                if random && !self.recipe.controls.random {
                    continue;
                }
                let making = if random { Making::Random(clustered) } else { Making::Clusters(clustered) };
                let name = making.name();
                let library = self.library(name.clone(), making);
                let spec = ClustersSpec {
                    library: private.path.clone(),
                    out: self.graph.libraries[library].path.clone(),
                    k,
                    sparsity: given.sparsity,
                    random: random.then_some(seed as usize),
                    per_task: true,
                    // Experts that are trained here say where their data is.
                    tasks: if private.given { self.recipe.tasks.train.clone() } else { Vec::new() },
                    training: training.clone(),
                    ..ClustersSpec::default()
                };
                let trained = trained_alone(&own, &training);
                self.training(name, spec.into(), after.clone(), (library, k, &own, trained));
            }
        }
        Ok(())
    }

    /// The library with the expert that those of clusters begin with, trained as `training` says of each task; its place.
    fn start(&mut self, share: usize, training: TrainSpec) -> usize {
        let making = Making::Start { share, seed: training.seed };
        let known = self.graph.libraries.iter().position(|library| library.making == making);
        known.unwrap_or_else(|| self.on_all(making.name(), making, training))
    }

    fn evaluation(&mut self) -> Result<()> {
        if self.recipe.evaluation.methods.is_empty() {
            return Ok(());
        }
        if self.tasks.asked().next().is_none() {
            let problem = format!("no task has items of its {} split", self.recipe.evaluation.split);
            return Err(self.recipe.fail("evaluation", "methods", problem));
        }
        let prompts = self.recipe.evaluation.calibration.as_deref();
        self.prompts = prompts
            .map(|path| file_sha256(path).map_err(|error| self.recipe.fail("evaluation", "prompts", error)))
            .transpose()?;
        let libraries = self.graph.libraries.clone();
        let named: Vec<(String, bool)> =
            libraries.iter().map(|library| (library.name.clone(), library.making.is_single())).collect();
        let methods = methods_of(self.recipe, &named)?;
        let asked: Vec<usize> = (0..libraries.len()).filter(|&at| !methods[at].is_empty()).collect();
        let mut before = Vec::new();
        for &at in &asked {
            let spec = EvalSpec {
                library: libraries[at].path.clone(),
                methods: methods[at].clone(),
                // What it names may be of another library.
                against: String::new(),
                ..self.spec()
            };
            let after = self.graph.makers(at);
            before.push(self.asking(format!("eval-{}", libraries[at].name), spec, after, methods[at].len()));
        }
        let label = |at: usize, method: &String| match at {
            0 => method.clone(),
            at => format!("{}/{method}", libraries[at].name),
        };
        let spec = EvalSpec {
            library: libraries[0].path.clone(),
            libraries: asked
                .iter()
                .filter(|&&at| at > 0)
                .map(|&at| NamedLibrary {
                    name: libraries[at].name.clone(),
                    path: libraries[at].path.clone(),
                })
                .collect(),
            methods: asked.iter().flat_map(|&at| methods[at].iter().map(move |m| label(at, m))).collect(),
            ..self.spec()
        };
        // As it would be found out when all is trained.
        check(&spec, true)
            .map_err(|Unfit { setting, error }| self.recipe.fail("evaluation", setting, error))?;
        // What it compares was found out before.
        let makers = self.graph.makers(0);
        let after = [makers, before].concat();
        self.graph.evaluation = Some(self.asking("evaluation".into(), spec, after, 0));
        Ok(())
    }

    fn spec(&self) -> EvalSpec {
        let tasks = self.tasks.asked().map(|task| task.path.clone()).collect();
        EvalSpec { tasks, ..self.recipe.evaluation.clone() }
    }

    /// A job that trains on `tasks`, and takes so many examples.
    fn training(
        &mut self,
        name: String,
        job: AnyJob,
        after: Vec<usize>,
        (library, adapters, tasks, trained): (usize, usize, &[&Task], usize),
    ) {
        let data: Vec<&str> = tasks.iter().map(|task| task.trained.as_str()).collect();
        let digest = self.digest(&job, &after, &data);
        let tasks = tasks.iter().map(|task| (task.id.clone(), task.trained.clone())).collect();
        let node =
            Node { name, job, after, digest, makes: Some(library), trained, adapters, answers: 0, tasks };
        self.graph.nodes.push(node);
    }

    /// A job that asks; its place.
    fn asking(&mut self, name: String, spec: EvalSpec, after: Vec<usize>, methods: usize) -> usize {
        let answers = methods * self.tasks.asked().map(|task| task.items).sum::<usize>();
        let tasks = self.tasks.asked().flat_map(|task| [task.asked.as_str(), task.trained.as_str()]);
        let data: Vec<&str> = tasks.chain(self.prompts.as_deref()).collect();
        let job = AnyJob::from(spec);
        let digest = self.digest(&job, &after, &data);
        let tasks = BTreeMap::new();
        let node = Node { name, job, after, digest, makes: None, trained: 0, adapters: 0, answers, tasks };
        self.graph.nodes.push(node);
        self.graph.nodes.len() - 1
    }

    /// Hash of a job, of what comes before it and of its data, with no path outside the folder.
    fn digest(&self, job: &AnyJob, after: &[usize], data: &[&str]) -> String {
        let mut job = job.clone();
        job.paths(&mut |path, _| {
            *path = match path.strip_prefix(self.root) {
                Ok(inside) => inside.to_path_buf(),
                Err(_) => path.file_name().map(PathBuf::from).unwrap_or_default(),
            };
        });
        let base = self.recipe.base.clone().map(|base| BaseSpec {
            path: base.path.as_deref().and_then(Path::file_name).map(PathBuf::from),
            ..base
        });
        let before: Vec<&str> = after.iter().map(|&at| self.graph.nodes[at].digest.as_str()).collect();
        let all = json!([job, base, self.recipe.template, data, before, self.before]);
        hex(&Sha256::digest(all.to_string()))
    }
}

/// Examples that a training on each of the tasks takes.
fn trained_alone(tasks: &[&Task], training: &TrainSpec) -> usize {
    tasks.iter().map(|task| training.trained(task.examples)).sum()
}

/// A training on a task as two of which the first makes so many percent of the steps; `None` where one would make none.
fn parted(training: &TrainSpec, percent: usize) -> Option<[TrainSpec; 2]> {
    let (mut before, mut behind) = (training.clone(), training.clone());
    if let Some(steps) = training.max_steps {
        let first = (steps as f64 * percent as f64 / 100.0).round() as usize;
        if first == 0 || first >= steps {
            return None;
        }
        (before.max_steps, behind.max_steps) = (Some(first), Some(steps - first));
    }
    if training.max_steps.is_none() || training.epochs.is_some() {
        let epochs = training.epochs.unwrap_or(1.0);
        let first = epochs * percent as f64 / 100.0;
        (before.epochs, behind.epochs) = (Some(first), Some(epochs - first));
    }
    Some([before, behind])
}

/// What a library that was there before and its experts say of themselves.
fn described(library: &Library) -> String {
    let of = |expert: &crate::library::Expert| json!([expert.name, expert.provenance]);
    json!([library.manifest, library.usable().map(of).collect::<Vec<_>>()]).to_string()
}

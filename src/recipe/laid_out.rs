//! A recipe in its folder: which of its jobs are done, which are started, resumed and waited for.
//!
//! The folder is a library of all experts that are made in it, so that screens and `jobs` show it. It has the
//! libraries, the report, and in its `.lora-tui` the jobs and [`KEPT`]: for each node of the graph the job that does it,
//! and the hash of all that its outcome follows from. What has the same hash and is there is not done again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::graph::{Graph, Node, PRIVATE};
use super::recipe::Recipe;
use super::tasks::Tasks;
use crate::catalog::Catalog;
use crate::jobs::{After, AnyJob, AnyReport, JobState, JobSummary, Jobs, executor_named};
use crate::library::{BaseSpec, Expert, Manifest, Status, existing_state_dir, real_of, state_dir};
use crate::outside::{Lock, make_folders, own};
use crate::text::{listed, printable};
use crate::{Error, Result};

/// The file that says which job does what.
const KEPT: &str = "recipe.json";
/// Locked by whoever starts jobs of the folder and waits for them.
const LOCK: &str = "recipe.lock";
/// Largest such file that is read.
const MAX_KEPT: u64 = 16 << 20;

/// How far a node of the graph was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its outcome is there.
    Done,
    /// Nobody has begun with it.
    New,
    /// Its job, which ended without an outcome, can be resumed.
    Stopped,
    /// Its job waits or works.
    UnderWay,
}

/// What is known of a node's job.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Its state.
    pub state: JobState,
    /// Steps done, and all of them; 0 while unknown.
    pub steps: (usize, usize),
    /// Why it failed; untrusted.
    pub error: Option<String>,
    /// It waits for something that has failed or was cancelled.
    pub blocked: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    nodes: BTreeMap<String, KeptNode>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptNode {
    job: String,
    digest: String,
    /// As [`Node::tasks`]; nothing of what earlier versions wrote.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tasks: BTreeMap<String, String>,
}

impl KeptNode {
    fn of(node: &Node, job: &str) -> Self {
        Self { job: job.into(), digest: node.digest.clone(), tasks: node.tasks.clone() }
    }
}

impl Kept {
    fn read(root: &Path) -> Result<Option<Self>> {
        let Some(state) = existing_state_dir(root) else { return Ok(None) };
        let path = state.join(KEPT);
        let Some(bytes) = own::read(&path, MAX_KEPT)? else { return Ok(None) };
        let kept = serde_json::from_slice(&bytes).map_err(|error| {
            Error::file(&path, format!("cannot be read: {error}; choose another folder (--out)"))
        })?;
        Ok(Some(kept))
    }

    fn write(&self, root: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::msg(error.to_string()))?;
        own::replace(&state_dir(root)?.join(KEPT), &text)
    }
}

/// A recipe in its folder.
#[derive(Debug)]
pub struct LaidOut {
    /// The folder; its real path.
    pub root: PathBuf,
    /// What is asked for.
    pub recipe: Recipe,
    /// Its tasks.
    pub tasks: Tasks,
    /// What it comes to.
    pub graph: Graph,
    /// How far each node was.
    pub standing: Vec<Standing>,
    jobs: Option<Jobs>,
    kept: Kept,
    lock: Option<Lock>,
}

impl LaidOut {
    /// Looks at a folder, which need not be there, and writes nothing.
    ///
    /// # Errors
    /// A folder that something else has filled, or that was made of other tasks or with other settings; what
    /// [`Graph::of`] says.
    pub fn look(recipe: Recipe, tasks: Tasks, root: &Path) -> Result<Self> {
        let root = real_of(root)?;
        let graph = Graph::of(&recipe, &tasks, &root)?;
        let kept = match Kept::read(&root)? {
            Some(kept) => kept,
            None => {
                check_new(&root)?;
                Kept::default()
            }
        };
        let jobs = if root.is_dir() { Some(Jobs::of_folder(&root)?) } else { None };
        let mut laid = Self { root, recipe, tasks, graph, standing: Vec::new(), jobs, kept, lock: None };
        laid.judge()?;
        Ok(laid)
    }

    /// Makes the folder and its libraries, and takes it: nobody else starts its jobs meanwhile. `executor` runs them,
    /// else the one of the recipe, else the default.
    ///
    /// # Errors
    /// When somebody else has it; folders and files that cannot be written; an executor that there is not.
    pub fn take(&mut self, executor: Option<&str>) -> Result<()> {
        make_folders(&self.root)?;
        let path = state_dir(&self.root)?.join(LOCK);
        // Without locks, what starts its jobs on this machine refuses; elsewhere, each job makes something of its own.
        let lock = Lock::take_where_possible(&path)?;
        self.lock = Some(lock.ok_or_else(|| {
            Error::file(&self.root, "is being run already: follow it there, or wait until it is finished")
        })?);
        // Before anything else: from here on the folder is this recipe's.
        self.kept.write(&self.root)?;
        let manifest = self.manifest()?;
        write_manifest(&self.root, &Manifest { name: Some(self.recipe.name.clone()), ..manifest.clone() })?;
        for library in self.graph.libraries.iter().filter(|library| !library.given) {
            make_folders(&library.path)?;
            // That of clusters is written by whoever fills it.
            if library.making.clustered().is_none() {
                let name = Some(format!("{}, {}", self.recipe.name, library.name));
                write_manifest(&library.path, &Manifest { name, ..manifest.clone() })?;
            }
        }
        let jobs = Jobs::of_folder(&self.root)?;
        let chosen = executor.or(Some(self.recipe.executor.as_str()).filter(|name| !name.is_empty()));
        self.jobs = Some(match chosen {
            Some(name) => jobs.with_executor(executor_named(name, Some(self.root.clone()))?),
            None => jobs,
        });
        self.adopt()?;
        self.judge()
    }

    /// The base model that the recipe describes, wherever it is looked at from.
    ///
    /// # Errors
    /// When there is no working directory.
    pub fn base(&self) -> Result<Option<BaseSpec>> {
        let absolute = |path: PathBuf| std::path::absolute(&path).map_err(|error| Error::io(&path, error));
        let mut base = self.recipe.base.clone();
        if let Some(base) = &mut base {
            base.path = base.path.take().map(absolute).transpose()?;
        }
        Ok(base)
    }

    /// What its libraries have in common.
    fn manifest(&self) -> Result<Manifest> {
        let private = self.graph.libraries.first().filter(|library| library.given);
        let Some(private) = private else {
            let base = self.base()?;
            return Ok(Manifest { base, template: self.recipe.template.clone(), ..Manifest::default() });
        };
        let mut manifest = Manifest::read(&private.path)?;
        // Its paths are relative to it.
        let base = manifest.base.as_mut().and_then(|base| base.path.as_mut());
        let calibration = manifest.calibration.prompts.iter_mut().chain(&mut manifest.calibration.tasks);
        for path in base.into_iter().chain(calibration) {
            *path = private.path.join(&*path);
        }
        Ok(manifest)
    }

    /// Finds jobs again that were started by a process that could not write down which.
    fn adopt(&mut self) -> Result<()> {
        let Some(jobs) = &self.jobs else { return Ok(()) };
        let known: HashSet<&str> = self.kept.nodes.values().map(|kept| kept.job.as_str()).collect();
        let all = jobs.list()?;
        let mut free = Vec::new();
        for job in all.iter().filter(|job| !known.contains(job.id.as_str())) {
            if let Some(spec) = jobs.detail(&job.id)?.job {
                free.push((job.id.clone(), spec));
            }
        }
        let mut found = Vec::new();
        for node in self.graph.nodes.iter().filter(|node| !self.kept.nodes.contains_key(&node.name)) {
            let mut wanted = node.job.clone();
            if wanted.prepare().is_ok()
                && let Some((id, _)) = free.iter().find(|(_, job)| is_same(job, &wanted))
            {
                found.push((node.name.clone(), KeptNode::of(node, id)));
            }
        }
        self.kept.nodes.extend(found);
        Ok(())
    }

    /// How far every node is.
    fn judge(&mut self) -> Result<()> {
        let all: HashMap<String, JobSummary> = match &self.jobs {
            Some(jobs) => jobs.list()?.into_iter().map(|job| (job.id.clone(), job)).collect(),
            None => HashMap::new(),
        };
        let mut standing: Vec<Standing> = Vec::with_capacity(self.graph.nodes.len());
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let kept = self.kept.nodes.get(&node.name);
            if let Some(kept) = kept.filter(|kept| kept.digest != node.digest && node.makes.is_some()) {
                return Err(self.changed(node, kept));
            }
            let kept = kept.filter(|kept| kept.digest == node.digest);
            let job = kept.and_then(|kept| all.get(&kept.job));
            // What is made anew makes all anew that follows, though not what is there.
            let is_fresh = node.after.iter().any(|&parent| standing[parent] == Standing::New);
            standing.push(match job.map(|job| job.state) {
                Some(JobState::Finished) if self.is_whole(at, kept)? => Standing::Done,
                None | Some(JobState::Finished) => Standing::New,
                Some(state) if !state.is_over() => Standing::UnderWay,
                Some(_) if is_fresh || !self.asks_for(node, kept) => Standing::New,
                Some(_) => Standing::Stopped,
            });
        }
        self.standing = standing;
        Ok(())
    }

    /// Whether a job asks for what its node does, in the place where the folder is now. A library that is not there yet
    /// says nothing.
    fn asks_for(&self, node: &Node, kept: Option<&KeptNode>) -> bool {
        let mut wanted = node.job.clone();
        if wanted.prepare().is_err() {
            return true;
        }
        let job = self.jobs.as_ref().zip(kept).and_then(|(jobs, kept)| jobs.detail(&kept.job).ok()?.job);
        job.is_some_and(|job| is_same(&job, &wanted))
    }

    /// Whether all that a finished job made is still there.
    ///
    /// # Errors
    /// An expert that is there and can no longer be used: what follows would be found out without it.
    fn is_whole(&self, at: usize, kept: Option<&KeptNode>) -> Result<bool> {
        let Some(library) = self.graph.nodes[at].makes.map(|library| &self.graph.libraries[library]) else {
            return Ok(true);
        };
        let report = self.jobs.as_ref().zip(kept).and_then(|(jobs, kept)| report_of(jobs, &kept.job).ok()?);
        let Some(report) = report else { return Ok(false) };
        let trained = report.trained();
        if !trained.iter().all(|(name, _)| library.path.join(name).is_dir()) {
            return Ok(false);
        }
        let there = Catalog::open(&library.path, None)?;
        let there: HashMap<&str, &Expert> = there.experts.iter().map(|e| (e.name.as_str(), e)).collect();
        for (name, _) in &trained {
            let problem = match there.get(name) {
                Some(expert) if expert.status() == Status::Bad => expert.reason().unwrap_or_default(),
                Some(_) => continue,
                None => "is no expert any more",
            };
            let problem =
                format!("{problem}: remove this folder, and the same command makes the expert again");
            return Err(Error::file(library.path.join(name), problem));
        }
        Ok(true)
    }

    /// The error for what was made of something else.
    fn changed(&self, node: &Node, kept: &KeptNode) -> Error {
        let before = self.jobs.as_ref().and_then(|jobs| jobs.detail(&kept.job).ok()?.job);
        let mut now = node.job.clone();
        // Paths as the job has them.
        let _ = now.prepare();
        let other = before.and_then(|before| {
            let before = before.facts();
            now.facts().into_iter().find(|fact| !before.contains(fact))
        });
        let of_tasks = || {
            let differs = |(task, hash): &(&String, &String)| kept.tasks.get(*task) != Some(*hash);
            let names: Vec<&str> = node.tasks.iter().filter(differs).map(|(task, _)| task.as_str()).collect();
            match (kept.tasks.is_empty(), names.is_empty()) {
                (true, _) => "other tasks, base model or settings".to_string(),
                (false, true) => "another base model, template or library before it".into(),
                (false, false) => format!("other examples of {}", printable(&listed(&names, "and"))),
            }
        };
        let other = other.map_or_else(of_tasks, |fact| {
            format!("other settings or tasks than the recipe has now ({fact})")
        });
        let folder =
            node.makes.map_or(self.root.clone(), |library| self.graph.libraries[library].path.clone());
        Error::file(folder, format!("was made with {other}: choose another folder (--out)"))
    }

    /// Starts what is new, resumes what was stopped, and leaves the rest; each job waits for those before it.
    ///
    /// # Errors
    /// A job that cannot be started or resumed, with its name in the graph; others may have been.
    pub fn start(&mut self) -> Result<()> {
        let Some(jobs) = self.jobs.clone() else { return Err(Error::file(&self.root, "is no folder")) };
        let stopped: Vec<usize> = self.having(&Standing::Stopped);
        let ids: Vec<String> = stopped.iter().filter_map(|&at| self.job(at).map(String::from)).collect();
        for ((_, done), at) in jobs.resume_many(&ids, false)?.into_iter().zip(stopped) {
            done.map_err(|error| self.of(at, &error))?;
        }
        let mut left = self.having(&Standing::New);
        // All or none: one that is refused after others were started would leave these at work.
        for &at in &left {
            self.graph.nodes[at].job.clone().prepare().map_err(|error| self.of(at, &error))?;
        }
        while !left.is_empty() {
            // What waits for none of those that are left, so that a scheduler gets all of a kind at once.
            let waits = |at: &usize| self.graph.nodes[*at].after.iter().any(|parent| left.contains(parent));
            let (later, now): (Vec<usize>, Vec<usize>) = left.iter().copied().partition(waits);
            let asked: Vec<(AnyJob, Vec<After>)> = now.iter().map(|&at| self.asked(at)).collect();
            let started = jobs.start_many(&asked).map_err(|error| match now.as_slice() {
                [at] => self.of(*at, &error),
                _ => error,
            })?;
            for (&at, job) in now.iter().zip(&started) {
                let node = &self.graph.nodes[at];
                self.kept.nodes.insert(node.name.clone(), KeptNode::of(node, &job.id));
            }
            self.kept.write(&self.root)?;
            if let Some((at, problem)) =
                now.iter().zip(&started).find_map(|(at, job)| Some((*at, job.problem.clone()?)))
            {
                return Err(self.of(at, &Error::msg(problem)));
            }
            left = later;
        }
        self.judge()
    }

    /// A node's job with those that it waits for.
    fn asked(&self, at: usize) -> (AnyJob, Vec<After>) {
        let node = &self.graph.nodes[at];
        let open = node.after.iter().filter(|&&parent| self.standing[parent] != Standing::Done);
        let after = open.filter_map(|&parent| self.job(parent)).map(After::finished).collect();
        (node.job.clone(), after)
    }

    fn having(&self, standing: &Standing) -> Vec<usize> {
        (0..self.standing.len()).filter(|&at| self.standing[at] == *standing).collect()
    }

    fn of(&self, at: usize, error: &Error) -> Error {
        Error::msg(format!("{}: {error}", self.graph.nodes[at].name))
    }

    /// The job of a node, where it has one.
    pub fn job(&self, at: usize) -> Option<&str> {
        let kept = self.kept.nodes.get(&self.graph.nodes[at].name)?;
        (kept.digest == self.graph.nodes[at].digest).then_some(kept.job.as_str())
    }

    /// What is known of every node's job now.
    ///
    /// # Errors
    /// A folder of jobs that cannot be read.
    pub fn looks(&self) -> Result<Vec<Look>> {
        let all: HashMap<String, JobSummary> = match &self.jobs {
            Some(jobs) => jobs.list()?.into_iter().map(|job| (job.id.clone(), job)).collect(),
            None => HashMap::new(),
        };
        let mut looks: Vec<Look> = Vec::with_capacity(self.graph.nodes.len());
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let is_stuck = |parent: &usize| {
                let parent: &Look = &looks[*parent];
                parent.blocked || matches!(parent.state, JobState::Failed | JobState::Cancelled)
            };
            let stuck = node.after.iter().any(is_stuck);
            looks.push(match self.job(at).and_then(|id| all.get(id)) {
                Some(job) => Look {
                    state: job.state,
                    steps: (job.step, job.steps),
                    error: job.error.clone(),
                    blocked: stuck && job.state == JobState::Queued,
                },
                None => Look { state: JobState::Queued, steps: (0, 0), error: None, blocked: stuck },
            });
        }
        Ok(looks)
    }

    /// Whether every job that has ended has said so itself, by a result: the others only look like it.
    pub fn have_ended(&self, looks: &[Look]) -> bool {
        let mut over = looks.iter().enumerate().filter(|(_, look)| look.state.is_over());
        let ended = |at: usize| {
            let (jobs, id) = (self.jobs.as_ref()?, self.job(at)?);
            jobs.detail(id).ok()?.ended
        };
        over.all(|(at, _)| ended(at).is_some())
    }

    /// Asks all jobs that wait or work to stop.
    ///
    /// # Errors
    /// What their executor says.
    pub fn cancel(&self) -> Result<()> {
        let Some(jobs) = &self.jobs else { return Ok(()) };
        let looks = self.looks()?;
        let open = looks.iter().enumerate().filter(|(_, look)| !look.state.is_over());
        let open: Vec<String> = open.filter_map(|(at, _)| self.job(at).map(String::from)).collect();
        jobs.cancel_many(&open)
    }

    /// What the job of a node reports.
    ///
    /// # Errors
    /// A job that has no readable result.
    pub fn report(&self, at: usize) -> Result<AnyReport> {
        let found = self.jobs.as_ref().zip(self.job(at)).map(|(jobs, id)| report_of(jobs, id)).transpose()?;
        found.flatten().ok_or_else(|| self.of(at, &Error::msg("its job has no result")))
    }
}

fn report_of(jobs: &Jobs, id: &str) -> Result<Option<AnyReport>> {
    jobs.detail(id)?.outcome.transpose().map_err(Error::msg)
}

/// Whether two jobs ask for the same, however much memory they may take and however their paths were given.
fn is_same(one: &AnyJob, other: &AnyJob) -> bool {
    let plain = |job: &AnyJob| {
        let mut value = serde_json::to_value(job).ok()?;
        for part in ["", "/training"] {
            if let Some(fields) = value.pointer_mut(part).and_then(Value::as_object_mut) {
                fields.retain(|name, _| name != "forecast" && name != "given");
            }
        }
        Some(value)
    };
    plain(one).is_some_and(|one| Some(one) == plain(other))
}

fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<()> {
    let path = folder.join(Manifest::FILE);
    if own::is_taken(&path) {
        return Ok(());
    }
    let text = toml::to_string(manifest).map_err(|error| Error::msg(error.to_string()))?;
    own::replace(&path, text.as_bytes())
}

/// Refuses a folder with anything in it. One whose libraries were made here, and where nothing says any more of what,
/// is told from others.
fn check_new(root: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(_) if root.is_file() => {
            return Err(Error::file(root, "is not a folder: choose another (--out)"));
        }
        Err(error) => return Err(Error::io(root, error)),
    };
    let is_ours = |name: &std::ffi::OsStr| name == own::STATE_DIR;
    match entries.any(|entry| !entry.is_ok_and(|entry| is_ours(&entry.file_name()))) {
        true if root.join(PRIVATE).join(Manifest::FILE).is_file() => Err(Error::file(
            root,
            "has libraries, but nothing says any more what they were made of: its .lora-tui was removed, and an experiment \
             cannot go on without. Use them as they are (eval), or choose another folder (--out)",
        )),
        true => {
            Err(Error::file(root, "is not empty, and no recipe has filled it: choose another folder (--out)"))
        }
        false => Ok(()),
    }
}

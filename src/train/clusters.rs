//! The MBC library: the experts of a library are clustered, and one expert is trained for each cluster on the
//! data of all its members.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::dataset::Dataset;
use super::given::Given;
use super::identity::template_sha256;
use super::rows::{RowTraining, RowsEvent, TrainRow, at_once, refuse_single, train_rows};
use super::sources::Sources;
use super::start::check_init;
use super::{TrainReport, TrainSpec};
use crate::analysis::{self, Clustering, ComparisonCache, DEFAULT_SPARSITY, Metric, PAPER_K};
use crate::catalog::Catalog;
use crate::library::{
    BaseSpec, Library, Manifest, Skipped, content_sha256, moved, real_of, relative, state_dir,
};
use crate::outside::{Lock, hex, make_folders, own, sweep};
use crate::settings::{self, Kind, Role, Setting, Whole};
use crate::{Cancel, Error, Result, field};

/// Where the plan and the states are, in the new library.
const STATE: [&str; 2] = [".lora-tui", "clusters"];
/// What is to be made, and what has been.
const PLAN: &str = "plan.json";
/// Largest plan that is read back.
const MAX_PLAN: u64 = 64 << 20;

/// What makes an MBC library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClustersSpec {
    /// The library whose experts are clustered.
    pub library: PathBuf,
    /// Folder of the new library: empty or new, or one that the same settings began.
    pub out: PathBuf,
    /// Number of clusters.
    pub k: usize,
    /// Share of each expert's smallest entries that count as zero.
    pub sparsity: f64,
    /// Deals the experts out to clusters of the same sizes by this seed instead: a control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<usize>,
    /// Whether `max_steps` is meant for each task: a cluster of three trains three times as long, and a library of clusters
    /// as long as one with an expert for each task.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub per_task: bool,
    /// The new experts' names begin with it; a number follows.
    pub prefix: String,
    /// Where tasks are looked for, beside what the experts' provenance names.
    #[serde(rename = "data")]
    pub tasks: Vec<PathBuf>,
    /// How many experts are trained at once; `None` means as many as make it faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<usize>,
    /// How each expert is trained; its seed is the clustering's too. Library, data and name are filled in.
    pub training: TrainSpec,
}

impl Default for ClustersSpec {
    fn default() -> Self {
        Self {
            library: PathBuf::from("library"),
            out: PathBuf::new(),
            k: PAPER_K,
            sparsity: DEFAULT_SPARSITY,
            random: None,
            per_task: false,
            prefix: "cluster_".into(),
            tasks: Vec::new(),
            at_once: None,
            training: TrainSpec::default(),
        }
    }
}

/// What `train-clusters --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClustersReport {
    /// The new library.
    pub library: PathBuf,
    /// Number of clusters.
    pub k: usize,
    /// Of k-means.
    pub seed: u64,
    /// Share of each expert's smallest entries that counted as zero.
    pub sparsity: f64,
    /// Of the clustering; `None` unless 2 ≤ k < N, and where the experts were dealt out.
    pub silhouette: Option<f64>,
    /// The seed by which they were dealt out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<usize>,
    /// One per new expert.
    pub clusters: Vec<TrainRow>,
    /// Things worth knowing, each one line, untrusted.
    pub warnings: Vec<String>,
    /// Experts that no cluster has.
    pub skipped: Vec<Skipped>,
}

/// What is kept in the new library while it is made.
#[derive(Serialize, Deserialize)]
struct Plan {
    /// Of the settings.
    digest: String,
    /// Where the new library was.
    #[serde(default)]
    out: PathBuf,
    /// What all experts have in common, once the first is begun.
    #[serde(default)]
    common: Option<Common>,
    silhouette: Option<f64>,
    warnings: Vec<String>,
    skipped: Vec<Skipped>,
    rows: Vec<TrainRow>,
    manifest: Manifest,
}

/// What has to be the same for all experts of a library. SHA-256 each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Common {
    /// Content of the base model's files.
    base: String,
    /// Prompt and end of the template.
    template: String,
    /// Content of the adapter that they start from.
    #[serde(default)]
    init: Option<String>,
}

/// Seeds that a form can take.
const SEEDS: Whole = Whole { low: 0, high: u32::MAX as u64 };

/// How the experts are clustered and where what is made goes; the rest is [`super::TRAINING`].
pub static CLUSTERS: &[Setting<ClustersSpec>] = &[
    analysis::clusters(field!(ClustersSpec.k)).unset("10, or as many as there are experts"),
    analysis::sparsity(field!(ClustersSpec.sparsity)).advanced(),
    Setting::new("random", Kind::OptionalWhole(field!(ClustersSpec.random), SEEDS))
        .flag("random", "Deal the experts out by this seed to clusters of the same sizes: a control")
        .value("SEED")
        .unset("as they resemble each other")
        .form("Random", "seed; empty: as the experts resemble each other")
        .advanced()
        .brief("random"),
    Setting::new("per_task", Kind::Switch(field!(ClustersSpec.per_task), true))
        .flag("per-task", "Count --max-steps for each task of a cluster, so that all clusters together train as long as the tasks alone")
        .form("Per task", "max steps are those of each task of a cluster")
        .advanced()
        .brief("per task"),
    Setting::new("out", Kind::Folder(field!(ClustersSpec.out), "name a folder for the new library"))
        .flag("out", "Folder for the new library; run the same command again to resume")
        .value("DIR")
        .form("New library", "folder of the new experts")
        .role(Role::NewLibrary)
        .brief("into"),
    Setting::new("prefix", Kind::Text(field!(ClustersSpec.prefix), prefix_problem))
        .flag("prefix", "Prefix of the new experts' names; a number follows")
        .value("PREFIX")
        .form("Names", "a number follows")
        .role(Role::Plan),
    Setting::new("tasks", Kind::Paths(field!(ClustersSpec.tasks), None))
        .flag("tasks", "Folder of tasks, for experts whose own dataset is missing")
        .alias("data")
        .value("DIR")
        .form("Tasks", "folder with tasks, if the experts' own data is gone")
        .role(Role::Tasks),
    at_once(field!(ClustersSpec.at_once)),
];

fn prefix_problem(prefix: &str) -> Option<&'static str> {
    let wrong = prefix.starts_with('.') || prefix.contains(['/', '\\']);
    wrong.then_some("without / or \\, and no dot at its start")
}

impl ClustersSpec {
    /// Checks everything that needs no file.
    ///
    /// # Errors
    /// A usage error for the first setting that makes no sense.
    pub fn check(&self) -> Result<()> {
        settings::check(CLUSTERS, self)?;
        refuse_single(&self.training)?;
        TrainSpec { data: vec![self.library.clone()], ..self.training.clone() }.check()
    }

    /// Checks that the output folder is new, empty, or begun by the same settings.
    ///
    /// # Errors
    /// Anything else, since it would mix two libraries.
    pub fn check_out(&self) -> Result<()> {
        let out = &self.out;
        let library = self.library.canonicalize().map_err(|e| Error::io(&self.library, e))?;
        let real = real_of(out)?;
        if real.starts_with(&library) || library.starts_with(&real) {
            return Err(Error::file(
                out,
                "the new library must stand beside the old one, not in or around it",
            ));
        }
        let entries = match std::fs::read_dir(out) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(_) if out.is_file() => {
                return Err(Error::file(out, "is not a folder: choose another (--out)"));
            }
            Err(e) => return Err(Error::io(out, e)),
        };
        if has_plan(out) {
            return match read_plan(out)?.digest == self.digest()? {
                true => Ok(()),
                false => Err(Error::file(
                    out,
                    "was begun with other settings: give the same ones to resume, or another folder (--out)",
                )),
            };
        }
        let ours = STATE.first().map(OsStr::new);
        match entries.flatten().any(|entry| Some(entry.file_name().as_os_str()) != ours) {
            true => Err(Error::file(out, "is not empty: choose another folder (--out)")),
            false => Ok(()),
        }
    }

    /// The cluster of each expert, as clustered or dealt out.
    fn labels(&self, clustering: &Clustering) -> Vec<usize> {
        let mut labels = clustering.labels.clone();
        if let Some(seed) = self.random {
            labels.shuffle(&mut ChaCha8Rng::seed_from_u64(seed as u64));
        }
        labels
    }

    /// How the expert of this row is trained.
    fn training_of(&self, row: &TrainRow) -> TrainSpec {
        let times = if self.per_task { row.data.len().max(1) } else { 1 };
        let max_steps = self.training.max_steps.map(|steps| steps.saturating_mul(times));
        TrainSpec { max_steps, ..self.training.clone() }
    }

    fn digest(&self) -> Result<String> {
        // As seen from the new library, so that all of it can move.
        let out = real_of(&self.out)?;
        let place = |path: &PathBuf| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            relative(&real, &out).unwrap_or(real)
        };
        let [base, init] = [&self.training.base, &self.training.init].map(|path| path.as_ref().map(place));
        let deciding = Self {
            library: place(&self.library),
            out: PathBuf::new(),
            tasks: self.tasks.iter().map(place).collect(),
            at_once: None,
            training: TrainSpec {
                base,
                init,
                checkpoint_every: None,
                given: Given::default(),
                ..self.training.clone()
            },
            ..self.clone()
        };
        let text = serde_json::to_vec(&deciding).map_err(|e| Error::msg(e.to_string()))?;
        Ok(hex(&Sha256::digest(text)))
    }
}

/// Clusters the experts of a library and trains one expert per cluster into a new library, which gets the base
/// model, template and router of the old one. What was interrupted resumes when it is asked for again with the
/// same settings: trained experts stay, and the unfinished one continues from its saved state.
///
/// # Errors
/// Settings that make no sense; an output folder with something else in it; experts whose data cannot be found;
/// what [`super::train`] refuses; a raised `cancel`.
pub fn train_clusters(
    spec: &ClustersSpec,
    events: &mut dyn FnMut(RowsEvent),
    cancel: &Cancel,
) -> Result<ClustersReport> {
    spec.check()?;
    if let Some(init) = &spec.training.init {
        // It is part of what the settings are known by.
        init.metadata().map_err(|error| Error::io(init, error))?;
    }
    spec.check_out()?;
    // Nothing is made before all that can be wrong was looked at.
    let fresh = match has_plan(&spec.out) {
        true => None,
        false => Some(plan(spec, events, cancel)?),
    };
    let work = Work::open(&spec.out)?;
    // Somebody else may have begun meanwhile.
    spec.check_out()?;
    let mut plan = match fresh {
        Some(plan) if !has_plan(&spec.out) && work.begin(&plan)? => plan,
        _ => {
            spec.check_out()?;
            read_plan(&spec.out)?
        }
    };
    work.collect(spec, &mut plan)?;
    if plan.rows.iter().any(|row| row.report.is_none()) {
        work.keep_to_common(spec, &mut plan, &mut |text| events(RowsEvent::Stage(text)), cancel)?;
    }
    events(RowsEvent::Rows(plan.rows.clone()));
    let mut given = spec.training.given.clone();
    given.note_here();
    let all: Vec<RowTraining> = plan
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.report.is_none())
        .map(|(number, row)| RowTraining {
            number,
            state: work.folder.join(format!("{}.safetensors", row.name)),
            adapted: None,
            spec: TrainSpec {
                library: spec.out.clone(),
                data: row.data.clone(),
                name: row.name.clone(),
                // As the new library says.
                base: None,
                given: given.clone(),
                ..spec.training_of(row)
            },
        })
        .collect();
    let mut made = |row: usize, report: TrainReport| {
        plan.rows[row].report = Some(report);
        // The expert is there, and is found again without the plan.
        work.write(&plan).err().map(|error| format!("the plan could not be saved: {error}"))
    };
    train_rows(&all, spec.at_once, &mut made, &mut |_, _| false, events, cancel)?;
    Ok(ClustersReport {
        library: spec.out.clone(),
        k: spec.k,
        seed: spec.training.seed,
        sparsity: spec.sparsity,
        silhouette: plan.silhouette,
        random: spec.random,
        clusters: plan.rows,
        warnings: plan.warnings,
        skipped: plan.skipped,
    })
}

fn plan_path(out: &Path) -> PathBuf {
    out.join(STATE.join("/")).join(PLAN)
}

fn has_plan(out: &Path) -> bool {
    plan_path(out).exists()
}

fn read_plan(out: &Path) -> Result<Plan> {
    let path = plan_path(out);
    let bytes = own::read(&path, MAX_PLAN)?.ok_or_else(|| Error::file(&path, "is missing"))?;
    let mut plan: Plan =
        serde_json::from_slice(&bytes).map_err(|e| Error::file(&path, format!("cannot be read: {e}")))?;
    let here = real_of(out)?;
    if plan.out != here {
        for data in plan.rows.iter_mut().flat_map(|row| &mut row.data) {
            *data = moved(data, &plan.out, &here);
        }
        plan.out = here;
    }
    Ok(plan)
}

fn plan_text(plan: &Plan) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(plan).map_err(|e| Error::msg(e.to_string()))
}

/// The output folder while it is worked on.
struct Work {
    folder: PathBuf,
    _lock: Lock,
}

impl Work {
    fn open(out: &Path) -> Result<Self> {
        make_folders(out)?;
        // The plan belongs to the library; the lock is where there are some.
        let [folder, locked] = [out.join(STATE.join("/")), state_dir(out)?.join("clusters")];
        make_folders(&folder)?;
        make_folders(&locked)?;
        match Lock::take_where_possible(&locked.join("lock"))? {
            Some(lock) => {
                // What makers that were killed left behind.
                sweep(&folder);
                Ok(Self { folder, _lock: lock })
            }
            None => Err(Error::file(out, "is being made already")),
        }
    }

    fn write(&self, plan: &Plan) -> Result<()> {
        own::replace(&self.folder.join(PLAN), &plan_text(plan)?)
    }

    /// Writes the first plan; false where somebody else has, which can be where there are no locks.
    fn begin(&self, plan: &Plan) -> Result<bool> {
        let path = self.folder.join(PLAN);
        match own::create_whole(&path, &plan_text(plan)?) {
            Err(_) if own::is_taken(&path) => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Checks that the base model and the template are those with which the first expert was begun.
    fn keep_to_common(
        &self,
        spec: &ClustersSpec,
        plan: &mut Plan,
        stage: &mut dyn FnMut(String),
        cancel: &Cancel,
    ) -> Result<()> {
        // As the new library says.
        let library = Catalog::open(&spec.out, None)?;
        let base = content_sha256(&library.base_fetched_with_words(stage, cancel)?)?;
        let template = template_sha256(&library.manifest.template.clone().unwrap_or_default());
        let init = spec.training.init.as_deref().map(content_sha256).transpose()?;
        let now = Common { base, template, init };
        let Some(before) = &plan.common else {
            plan.common = Some(now);
            return self.write(plan);
        };
        let changed = match () {
            () if before.base != now.base => "base model",
            () if before.template != now.template => "template",
            () if before.init != now.init => "adapter to start from",
            () => return Ok(()),
        };
        let problem = format!(
            "was begun with another {changed}: put that back to resume, or choose another folder (--out)"
        );
        Err(Error::file(&spec.out, problem))
    }

    /// Writes the manifest if that has not happened, and takes up experts that were written before the plan
    /// heard of it.
    fn collect(&self, spec: &ClustersSpec, plan: &mut Plan) -> Result<()> {
        let manifest = spec.out.join(Manifest::FILE);
        if !manifest.exists() {
            let text = toml::to_string(&plan.manifest).map_err(|e| Error::msg(e.to_string()))?;
            own::replace(&manifest, text.as_bytes())?;
        }
        let library = Catalog::open(&spec.out, spec.training.base.as_deref())?;
        for row in &mut plan.rows {
            let Some(expert) = library.experts.iter().find(|expert| expert.name == row.name) else {
                // It was removed since.
                row.report = None;
                continue;
            };
            let is_new = row.report.is_none() && expert.is_usable();
            let Some(p) = expert.provenance.as_ref().filter(|_| is_new) else { continue };
            row.report = TrainReport::of_finished(&row.name, expert.path.clone(), p);
        }
        self.write(plan)
    }
}

/// Clusters the library and finds the data of every cluster.
fn plan(spec: &ClustersSpec, events: &mut dyn FnMut(RowsEvent), cancel: &Cancel) -> Result<Plan> {
    events(RowsEvent::Stage("reading the library".into()));
    let library = Catalog::open(&spec.library, spec.training.base.as_deref())?;
    let mut stage = |text| events(RowsEvent::Stage(text));
    let base = library.base_fetched_with_words(&mut stage, cancel)?;
    check_init(&spec.training, &base)?;
    let manifest = manifest_of(spec, &library, &base)?;
    events(RowsEvent::Stage("comparing the experts".into()));
    let similarity = analysis::similarity(
        &library,
        Metric::default(),
        spec.sparsity,
        &ComparisonCache::of(&library),
        &mut |_, _| {},
        cancel,
    )?;
    let clustering = analysis::cluster(&similarity, spec.k, spec.training.seed, cancel)?;
    events(RowsEvent::Stage("looking for the data".into()));
    let ClustersPlan { rows, missing, mut warnings } = plan_clusters(spec, &library, &clustering, cancel)?;
    warnings.extend(clustering.shortfall(spec.k));
    if !missing.is_empty() {
        return Err(Error::msg(format!(
            "{}: give the folder with the tasks with --tasks",
            no_data(&missing)
        )));
    }
    let warnings = [similarity.warnings.clone(), warnings].concat();
    let skipped = similarity.skipped;
    let out = real_of(&spec.out)?;
    Ok(Plan {
        digest: spec.digest()?,
        out,
        common: None,
        // What was dealt out has none.
        silhouette: clustering.silhouette.filter(|_| spec.random.is_none()),
        warnings,
        skipped,
        rows,
        manifest,
    })
}

/// What would be trained for each cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClustersPlan {
    /// One row per cluster that has members.
    pub rows: Vec<TrainRow>,
    /// Experts whose data is not found, and why.
    pub missing: Vec<Skipped>,
    /// Things worth knowing, each one line, untrusted.
    pub warnings: Vec<String>,
}

/// Looks for the data of every member of `clustering` and counts its examples and steps. Writes nothing.
///
/// # Errors
/// A folder of `spec.tasks` without tasks; data that cannot be read; a raised `cancel`.
pub fn plan_clusters(
    spec: &ClustersSpec,
    library: &Library,
    clustering: &Clustering,
    cancel: &Cancel,
) -> Result<ClustersPlan> {
    let sources = Sources::new(&spec.library, &spec.tasks, &spec.training.given)?;
    let digits = spec.k.to_string().len();
    let name = |cluster: usize| format!("{}{:0digits$}", spec.prefix, analysis::cluster_number(cluster));
    let mut rows: Vec<TrainRow> =
        (0..spec.k).map(|cluster| TrainRow { name: name(cluster), ..TrainRow::default() }).collect();
    let (mut missing, mut warnings) = (Vec::new(), Vec::new());
    for (name, label) in clustering.experts.iter().zip(spec.labels(clustering)) {
        cancel.check()?;
        let Some(row) = rows.get_mut(label) else { continue };
        row.members.push(name.clone());
        match sources.of(library.expert(name)?) {
            Ok(found) => {
                warnings.extend(found.warning.map(|warning| format!("{name} {warning}")));
                for path in found.paths {
                    if !row.data.contains(&path) {
                        row.data.push(path);
                    }
                }
            }
            Err(reason) => missing.push(Skipped::new(name, reason)),
        }
    }
    rows.retain(|row| !row.members.is_empty());
    for row in &mut rows {
        for path in &row.data {
            cancel.check()?;
            let mut data = Dataset::load_for_training(path)?;
            data.ensure_validation(spec.training.seed);
            row.examples += data.train.len();
        }
        row.steps = spec.training_of(row).steps(row.examples);
    }
    Ok(ClustersPlan { rows, missing, warnings })
}

/// `no data for a (its expert.toml names no dataset), b (…) and 3 more`.
pub fn no_data(missing: &[Skipped]) -> String {
    const NAMED: usize = 5;
    let named: Vec<String> =
        missing.iter().take(NAMED).map(|left| format!("{} ({})", left.name, left.reason)).collect();
    let more = match missing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("no data for {}{more}", named.join(", "))
}

/// The new library's manifest: the old one's, with a base model that is found from anywhere.
fn manifest_of(spec: &ClustersSpec, library: &Catalog, base: &Path) -> Result<Manifest> {
    let mut manifest = library.manifest.clone();
    manifest.name = Some(format!("{}, {} clusters", library.title(), spec.k));
    let absolute = |path: &Path| path.canonicalize().map_err(|e| Error::io(path, e));
    let at = |path: PathBuf| Some(BaseSpec { path: Some(path), ..BaseSpec::default() });
    if spec.training.base.is_some() {
        manifest.base = at(absolute(base)?);
        return Ok(manifest);
    }
    if let Some(described) = &mut manifest.base {
        // A path is relative to the old library.
        if let Some(path) = &described.path
            && let Ok(path) = absolute(&library.root.join(path))
        {
            described.path = Some(path);
        }
        return Ok(manifest);
    }
    if !library.is_default_base(base) {
        manifest.base = at(absolute(base)?);
    }
    Ok(manifest)
}

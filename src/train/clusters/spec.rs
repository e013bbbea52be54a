//! What makes an MBC library: settings, what they have to be, and what a library that was begun is known by.

use std::ffi::OsStr;
use std::path::PathBuf;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::saved::{STATE, has_plan, read_plan};
use crate::analysis::{self, Clustering, DEFAULT_SPARSITY, PAPER_K};
use crate::library::{real_of, relative};
use crate::outside::hex;
use crate::settings::{self, Kind, Role, Setting, Whole};
use crate::train::TrainSpec;
use crate::train::given::Given;
use crate::train::rows::{TrainRow, at_once, refuse_single};
use crate::{Error, Result, field};

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

/// Seeds that a form can take.
const SEEDS: Whole = Whole { low: 0, high: u32::MAX as u64 };

/// How the experts are clustered and where what is made goes; the rest is [`crate::train::TRAINING`].
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
    pub(super) fn labels(&self, clustering: &Clustering) -> Vec<usize> {
        let mut labels = clustering.labels.clone();
        if let Some(seed) = self.random {
            labels.shuffle(&mut ChaCha8Rng::seed_from_u64(seed as u64));
        }
        labels
    }

    /// How the expert of this row is trained.
    pub(super) fn training_of(&self, row: &TrainRow) -> TrainSpec {
        let times = if self.per_task { row.data.len().max(1) } else { 1 };
        let max_steps = self.training.max_steps.map(|steps| steps.saturating_mul(times));
        TrainSpec { max_steps, ..self.training.clone() }
    }

    pub(super) fn digest(&self) -> Result<String> {
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

//! `cluster`: similarity and clustering of a whole library.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{
    AnyJob, Around, Findings, Job, JobContext, Kind, Made, Measure, Next, Use, absolute, clusters_title,
    real, real_if_there,
};
use crate::analysis::{self, ComparisonCache, DEFAULT_SEED, DEFAULT_SPARSITY, Metric};
use crate::catalog::Catalog;
use crate::library::Skipped;
use crate::settings::{self, Entry, Kind as Of, Setting};
use crate::text::{counted, number};
use crate::train::{ClustersSpec, Step};
use crate::{Error, Result, field, named_setting};

/// Clusterings.
pub static CLUSTER: Kind = Kind::of::<ClusterSpec>();

/// Similarity and clustering of a whole library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterSpec {
    /// Its folder.
    pub library: PathBuf,
    /// Base model that the experts have to fit; the library's where none is given.
    pub base: Option<PathBuf>,
    /// Number of clusters.
    pub k: usize,
    /// By what experts are compared.
    pub metric: Metric,
    /// Share of each expert's smallest entries that count as zero, where the metric uses it.
    pub sparsity: f64,
    /// Seed of k-means.
    pub seed: u64,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            library: PathBuf::from("library"),
            base: None,
            k: 1,
            metric: Metric::default(),
            sparsity: DEFAULT_SPARSITY,
            seed: DEFAULT_SEED,
        }
    }
}

/// What a clustering reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterReport {
    /// Number of clusters.
    pub k: usize,
    /// Seed of k-means.
    pub seed: u64,
    /// By what experts were compared.
    pub metric: Metric,
    /// Share of each expert's smallest entries that counted as zero, where the metric uses it.
    pub sparsity: f64,
    /// Names, in the order of `labels`.
    pub experts: Vec<String>,
    /// Cluster of each expert, 0..k.
    pub labels: Vec<usize>,
    /// `None` where it is not finite.
    pub inertia: Option<f64>,
    /// `None` unless 2 ≤ k < N.
    pub silhouette: Option<f64>,
    /// Experts that were left out.
    pub skipped: Vec<Skipped>,
}

/// What other tabs and trainings find again, which compare by the default metric.
fn made(report: &ClusterReport) -> Option<Made> {
    let ClusterReport { k, seed, sparsity, metric, .. } = *report;
    (metric == Metric::default()).then_some(Made::Clusters { k, seed, sparsity })
}

static TABLE: [Setting<ClusterSpec>; 5] = [
    analysis::clusters(field!(ClusterSpec.k)).unset("a third of the experts, from 2 to 10"),
    analysis::metric(named_setting!(Metric, ClusterSpec.metric)),
    analysis::sparsity_of_metric(field!(ClusterSpec.sparsity)),
    analysis::seed(field!(ClusterSpec.seed)),
    Setting::new("base", Of::Path(field!(ClusterSpec.base)))
        .flag("base", "Base model that the experts have to fit: a .gguf file or a transformers folder")
        .value("PATH")
        .unset("the library's"),
];

static SETTINGS: LazyLock<Vec<Box<dyn Entry<ClusterSpec>>>> =
    LazyLock::new(|| TABLE.iter().map(|setting| Box::new(setting) as Box<dyn Entry<_>>).collect());

impl Job for ClusterSpec {
    const KIND: &'static str = "cluster";
    const HEADING: &'static str = "Cluster the library";
    const RESUMES: bool = false;
    type Report = ClusterReport;

    fn settings() -> &'static [Box<dyn Entry<Self>>] {
        &SETTINGS
    }

    fn fresh(around: &Around<'_>) -> Self {
        let shown = around.k.map(|k| k.clamp(1, around.comparable.max(1)));
        Self {
            library: absolute(around.library),
            base: around.base.map(absolute),
            k: shown.unwrap_or_else(|| analysis::default_k(around.comparable)),
            metric: Metric::default(),
            sparsity: around.sparsity.unwrap_or(DEFAULT_SPARSITY),
            seed: around.seed.unwrap_or(DEFAULT_SEED),
        }
    }

    fn suggest(&self, id: &str, around: &Around<'_>) -> Option<String> {
        (id == "k").then(|| Self::fresh(around).k.to_string())
    }

    fn title(&self) -> String {
        clusters_title(&self.library, self.k)
    }

    fn prepare(&mut self) -> Result<()> {
        self.library = real(&self.library)?;
        self.base = self.base.as_deref().map(real_if_there);
        settings::check(&TABLE, self)
    }

    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
        visit(&mut self.library, Use::Library);
        self.base.iter_mut().for_each(|path| visit(path, Use::Reads));
    }

    fn run(&self, context: &mut JobContext<'_>) -> Result<ClusterReport> {
        let JobContext { events, cancel, .. } = context;
        events.stage("reading the library");
        let library = Catalog::open(&self.library, self.base.as_deref())?;
        let experts = library.comparable().count();
        if self.k == 0 || self.k > experts {
            return Err(Error::usage(format!(
                "k is {}, but the library has {}",
                self.k,
                counted(experts, "usable expert")
            )));
        }
        cancel.check()?;
        events.stage("comparing the experts");
        let mut progress =
            |step: usize, steps: usize| events.step(Step { step, steps, ..Step::default() }, None);
        let similarity = analysis::similarity(
            &library,
            self.metric,
            self.sparsity,
            &ComparisonCache::of(&library),
            &mut progress,
            cancel,
        )?;
        for warning in &similarity.warnings {
            events.log(warning);
        }
        cancel.check()?;
        events.stage("clustering");
        let clustering = analysis::cluster(&similarity, self.k, self.seed, cancel)?;
        clustering.shortfall(self.k).iter().for_each(|text| events.log(text));
        Ok(ClusterReport {
            k: clustering.k,
            seed: clustering.seed,
            metric: self.metric,
            sparsity: self.sparsity,
            experts: clustering.experts,
            labels: clustering.labels,
            inertia: Some(clustering.inertia),
            silhouette: clustering.silhouette,
            skipped: similarity.skipped,
        })
    }

    fn next(&self, report: &ClusterReport) -> Vec<Next> {
        let Some(made) = made(report) else { return Vec::new() };
        let around = Around {
            library: &self.library,
            base: self.base.as_deref(),
            comparable: report.experts.len(),
            k: Some(report.k),
            seed: Some(report.seed),
            sparsity: Some(report.sparsity),
            ..Around::default()
        };
        let train =
            AnyJob::from(ClustersSpec::fresh(&around)).start("Train one expert for each of these clusters");
        [Next::open("Show the clusters", made)].into_iter().chain(train).collect()
    }

    fn findings(report: &ClusterReport) -> Findings {
        let size = format!("{} of {}", counted(report.k, "cluster"), counted(report.labels.len(), "expert"));
        let rounded = |name: &str, value: Option<f64>| {
            value.filter(|value| value.is_finite()).map(|value| format!("{name} {}", number(value, 3)))
        };
        let silhouette = rounded("silhouette", report.silhouette);
        let headline = [Some(size.clone()), silhouette].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let facts =
            [Some(size), rounded("inertia", report.inertia), rounded("silhouette", report.silhouette)];
        let mut members: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (name, label) in report.experts.iter().zip(&report.labels) {
            members.entry(*label).or_default().push(name.clone());
        }
        Findings {
            headline,
            made: made(report),
            measure: Measure::more("silhouette", report.silhouette, 3),
            facts: facts.into_iter().flatten().collect(),
            clusters: members.into_iter().collect(),
            left_out: report.skipped.clone(),
        }
    }
}

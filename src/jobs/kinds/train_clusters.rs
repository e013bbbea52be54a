//! `train-clusters`: one new expert for each cluster, into a new library.

use std::path::PathBuf;
use std::sync::LazyLock;

use super::rows::RowsProgress;
use super::train::{make_start_real, paths_of_training, training};
use super::{
    AnyJob, Around, Findings, Job, JobContext, Kind, Made, Measure, Next, Use, absolute, clusters_title,
    make_real, real,
};
use crate::analysis::{DEFAULT_SPARSITY, paper_k};
use crate::eval::EvalSpec;
use crate::field;
use crate::settings::{Entry, Setting, Within};
use crate::text::counted;
use crate::train::{
    self, CLUSTERS, ClustersReport, ClustersSpec, TRAINING, TrainReport, TrainRow, TrainSpec,
};
use crate::{Error, Result};

/// Makings of an MBC library.
pub static TRAIN_CLUSTERS: Kind = Kind::of::<ClustersSpec>();

static SETTINGS: LazyLock<Vec<Box<dyn Entry<ClustersSpec>>>> = LazyLock::new(|| {
    let (mut behind, first): (Vec<_>, Vec<_>) = CLUSTERS.iter().partition(|setting| setting.advanced);
    let own = |setting: &'static Setting<ClustersSpec>| Box::new(setting) as Box<dyn Entry<ClustersSpec>>;
    let mut all: Vec<_> = first.into_iter().map(own).collect();
    for setting in TRAINING.iter().filter(|setting| !setting.single) {
        let is_seed = setting.id == "seed";
        if is_seed {
            all.extend(behind.drain(..).map(own));
        }
        let hint = is_seed.then_some("also of the clustering");
        all.push(Box::new(Within { setting, part: field!(ClustersSpec.training), hint }));
    }
    all
});

impl Job for ClustersSpec {
    const KIND: &'static str = "train-clusters";
    const HEADING: &'static str = "Train one expert for each cluster";
    const RESUMES: bool = true;
    type Report = ClustersReport;

    fn settings() -> &'static [Box<dyn Entry<Self>>] {
        &SETTINGS
    }

    fn fresh(around: &Around<'_>) -> Self {
        let default = Self::default();
        let shown = around.k.map(|k| k.clamp(1, around.comparable.max(1)));
        let k = shown.unwrap_or_else(|| paper_k(around.comparable));
        Self {
            library: absolute(around.library),
            out: out(around, k).into(),
            k,
            sparsity: around.sparsity.unwrap_or(DEFAULT_SPARSITY),
            training: TrainSpec {
                seed: around.seed.unwrap_or(default.training.seed),
                // The library is filled in for each expert.
                ..training(around)
            },
            ..default
        }
    }

    fn suggest(&self, id: &str, around: &Around<'_>) -> Option<String> {
        match id {
            "k" => Some(Self::fresh(around).k.to_string()),
            "out" => Some(out(around, self.k)),
            _ => None,
        }
    }

    fn title(&self) -> String {
        clusters_title(&self.out, self.k)
    }

    fn prepare(&mut self) -> Result<()> {
        self.library = real(&self.library)?;
        self.training.given.note_here();
        for path in &mut self.tasks {
            make_real(path, &mut self.training.given)?;
        }
        self.out = std::path::absolute(&self.out).map_err(|error| Error::io(&self.out, error))?;
        make_start_real(&mut self.training);
        self.check()?;
        self.check_out()
    }

    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
        visit(&mut self.library, Use::Library);
        visit(&mut self.out, Use::Writes);
        self.tasks.iter_mut().for_each(|path| visit(path, Use::Reads));
        paths_of_training(&mut self.training, visit);
    }

    fn run(&self, context: &mut JobContext<'_>) -> Result<ClustersReport> {
        let (events, mut progress) = (&mut *context.events, RowsProgress::default());
        let made = train::train_clusters(self, &mut |event| progress.take(event, events), context.cancel)?;
        made.warnings.iter().for_each(|warning| events.log(warning));
        Ok(made)
    }

    fn findings(report: &ClustersReport) -> Findings {
        // The rows of the job say the rest.
        let silhouette = report.silhouette.filter(|value| value.is_finite());
        let count = counted(report.clusters.len(), "expert");
        let verb = if report.clusters.len() == 1 { "is" } else { "are" };
        let headline = format!("{count} {verb} trained, saved in {}", report.library.display());
        let facts = [
            Some(count),
            silhouette.map(|value| format!("silhouette {value:.3}")),
            Some(format!("saved in {}", report.library.display())),
        ];
        Findings {
            headline,
            made: Some(Made::Library(report.library.clone())),
            measure: Measure::of_trainings(&report.clusters)
                .or_else(|| Measure::more("silhouette", report.silhouette, 3)),
            facts: facts.into_iter().flatten().collect(),
            clusters: Vec::new(),
            left_out: report.skipped.clone(),
        }
    }

    fn trained(report: &ClustersReport) -> Vec<(&str, Option<&TrainReport>)> {
        report.clusters.iter().map(TrainRow::trained).collect()
    }

    fn next(&self, report: &ClustersReport) -> Vec<Next> {
        let mut all = vec![Next::open("Open the new library", Made::Library(report.library.clone()))];
        let mut tasks: Vec<PathBuf> =
            report.clusters.iter().flat_map(|row| row.data.iter().cloned()).collect();
        tasks.retain(|path| path.extension().is_none());
        if !tasks.is_empty() {
            let eval = EvalSpec {
                library: report.library.clone(),
                base: self.training.base.clone(),
                tasks,
                device: self.training.device.clone(),
                ..EvalSpec::default()
            };
            all.extend(AnyJob::from(eval).start("Evaluate the new library on its tasks"));
        }
        all
    }

    fn training(&self) -> Option<&TrainSpec> {
        Some(&self.training)
    }

    fn clusters(&self) -> Option<&ClustersSpec> {
        Some(self)
    }
}

/// A folder beside the library for `k` clusters' experts.
fn out(around: &Around<'_>, k: usize) -> String {
    // The library may be where we are: its whole path makes a folder beside it.
    let root = match around.library.file_name() {
        Some(_) => around.library.to_path_buf(),
        None => absolute(around.library),
    };
    let whole = root.display().to_string();
    format!("{}-mbc-{k}", whole.trim_end_matches(['/', '\\']))
}

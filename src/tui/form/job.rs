//! The job that a form asks for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;

use super::fields::{Field, Id, NO_YES, ORDER};
use super::{Form, FormKind};
use crate::jobs::{ClusterSpec, JobSpec};
use crate::train::{ClustersSpec, TrainSpec};
use crate::tui::Shared;

impl Form {
    /// What the fields say; `None` while one of them is wrong.
    pub(super) fn job(&self, shared: &Shared) -> Option<JobSpec> {
        match self.kind {
            FormKind::Train => Some(JobSpec::Train(Box::new(self.training(shared)?))),
            FormKind::Cluster => Some(JobSpec::Cluster(ClusterSpec {
                library: absolute(&shared.root),
                base: shared.base.as_deref().map(absolute),
                k: parse(&self.text(Id::Clusters))?,
                sparsity: parse(&self.text(Id::Sparsity))?,
                seed: parse(&self.text(Id::Seed))?,
            })),
            FormKind::TrainClusters => Some(JobSpec::TrainClusters(Box::new(self.clusters(shared)?))),
        }
    }

    /// What an expert of each cluster is made by.
    pub(super) fn clusters(&self, shared: &Shared) -> Option<ClustersSpec> {
        let tasks = self.text(Id::Tasks);
        Some(ClustersSpec {
            library: absolute(&shared.root),
            out: absolute(&data_path(&self.text(Id::Out))),
            k: parse(&self.text(Id::Clusters))?,
            sparsity: parse(&self.text(Id::Sparsity))?,
            prefix: self.text(Id::Prefix),
            data: if tasks.is_empty() { Vec::new() } else { vec![absolute(&data_path(&tasks))] },
            training: TrainSpec {
                // Filled in for each expert.
                library: TrainSpec::default().library,
                ..self.training(shared)?
            },
        })
    }

    /// How an expert is trained.
    pub(super) fn training(&self, shared: &Shared) -> Option<TrainSpec> {
        let mut spec = TrainSpec {
            library: absolute(&shared.root),
            base: shared.base.as_deref().map(absolute),
            ..TrainSpec::default()
        };
        if !shared.device.is_empty() {
            spec.device.clone_from(&shared.device);
        }
        self.fields.iter().try_for_each(|field| fill(&mut spec, field))?;
        Some(spec)
    }
}

/// Puts what `field` says into its place.
fn fill(spec: &mut TrainSpec, field: &Field) -> Option<()> {
    let text = field.text();
    let path = || (!text.is_empty()).then(|| absolute(&data_path(&text)));
    match field.id {
        Id::Data => spec.data.extend(path()),
        Id::Name => spec.name = text,
        Id::Rank => spec.rank = parse(&text)?,
        Id::Alpha => spec.alpha = parse(&text)?,
        Id::LearningRate => spec.learning_rate = parse(&text)?,
        Id::Epochs => spec.epochs = optional(&text)?,
        Id::MaxSteps => spec.max_steps = optional(&text)?,
        Id::Batch => spec.batch = parse(&text)?,
        Id::Precision => spec.precision = ValueEnum::from_str(&text, false).ok()?,
        Id::Schedule => spec.schedule = ValueEnum::from_str(&text, false).ok()?,
        Id::Accumulate => spec.accumulate = parse(&text)?,
        Id::Warmup => spec.warmup = parse(&text)?,
        Id::WeightDecay => spec.weight_decay = parse(&text)?,
        Id::Clip => spec.clip = optional(&text)?,
        Id::Dropout => spec.dropout = parse(&text)?,
        Id::MaxLength => spec.max_length = parse(&text)?,
        Id::Targets => {
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            spec.targets = names.map(str::to_string).collect();
        }
        Id::Checkpointing => spec.checkpointing = text == NO_YES[1],
        Id::Order => (spec.by_length, spec.shuffle) = (text == ORDER[1], text != ORDER[2]),
        Id::Init => spec.init = path(),
        Id::Validation => spec.validation = path(),
        Id::Seed => spec.seed = parse(&text)?,
        Id::Out | Id::Tasks | Id::Prefix | Id::Clusters | Id::Sparsity | Id::More | Id::Expert(_) => {}
    }
    Some(())
}

fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `None` inside for an empty text.
fn optional<T: FromStr>(text: &str) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { parse(text).map(Some) }
}

/// A typed path, `~/` meaning the home folder.
pub fn data_path(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

/// Workers may run elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

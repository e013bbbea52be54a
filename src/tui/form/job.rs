//! The job that a form asks for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::fields::{Field, Id};
use super::{Form, FormKind};
use crate::jobs::{ClusterSpec, JobSpec};
use crate::settings::path_of;
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
            out: absolute(&path_of(&self.text(Id::Out))),
            k: parse(&self.text(Id::Clusters))?,
            sparsity: parse(&self.text(Id::Sparsity))?,
            prefix: self.text(Id::Prefix),
            data: if tasks.is_empty() { Vec::new() } else { vec![absolute(&path_of(&tasks))] },
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
    let path = || (!text.is_empty()).then(|| absolute(&path_of(&text)));
    match field.id {
        Id::Data => spec.data.extend(path()),
        Id::Name => spec.name = text,
        Id::Training(_) => {
            let setting = field.id.setting()?;
            match setting.kind.is_path() {
                true => path().into_iter().for_each(|path| setting.set_path(spec, path)),
                false => setting.set(spec, &text).ok()?,
            }
        }
        Id::Out
        | Id::Tasks
        | Id::Prefix
        | Id::Clusters
        | Id::Sparsity
        | Id::Seed
        | Id::More
        | Id::Expert(_) => {}
    }
    Some(())
}

fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// Workers may run elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

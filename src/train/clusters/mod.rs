//! The MBC library: the experts of a library are clustered, and one expert is trained for each cluster on the
//! data of all its members.

mod plan;
mod saved;
mod spec;
mod work;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use self::plan::plan;
use self::saved::{has_plan, read_plan};
use self::work::Work;
use super::rows::{RowTraining, RowsEvent, TrainRow, train_rows};
use super::{TrainReport, TrainSpec};
use crate::library::Skipped;
use crate::{Cancel, Error, Result};

pub use plan::{ClustersPlan, no_data, plan_clusters};
pub use spec::{CLUSTERS, ClustersSpec};

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

//! What would be trained: the clusters, the data of their members, and the new library's manifest. Writes nothing.

use std::path::{Path, PathBuf};

use super::saved::Plan;
use super::spec::ClustersSpec;
use crate::analysis::{self, Clustering, ComparisonCache, Metric};
use crate::catalog::Catalog;
use crate::library::{BaseSpec, Library, Manifest, Skipped, real_of};
use crate::train::dataset::Dataset;
use crate::train::rows::{RowsEvent, TrainRow};
use crate::train::sources::Sources;
use crate::train::start::check_init;
use crate::{Cancel, Error, Result};

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

/// Clusters the library and finds the data of every cluster.
pub(super) fn plan(spec: &ClustersSpec, events: &mut dyn FnMut(RowsEvent), cancel: &Cancel) -> Result<Plan> {
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

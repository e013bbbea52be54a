//! One adapter out of several: `merge`.
//!
//! With wₑ the weight and sₑ the scale (α/r) of expert e, ΔW = Σ wₑ sₑ Bₑ Aₑ. `linear` and `cat` store it
//! exactly, `svd` is its best approximation of a given rank. None of them forms ΔW: A and B are stacked, and
//! the small core of their QR factorisations is decomposed. `ties` and `dare` do with the entries of A and
//! of B what PEFT does under these names.

mod merging;
mod methods;
mod options;
mod parts;
mod select;

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::DType;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::merging::{Factors, Merging, Sum, at_one_rank};
use self::methods::Combined;
pub use self::methods::{MergeMethod, MethodSpec};
use self::options::RANK;
pub use self::options::{MERGE_OPTIONS, MergeOption};
use self::parts::{checked, padded, parts_at};
use self::select::{Selected, Selection, select};
use crate::catalog::Catalog;
use crate::clock::now_rfc3339;
use crate::library::{
    Claim, Expert, MergeProvenance, MergedExpert, NewAdapterConfig, Provenance, write_adapter,
};
use crate::settings::Setting;
use crate::{Cancel, Error, Result};

/// Module paths of the network with the experts' (in, out) features there.
pub type Modules = BTreeMap<String, (usize, usize)>;

/// What to merge. What was not given of the options that its method has is filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MergeSpec {
    /// Names of experts, as they are or as they are printed; one text may list several with commas.
    pub experts: Vec<String>,
    /// One a expert. By default each has 1/n, with `ties`, which averages by itself, 1.
    pub weights: Option<Vec<f64>>,
    /// How.
    pub method: MergeMethod,
    /// Rank of the result, `svd` only; by default the largest of the experts.
    pub rank: Option<usize>,
    /// Share of entries that stay, above 0 and at most 1; `ties` and `dare` only, by default 0.5.
    pub density: Option<f64>,
    /// Of the entries that `dare` drops; by default 42.
    pub seed: Option<u64>,
    /// Name of the new expert.
    pub name: String,
}

/// What came out; what `merge --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MergeReport {
    /// Name of the new expert.
    pub expert: String,
    /// Its folder.
    pub path: PathBuf,
    /// How.
    pub method: MergeMethod,
    /// Rank of every module; α is the same, so that the scale is 1.
    pub rank: usize,
    /// Number of modules.
    pub modules: usize,
    /// What went in, with weights and hashes.
    pub experts: Vec<MergedExpert>,
    /// The recorded options of the method, by name: `density`, `seed`.
    #[serde(flatten)]
    pub options: Map<String, Value>,
    /// Share of ‖ΔW‖² over all modules that the rank cuts off (`svd`).
    pub energy_lost: Option<f64>,
    /// The module that loses the largest share of its own.
    pub worst: Option<WorstModule>,
    /// Things worth knowing, each one line, untrusted.
    pub warnings: Vec<String>,
}

/// Where a truncation costs most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorstModule {
    /// Its path.
    pub module: String,
    /// Share of its ‖ΔW‖² that is discarded.
    pub energy_lost: f64,
}

/// Merges experts into a new one of the library: f32, `use_rslora` off, α = rank, with its provenance.
/// Modules that an expert lacks count as zero; ranks, targets, scales and dtypes may differ, but for
/// `ties` and `dare` the ranks. `progress` gets (done, total) modules.
///
/// # Errors
/// A usage error for a wrong number of weights, weights that are not finite, an option that the method does
/// not have, a rank beyond what the sum can have, unequal ranks for `ties` and `dare`. Else: an unknown, bad
/// or named-twice expert; experts of different base models, or of another than the chosen one; one that has more
/// than A and B (DoRA, biases, replaced parameters …), which a sum of LoRA cannot represent; a sum that is zero or not
/// finite; a name that is taken; a library that cannot be written; [`Error::Cancelled`]. Nothing is left behind then.
pub fn merge(
    library: &Catalog,
    spec: &MergeSpec,
    progress: &mut (dyn FnMut(usize, usize) + Send),
    cancel: &Cancel,
) -> Result<MergeReport> {
    check_options(spec)?;
    let claim = Claim::take(&library.root, &spec.name)?;
    let selection = select(library, spec)?;
    let mut spec = spec.clone();
    spec.method.options.iter().for_each(|option| option.fill(&mut spec));
    if spec.method.has(&RANK) {
        spec.rank = Some(rank(&spec, &selection)?);
    }
    let combined = combine_all(&selection, &spec, progress, cancel)?;
    let report = report(&spec, &selection, &combined, claim.path.clone())?;
    let mut tensors = padded(combined, report.rank);
    for tensor in &mut tensors {
        tensor.module = selection.file_name(&tensor.module).to_string();
    }
    let config = NewAdapterConfig {
        revision: selection.revision.clone(),
        base: selection.base.clone().unwrap_or_default(),
        r: report.rank,
        alpha: report.rank as f64,
        dropout: 0.0,
        targets: selection.targets(),
    };
    let provenance = provenance(&report, &selection);
    cancel.check()?;
    write_adapter(&claim.path, &tensors, &config, DType::F32, &provenance)?;
    Ok(report)
}

/// Options that the method does not have are refused, not ignored.
fn check_options(spec: &MergeSpec) -> Result<()> {
    let other = |option: &&&MergeOption| option.is_given(spec) && !spec.method.has(option);
    if let Some(option) = MERGE_OPTIONS.iter().find(other) {
        return Err(Error::usage(format!(
            "{} {}: {} goes with --method {}",
            spec.method,
            option.why_not,
            option.flag(),
            MergeMethod::ids(|method| method.has(option))
        )));
    }
    MERGE_OPTIONS.iter().try_for_each(|option| option.setting.check(spec).map_err(Error::usage))
}

/// The rank to cut to: the one that was given, else the largest of the experts, as far as their sum can have it.
fn rank(spec: &MergeSpec, selection: &Selection<'_>) -> Result<usize> {
    let largest = selection.experts.iter().filter_map(|e| e.expert.rank_range()).map(|(_, high)| high).max();
    let possible = selection.largest_rank();
    match spec.rank {
        Some(rank) if rank > possible => Err(Error::usage(format!(
            "--rank {rank} is more than the sum of these experts can have anywhere, which is {possible}"
        ))),
        rank => Ok(rank.or(largest).unwrap_or(1).min(possible)),
    }
}

/// Every module combined, in the order of the network.
fn combine_all(
    selection: &Selection<'_>,
    spec: &MergeSpec,
    progress: &mut (dyn FnMut(usize, usize) + Send),
    cancel: &Cancel,
) -> Result<Vec<(String, Combined)>> {
    let modules: Vec<&String> = selection.modules.keys().collect();
    let step = rayon::current_num_threads().max(1);
    let mut all = Vec::with_capacity(modules.len());
    for some in modules.chunks(step) {
        cancel.check()?;
        progress(all.len(), modules.len());
        let found: Vec<Result<(String, Combined)>> =
            some.par_iter().map(|module| Ok(((*module).clone(), one(selection, module, spec)?))).collect();
        for combined in found {
            all.push(combined?);
        }
    }
    progress(modules.len(), modules.len());
    all.sort_by(|a, b| crate::text::natural(&a.0, &b.0));
    Ok(all)
}

fn one(selection: &Selection<'_>, module: &str, spec: &MergeSpec) -> Result<Combined> {
    let weights: Vec<f64> = selection.experts.iter().map(|selected| selected.weight).collect();
    let parts = parts_at(selection, module, &weights)?;
    checked(&parts, (spec.method.combine)(&parts, spec), selection)
}

fn report(
    spec: &MergeSpec,
    selection: &Selection<'_>,
    combined: &[(String, Combined)],
    path: PathBuf,
) -> Result<MergeReport> {
    let zero = combined.iter().all(|(_, c)| c.a.iter().all(|&x| x == 0.0) || c.b.iter().all(|&x| x == 0.0));
    let rank = combined.iter().map(|(_, c)| c.rank).max().unwrap_or(0);
    if zero || rank == 0 {
        return Err(Error::msg("the merged ΔW is zero everywhere: the weights, or the experts, cancel"));
    }
    let truncated = spec.method.truncates;
    let total: f64 = combined.iter().map(|(_, c)| c.energy).sum();
    let lost: f64 = combined.iter().map(|(_, c)| c.lost).sum();
    let share = |lost: f64, total: f64| if total > 0.0 { lost / total } else { 0.0 };
    let worst = combined
        .iter()
        .map(|(module, c)| WorstModule { module: module.clone(), energy_lost: share(c.lost, c.energy) })
        .max_by(|a, b| a.energy_lost.total_cmp(&b.energy_lost))
        .filter(|worst| truncated && worst.energy_lost > 0.0);
    let mut warnings = selection.warnings.clone();
    if let Some((module, c)) = combined.iter().find(|(_, c)| c.rank > c.inputs.min(c.outputs)) {
        warnings.push(format!(
            "rank {} is more than {module} ({} → {}) can use: --method {} represents the same at a lower rank",
            c.rank, c.inputs, c.outputs, MergeMethod::LINEAR
        ));
    }
    Ok(MergeReport {
        expert: spec.name.clone(),
        path,
        method: spec.method,
        rank,
        modules: combined.len(),
        experts: selection.experts.iter().map(Selected::merged).collect(),
        options: recorded(spec),
        energy_lost: truncated.then(|| share(lost, total)),
        worst,
        warnings,
    })
}

/// What is written down of the method's options.
fn recorded(spec: &MergeSpec) -> Map<String, Value> {
    let settings = spec.method.options.iter().map(|option| &option.setting);
    let value = |setting: &Setting<MergeSpec>| Some((setting.id.to_string(), setting.json(spec)?));
    settings.filter(|setting| setting.recorded).filter_map(value).collect()
}

fn provenance(report: &MergeReport, selection: &Selection<'_>) -> Provenance {
    let agreed = |get: fn(&Provenance) -> &Option<String>| -> Option<String> {
        let mut all =
            selection.experts.iter().map(|e| e.expert.provenance.as_ref().and_then(|p| get(p).clone()));
        let first = all.next().flatten()?;
        all.all(|other| other.as_ref() == Some(&first)).then_some(first)
    };
    Provenance {
        family: agreed(|p| &p.family),
        settings: [("rank", report.rank.into()), ("alpha", (report.rank as f64).into())]
            .map(|(id, value): (&str, serde_json::Value)| (id.to_string(), value))
            .into_iter()
            .collect(),
        base: selection.base.clone(),
        base_sha256: agreed(|p| &p.base_sha256),
        template: agreed(|p| &p.template),
        created: Some(now_rfc3339()),
        tool_version: Some(env!("CARGO_PKG_VERSION").into()),
        merge: Some(MergeProvenance {
            method: report.method.id.into(),
            options: report.options.clone(),
            experts: report.experts.clone(),
        }),
        seen_before: Expert::learned_by(selection.experts.iter().map(|e| e.expert)),
        ..Provenance::default()
    }
}

//! The expert on disk, with where it came from.

use std::path::{Path, PathBuf};

use candle_core::DType;
use half::f16;

use super::batches::examples_in;
use super::identity::Identity;
use super::lora::LoraTrainer;
use super::prepare::Prepared;
use super::{TRAINING, TrainReport, TrainSpec};
use crate::Result;
use crate::clock::now_rfc3339;
use crate::library::{
    AdaptedFrom, BaseSpec, Manifest, NewAdapterConfig, NewLora, Provenance, SeenTask, file_sha256,
    write_adapter,
};
use crate::merge;
use crate::model::Model;

/// What was trained.
pub(super) struct Made<'a> {
    pub spec: &'a TrainSpec,
    pub prepared: &'a Prepared,
    pub lora: &'a LoraTrainer,
    pub identity: &'a Identity,
    pub adapted: Option<AdaptedFrom>,
    /// What had been learned before by what it started from.
    pub seen_before: Vec<SeenTask>,
    /// Whether `lora` has the factors of several experts, by the weights that were learned.
    pub is_blend: bool,
}

impl Made<'_> {
    /// Writes the expert into its folder, which must not exist.
    pub(super) fn save(self, model: &Model, report: &TrainReport) -> Result<()> {
        save(self, model, report)
    }
}

fn save(made: Made<'_>, model: &Model, report: &TrainReport) -> Result<()> {
    let Made { spec, prepared, lora, identity, adapted, seen_before, is_blend } = made;
    let (base, revision) = base_name(&spec.library, spec.base.as_deref(), &prepared.base)?;
    let mut tensors: Vec<_> = lora.modules.iter().map(|m| m.to_new()).collect();
    let mut config = NewAdapterConfig {
        revision,
        base: base.clone(),
        r: spec.rank,
        alpha: spec.alpha,
        dropout: spec.dropout,
        targets: lora.targets(&spec.targets),
    };
    if is_blend {
        tensors = merge::at_one_rank(tensors);
        let rank = tensors.first().map_or(1, |lora| lora.rank);
        let targets = tensors.iter().map(|lora| lora.module.clone()).collect();
        config = NewAdapterConfig { r: rank, alpha: rank as f64, dropout: 0.0, targets, ..config };
    }
    let named = |path: &PathBuf| spec.given.name(path);
    let data: Vec<String> = spec.data.iter().map(|path| named(path).display().to_string()).collect();
    // What is recorded names what was given.
    let mut given = TrainSpec { init: spec.init.as_ref().map(named), ..spec.clone() };
    if adapted.is_some() {
        given = TrainSpec { init: None, rank: config.r, alpha: config.alpha, ..given };
    }
    let examples = prepared.examples().count();
    let provenance = Provenance {
        task: Some(prepared.task()),
        family: prepared.family(),
        dataset: Some(data.join(", ")),
        dataset_sha256: Some(prepared.content_hash()),
        examples: Some(examples),
        settings: TRAINING
            .iter()
            .filter(|setting| setting.recorded)
            .filter_map(|setting| Some((setting.id.to_string(), setting.json(&given)?)))
            .collect(),
        steps: Some(report.steps),
        epochs: Some(examples_in(report.steps, spec.step_size(), examples) as f64 / examples as f64),
        seed: Some(spec.seed),
        base: Some(base),
        base_sha256: if model.path.is_file() { Some(file_sha256(&model.path)?) } else { None },
        template: Some(prepared.template.prompt.clone()),
        train_loss: Some(report.train_loss),
        validation_loss: report.validation_loss,
        base_validation_loss: report.base_validation_loss,
        seconds: Some(report.seconds),
        tokens_per_second: Some(report.tokens_per_second),
        training_sha256: Some(identity.sha256()?),
        created: Some(now_rfc3339()),
        tool_version: Some(env!("CARGO_PKG_VERSION").into()),
        merge: None,
        drawn_from: prepared.tasks.iter().filter_map(|task| task.drawn_from.clone()).collect(),
        adapted,
        seen_before,
        tasks: report.tasks.clone(),
    };
    write_adapter(&report.path, &tensors, &config, stored_as(&tensors), &provenance)
}

/// The type that an expert is written in: f16, unless a factor has values that f16 cannot have, or is so small that
/// most of its digits would be lost.
fn stored_as(tensors: &[NewLora]) -> DType {
    let fits = |values: &[f32]| {
        let largest = values.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        let smallest = f16::MIN_POSITIVE.to_f32();
        f16::from_f32(largest).is_finite() && (largest == 0.0 || largest >= smallest)
    };
    match tensors.iter().all(|lora| fits(&lora.a) && fits(&lora.b)) {
        true => DType::F16,
        false => DType::F32,
    }
}

/// What the adapter says of its base: the hub repository that `library.toml` or the default names, with its revision,
/// else the path.
fn base_name(library: &Path, cli: Option<&Path>, found: &Path) -> Result<(String, Option<String>)> {
    if cli.is_none() {
        let spec = Manifest::read(library)?.base.unwrap_or_else(BaseSpec::smollm2);
        if let Some(hub) = spec.hub {
            return Ok((hub, spec.revision));
        }
    }
    Ok((found.display().to_string(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_f16_cannot_have_is_written_in_f32() {
        let lora = |a: f32, b: f32| NewLora {
            module: "m".into(),
            rank: 1,
            in_features: 1,
            out_features: 1,
            a: vec![a],
            b: vec![b],
        };
        for (a, b, dtype) in [
            (1.0, 0.0, DType::F16),
            (-65_504.0, 1e-4, DType::F16),
            (65_520.0, 1.0, DType::F32),
            (1.0, -1e30, DType::F32),
            (1e-7, 1.0, DType::F32),
        ] {
            assert_eq!(stored_as(&[lora(1.0, 1.0), lora(a, b)]), dtype, "{a} {b}");
        }
    }
}

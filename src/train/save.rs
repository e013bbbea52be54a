//! The expert on disk, with where it came from.

use std::path::Path;

use candle_core::DType;

use super::identity::Identity;
use super::lora::LoraTrainer;
use super::prepare::Prepared;
use super::{TRAINING, TrainReport, TrainSpec};
use crate::Result;
use crate::clock::now_rfc3339;
use crate::library::{BaseSpec, Manifest, NewAdapterConfig, Provenance, file_sha256, write_adapter};
use crate::model::Model;

/// Writes the expert into its folder, which must not exist.
pub(super) fn save(
    spec: &TrainSpec,
    prepared: &Prepared,
    model: &Model,
    lora: &LoraTrainer,
    report: &TrainReport,
    identity: &Identity,
) -> Result<()> {
    let (base, revision) = base_name(&spec.library, spec.base.as_deref(), &prepared.base)?;
    let tensors: Vec<_> = lora.modules.iter().map(|m| m.to_new()).collect();
    let config = NewAdapterConfig {
        revision,
        base: base.clone(),
        r: spec.rank,
        alpha: spec.alpha,
        dropout: spec.dropout,
        targets: lora.targets(&spec.targets),
    };
    let data: Vec<String> = spec.data.iter().map(|p| p.display().to_string()).collect();
    let examples = prepared.examples().count();
    let provenance = Provenance {
        task: Some(prepared.task()),
        family: prepared.family(),
        dataset: Some(data.join(", ")),
        dataset_sha256: Some(prepared.fingerprint()),
        examples: Some(examples),
        settings: TRAINING
            .iter()
            .filter(|setting| setting.recorded)
            .filter_map(|setting| Some((setting.id.to_string(), setting.json(spec)?)))
            .collect(),
        steps: Some(report.steps),
        epochs: Some(report.steps as f64 * spec.step_size() as f64 / examples as f64),
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
        tasks: report.tasks.clone(),
    };
    write_adapter(&report.path, &tensors, &config, DType::F16, &provenance)
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

//! Writing a new expert so that PEFT loads it.

use std::path::{Path, PathBuf};

use candle_core::DType;
use serde_json::json;

use super::formats::{CONFIG, WEIGHTS, is_expert};
use super::safetensors::{NamedTensor, replace_safetensors};
use super::{Manifest, Provenance};
use crate::outside::{TEMPORARY, UnfinishedFolder, own};
use crate::text::printable;
use crate::{Error, Result};

/// One module's new LoRA.
#[derive(Clone, Debug)]
pub struct NewLora {
    /// Transformers path of the linear layer.
    pub module: String,
    /// Rows of A.
    pub rank: usize,
    /// Columns of A.
    pub in_features: usize,
    /// Rows of B.
    pub out_features: usize,
    /// Row-major `rank × in_features`.
    pub a: Vec<f32>,
    /// Row-major `out_features × rank`.
    pub b: Vec<f32>,
}

/// What `adapter_config.json` says of a new adapter.
#[derive(Clone, Debug)]
pub struct NewAdapterConfig {
    /// `base_model_name_or_path`.
    pub base: String,
    /// `revision` of the base model's repository.
    pub revision: Option<String>,
    /// Rank.
    pub r: usize,
    /// α; the scale is α/r.
    pub alpha: f64,
    /// That it was trained with.
    pub dropout: f64,
    /// Last components of the adapted layers' paths.
    pub targets: Vec<String>,
}

/// Writes an adapter folder: weights, configuration and provenance. The folder appears as a whole or
/// not at all (written beside, synced, renamed).
///
/// # Errors
/// When `dir` exists, shapes do not match, values are not finite in `dtype` (f16, bf16 or f32), or the
/// file system refuses (no permission, disk full); nothing is left behind then.
pub fn write_adapter(
    dir: &Path,
    tensors: &[NewLora],
    config: &NewAdapterConfig,
    dtype: DType,
    provenance: &Provenance,
) -> Result<()> {
    if own::is_taken(dir) {
        return Err(exists(dir));
    }
    check_shapes(dir, tensors)?;
    let record = toml::to_string(provenance).map_err(|e| Error::msg(e.to_string()))?;
    // Else it would be read as one that has learned nothing.
    Provenance::parse(record.as_bytes())
        .map_err(|problem| Error::file(dir, format!("its {} {problem}", Provenance::FILE)))?;
    let folder = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = UnfinishedFolder::new_in(folder, TEMPORARY).map_err(|e| Error::io(dir, e))?;
    write_weights(&temporary.path().join(WEIGHTS), tensors, dtype)?;
    let text = serde_json::to_string_pretty(&peft_config(config)).map_err(|e| Error::msg(e.to_string()))?;
    own::replace(&temporary.path().join(CONFIG), text.as_bytes())?;
    own::replace(&temporary.path().join(Provenance::FILE), record.as_bytes())?;
    temporary.finish(dir).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::DirectoryNotEmpty => exists(dir),
        _ => Error::io(dir, e),
    })
}

fn check_shapes(dir: &Path, tensors: &[NewLora]) -> Result<()> {
    if tensors.is_empty() {
        return Err(Error::file(dir, "has no modules to write"));
    }
    for lora in tensors {
        let a = lora.rank.checked_mul(lora.in_features);
        let b = lora.rank.checked_mul(lora.out_features);
        if lora.rank == 0 || a != Some(lora.a.len()) || b != Some(lora.b.len()) {
            return Err(Error::file(dir, format!("{} has weights that do not match its shape", lora.module)));
        }
    }
    Ok(())
}

fn write_weights(path: &Path, tensors: &[NewLora], dtype: DType) -> Result<()> {
    let mut sorted: Vec<&NewLora> = tensors.iter().collect();
    sorted.sort_by(|x, y| x.module.cmp(&y.module));
    let named: Vec<(String, [usize; 2], &[f32])> = sorted
        .iter()
        .flat_map(|lora| {
            let key = |factor: &str| format!("base_model.model.{}.{factor}.weight", lora.module);
            [
                (key("lora_A"), [lora.rank, lora.in_features], lora.a.as_slice()),
                (key("lora_B"), [lora.out_features, lora.rank], lora.b.as_slice()),
            ]
        })
        .collect();
    let views: Vec<NamedTensor<'_>> =
        named.iter().map(|(name, shape, values)| NamedTensor { name, shape, values }).collect();
    // PEFT and transformers expect the name of the framework.
    replace_safetensors(path, &views, dtype, &[("format", "pt")])
}

/// The fields that PEFT writes for a plain LoRA; it fills others with defaults.
fn peft_config(config: &NewAdapterConfig) -> serde_json::Value {
    let alpha = match config.alpha.fract() == 0.0 && config.alpha.abs() < 1e9 {
        true => json!(config.alpha as i64),
        false => json!(config.alpha),
    };
    let mut targets = config.targets.clone();
    targets.sort();
    json!({
        "alpha_pattern": {},
        "auto_mapping": null,
        "base_model_name_or_path": config.base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "layer_replication": null,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": alpha,
        "lora_bias": false,
        "lora_dropout": config.dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": config.r,
        "rank_pattern": {},
        "revision": config.revision,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": false,
    })
}

/// Checks the name of a new expert and returns its folder.
///
/// # Errors
/// A usage error when the name is not one plain, visible path component; a file error when something of that name
/// exists, or the library is itself an adapter (nothing below it would be found again).
pub fn check_new_name(library_root: &Path, name: &str) -> Result<PathBuf> {
    let dir = expert_path(library_root, name)?;
    match own::is_taken(&dir) {
        true => Err(exists(&dir)),
        false => Ok(dir),
    }
}

/// What is said of a name that is taken.
const EXISTS: &str = "exists already: choose another name";

/// The error for a name that is taken.
pub(crate) fn exists(dir: &Path) -> Error {
    Error::file(dir, EXISTS)
}

/// Whether an error is that of [`check_new_name`] for a name that is taken.
pub(crate) fn says_exists(error: &Error) -> bool {
    matches!(error, Error::File { problem, .. } if problem == EXISTS)
}

/// The folder of an expert of this name, whether it is there or not.
///
/// # Errors
/// A usage error when the name is not one plain, visible path component; a file error when the library is itself an
/// adapter (nothing below it would be found again).
pub fn expert_path(library_root: &Path, name: &str) -> Result<PathBuf> {
    let refuse = |why: &str| Err(Error::usage(format!("`{name}` cannot be the name of an expert: {why}")));
    if name.is_empty() || name.trim() != name {
        return refuse("it is empty or starts or ends with a space");
    }
    if name.contains(['/', '\\', ':']) || name == "." || name == ".." {
        return refuse("it must be one plain folder name");
    }
    if name.starts_with('.') || name.starts_with('-') {
        return refuse("it must not start with a dot or a dash");
    }
    if name.len() > 200 {
        return refuse("it is longer than 200 bytes");
    }
    if printable(name) != name || name.chars().any(char::is_control) {
        return refuse("it has invisible characters");
    }
    if name.eq_ignore_ascii_case(Manifest::FILE) {
        return refuse("that is the library's own file");
    }
    if is_expert(library_root) || library_root.is_file() {
        return Err(Error::file(
            library_root,
            "is itself an adapter: give the folder above it as the library",
        ));
    }
    Ok(library_root.join(name))
}

//! Where a model's tensors come from: a transformers folder or a GGUF file.

use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device};

use super::config::Config;
use super::gguf::Gguf;
use crate::{Error, Result};

/// An opened base model, before its tensors are read.
pub(crate) enum Weights {
    Folder { path: PathBuf, tensors: MmapedSafetensors },
    Gguf(Box<Gguf>),
}

/// Text of a small file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

impl Weights {
    /// Opens a transformers folder, or a `.gguf` file, and reads its configuration.
    pub(crate) fn open(path: &Path) -> Result<(Self, Config)> {
        if path.is_dir() {
            let config_path = path.join("config.json");
            if !config_path.exists() {
                return Err(Error::file(path, "is not a model folder: it has no config.json"));
            }
            let config = Config::parse(&config_path, &read_text(&config_path)?)?;
            let files = shards(path)?;
            for file in &files {
                if !file.exists() {
                    return Err(Error::file(file, "is missing: the model is incomplete, fetch it again"));
                }
            }
            // SAFETY: the files are mapped read-only; a file that another process cuts while it is mapped
            // ends this one, as with every reader of mapped weights.
            let tensors = unsafe { MmapedSafetensors::multi(&files) }.map_err(|e| {
                let line = e.to_string().lines().next().unwrap_or_default().to_string();
                Error::file(path, format!("has unreadable weights: {line}"))
            })?;
            return Ok((Self::Folder { path: path.to_path_buf(), tensors }, config));
        }
        if !path.exists() {
            return Err(Error::file(path, "does not exist: give a transformers folder or a .gguf file"));
        }
        let gguf = Gguf::open(path)?;
        let config = gguf.config()?;
        Ok((Self::Gguf(Box::new(gguf)), config))
    }

    pub(crate) fn gguf(&self) -> Option<&Gguf> {
        match self {
            Self::Gguf(gguf) => Some(gguf),
            Self::Folder { .. } => None,
        }
    }

    fn error(&self, problem: String) -> Error {
        match self {
            Self::Folder { path, .. } => Error::file(path, problem),
            Self::Gguf(gguf) => gguf.error(problem),
        }
    }

    /// Whether there is a tensor of this transformers name.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder { tensors, .. } => tensors.get(name).is_ok(),
            Self::Gguf(gguf) => gguf.has(name),
        }
    }

    /// Values of a tensor as f32; its shape must be `shape`.
    pub(crate) fn read(
        &self,
        name: &str,
        shape: &[usize],
        heads: usize,
        kv_heads: usize,
    ) -> Result<Vec<f32>> {
        let (found, values) = match self {
            Self::Gguf(gguf) => gguf.read(name, heads, kv_heads)?,
            Self::Folder { tensors, .. } => {
                if tensors.get(name).is_err() {
                    return Err(self.error(format!("has no tensor {name}")));
                }
                let tensor = tensors.load(name, &Device::Cpu)?;
                let dims = tensor.dims().to_vec();
                (dims, tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?)
            }
        };
        if found != shape {
            return Err(self.error(format!("tensor {name} is {found:?}, the configuration wants {shape:?}")));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(self.error(format!("tensor {name} has the value {} at {at}", values[at])));
        }
        Ok(values)
    }
}

/// The safetensors files of a folder: one, or those that the index names.
fn shards(path: &Path) -> Result<Vec<PathBuf>> {
    let index = path.join("model.safetensors.index.json");
    if !index.exists() {
        return Ok(vec![path.join("model.safetensors")]);
    }
    let bad = || Error::file(&index, "is not an index of safetensors files");
    let value: serde_json::Value = serde_json::from_str(&read_text(&index)?).map_err(|_| bad())?;
    let map = value.get("weight_map").and_then(|m| m.as_object()).ok_or_else(bad)?;
    let mut names = std::collections::BTreeSet::new();
    for file in map.values() {
        let name = file.as_str().ok_or_else(bad)?;
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::file(&index, format!("names a file outside the folder: {name}")));
        }
        names.insert(name.to_string());
    }
    Ok(names.into_iter().map(|n| path.join(n)).collect())
}

//! GGUF base models: metadata as a transformers configuration, tensors under transformers names.

mod config;
mod names;

use std::path::{Path, PathBuf};

pub(crate) use self::config::Fields;

use candle_core::quantized::GgmlDType;

use super::config::Config;
use super::families::{self, GgufFamily};
use super::spec::DecoderSpec;
use super::weights::{Rows, Stored};
use crate::library::gguf::{GgmlType, GgufFile, GgufTensor};
use crate::library::short;
use crate::{Error, Result};

/// A GGUF file of a family that is known.
pub(crate) struct Gguf {
    path: PathBuf,
    file: GgufFile,
    family: &'static GgufFamily,
    /// `model_type` of the family.
    model_type: &'static str,
}

/// The type as candle has it, if it can read it.
fn candle_type(kind: GgmlType) -> Option<GgmlDType> {
    use GgmlDType::*;
    Some(match kind.name {
        "F32" => F32,
        "F16" => F16,
        "BF16" => BF16,
        "Q4_0" => Q4_0,
        "Q4_1" => Q4_1,
        "Q5_0" => Q5_0,
        "Q5_1" => Q5_1,
        "Q8_0" => Q8_0,
        "Q8_1" => Q8_1,
        "Q2_K" => Q2K,
        "Q3_K" => Q3K,
        "Q4_K" => Q4K,
        "Q5_K" => Q5K,
        "Q6_K" => Q6K,
        "Q8_K" => Q8K,
        _ => return None,
    })
}

impl Gguf {
    /// Reads the header, of all parts if there are several, and checks that architecture and types are known.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = GgufFile::open_model(path)?;
        let Some(architecture) = file.text("general.architecture") else {
            return Err(file.error("does not name its architecture: it is damaged or no model"));
        };
        let Some((model_type, family)) = families::of_gguf(architecture) else {
            return Err(file.error(format!(
                "GGUF architecture \"{}\" is not supported (known: {}); a transformers folder may be",
                short(architecture),
                families::gguf_architectures()
            )));
        };
        if let Some(kind) = file.text("general.type").filter(|&kind| kind != "model") {
            return Err(file.error(format!("is of type \"{}\", not a whole model", short(kind))));
        }
        if let Some(tensor) = file.tensors().iter().find(|t| candle_type(t.kind()).is_none()) {
            return Err(unsupported(&file, tensor));
        }
        Ok(Self { path: path.to_path_buf(), file, family, model_type })
    }

    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        self.file.error(problem)
    }

    pub(crate) fn file(&self) -> &GgufFile {
        &self.file
    }

    pub(crate) fn offset_norms(&self) -> bool {
        self.family.offset_norms
    }

    /// The metadata as the configuration that transformers would have.
    pub(crate) fn config(&self) -> Result<Config> {
        let value = config::transformers(self)?;
        Config::new(&self.path, value)
    }

    /// A tensor by its transformers name; its shape must be `shape`.
    pub(crate) fn tensor(&self, spec: &DecoderSpec, name: &str, shape: &[usize]) -> Result<Stored<'_>> {
        let Some(found) = names::find(&self.file, spec, name) else {
            let wanted = names::of(spec, name).unwrap_or_else(|| name.to_string());
            return Err(self.error(format!("has no tensor {wanted}: it is no complete model")));
        };
        let tensor = found.tensor;
        let kind = candle_type(tensor.kind()).ok_or_else(|| unsupported(&self.file, tensor))?;
        let stored = tensor.shape();
        let mut wanted = shape.to_vec();
        if let (Some(part), Some(rows)) = (&found.part, wanted.first_mut()) {
            *rows = part.of;
        }
        if stored != wanted {
            return Err(self.file.tensor_error(tensor, &super::weights::shape_problem(&stored, &wanted)));
        }
        let order = match found.role {
            names::Role::Q if self.family.interleaved => Rows::Interleaved { heads: spec.heads },
            names::Role::K if self.family.interleaved => Rows::Interleaved { heads: spec.kv_heads },
            names::Role::PerHead => Rows::Gathered { heads: spec.heads },
            _ => Rows::Same,
        };
        // A vector whose rows keep their order is one row, so that its type's blocks fit.
        let (rows, columns) = match *shape {
            [rows, columns] => (rows, columns),
            [length] if order == Rows::Same && found.part.is_none() => (1, length),
            _ => (shape.iter().product(), 1),
        };
        let row_bytes = columns / kind.block_size() * kind.type_size();
        let first = found.part.map_or(0, |part| part.first);
        let start = tensor.start + (first * row_bytes) as u64;
        let error = Box::new(move |problem: String| self.file.tensor_error(tensor, &problem));
        Ok(Stored { file: self.file.handle(tensor), start, kind, rows, columns, order, error })
    }
}

fn unsupported(file: &GgufFile, tensor: &GgufTensor) -> Error {
    let problem = format!(
        "has type {}, which cannot be read here: use the model as Q8_0, Q6_K, Q5_K, Q4_K, Q4_0 or F16",
        tensor.kind()
    );
    file.tensor_error(tensor, &problem)
}

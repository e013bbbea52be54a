//! GGUF base models: metadata as a transformers configuration, tensors under transformers names.

mod config;
mod names;

use std::path::{Path, PathBuf};

pub(crate) use self::config::Fields;

use candle_core::quantized::GgmlDType;

use super::stored::{Rows, Stored, shape_problem};
use crate::library::gguf::{GgmlType, GgufFile, GgufTensor};
use crate::model::config::Config;
use crate::model::spec::DecoderSpec;
use crate::text::short;
use crate::{Error, Result};

/// How llama.cpp keeps a family in GGUF files. Sizes, norms' epsilon, rotary settings and the names of
/// tensors are the same for all of them.
pub(crate) struct Conventions {
    /// `general.architecture`, and the prefix of the family's metadata keys.
    pub architecture: &'static str,
    /// Adds what only this family's configuration has.
    pub extra: fn(&Gguf, &mut Fields) -> Result<()>,
    /// Rows of q and k are interleaved pairs.
    pub interleaved: bool,
    /// Norm weights are stored as 1 + w where transformers has w.
    pub offset_norms: bool,
}

impl Conventions {
    /// Those of a family that needs nothing special.
    pub(crate) const fn plain(architecture: &'static str) -> Self {
        Self { architecture, extra: |_, _| Ok(()), interleaved: false, offset_norms: false }
    }
}

/// A GGUF file of a family that is known.
pub(crate) struct Gguf {
    path: PathBuf,
    file: GgufFile,
    conventions: &'static Conventions,
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
    /// Takes an opened file whose family is known, and checks that it is a whole model of known types.
    ///
    /// # Errors
    /// When it is something else, or has a tensor of a type that cannot be read.
    pub(crate) fn new(
        path: &Path,
        file: GgufFile,
        model_type: &'static str,
        conventions: &'static Conventions,
    ) -> Result<Self> {
        if let Some(kind) = file.text("general.type").filter(|&kind| kind != "model") {
            return Err(file.error(format!("is of type \"{}\", not a whole model", short(kind))));
        }
        if let Some(tensor) = file.tensors().iter().find(|t| candle_type(t.kind()).is_none()) {
            return Err(unsupported(&file, tensor));
        }
        Ok(Self { path: path.to_path_buf(), file, conventions, model_type })
    }

    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        self.file.error(problem)
    }

    pub(crate) fn file(&self) -> &GgufFile {
        &self.file
    }

    pub(crate) fn offset_norms(&self) -> bool {
        self.conventions.offset_norms
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
            return Err(self.file.tensor_error(tensor, &shape_problem(&stored, &wanted)));
        }
        let order = match found.role {
            names::Role::Q if self.conventions.interleaved => Rows::Interleaved { heads: spec.heads },
            names::Role::K if self.conventions.interleaved => Rows::Interleaved { heads: spec.kv_heads },
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

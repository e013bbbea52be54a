//! Where a model's tensors come from: a transformers folder or a GGUF file. Tensors are read one by one,
//! piece by piece, and never mapped: what is in memory is what the decoder holds.

mod folder;
mod stored;

use std::io::Read;
use std::path::Path;

pub(crate) use stored::{Rows, Stored};

use self::folder::Folder;
use super::config::Config;
use super::gguf::Gguf;
use super::spec::DecoderSpec;
use crate::library::{io_reason, open_regular};
use crate::{Error, Result};

/// An opened base model, before its tensors are read.
pub(crate) enum Weights {
    Folder(Folder),
    Gguf(Gguf),
}

/// Tokenizers of large vocabularies have some ten million bytes.
const TEXT_LIMIT: u64 = 64 << 20;

/// Text of a small file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    read_text_of(path, TEXT_LIMIT)
}

/// Text of a file of at most `limit` bytes.
pub(crate) fn read_text_of(path: &Path, limit: u64) -> Result<String> {
    let (file, _) = open_regular(path).map_err(|e| Error::file(path, io_reason(&e)))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Error::file(path, io_reason(&e)))?;
    if bytes.len() as u64 > limit {
        return Err(Error::file(path, format!("is larger than the {limit} bytes that make sense")));
    }
    String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8 text"))
}

/// What is wrong with a tensor of shape `found`, after its name.
pub(crate) fn shape_problem(found: &[usize], wanted: &[usize]) -> String {
    format!("is {found:?}, the configuration wants {wanted:?}: they belong to different models")
}

impl Weights {
    /// Opens a transformers folder, or a `.gguf` file, and reads its configuration.
    pub(crate) fn open(path: &Path) -> Result<(Self, Config)> {
        if path.is_dir() {
            return Folder::open(path).map(|(folder, config)| (Self::Folder(folder), config));
        }
        if !path.exists() {
            return Err(Error::file(path, "does not exist: give a transformers folder or a .gguf file"));
        }
        let gguf = Gguf::open(path)?;
        let config = gguf.config()?;
        Ok((Self::Gguf(gguf), config))
    }

    pub(crate) fn gguf(&self) -> Option<&Gguf> {
        match self {
            Self::Gguf(gguf) => Some(gguf),
            Self::Folder(_) => None,
        }
    }

    /// Whether norm weights are stored as 1 + w where transformers has w.
    pub(crate) fn offset_norms(&self) -> bool {
        self.gguf().is_some_and(Gguf::offset_norms)
    }

    /// A tensor by its transformers name; its shape must be `shape`.
    pub(crate) fn tensor(&self, spec: &DecoderSpec, name: &str, shape: &[usize]) -> Result<Stored<'_>> {
        match self {
            Self::Folder(folder) => folder.tensor(name, shape),
            Self::Gguf(gguf) => gguf.tensor(spec, name, shape),
        }
    }
}

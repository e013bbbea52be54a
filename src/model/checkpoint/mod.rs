//! Where a model's tensors come from: a transformers folder or a GGUF file. Tensors are read one by one,
//! piece by piece, and never mapped: what is in memory is what the decoder keeps.

mod folder;
pub(crate) mod gguf;
mod stored;

use std::path::Path;

pub(crate) use stored::{Stored, read_text};

use self::folder::Folder;
use self::gguf::Gguf;
use super::config::Config;
use super::families;
use super::spec::DecoderSpec;
use crate::library::gguf::GgufFile;
use crate::text::short;
use crate::{Error, Result};

/// An opened base model, before its tensors are read.
pub(crate) enum Checkpoint {
    Folder(Folder),
    Gguf(Gguf),
}

/// The configuration of a transformers folder or of a GGUF file; no tensors are looked at.
///
/// # Errors
/// When it cannot be read; of a GGUF file also when its architecture is not known.
pub(crate) fn read_config(path: &Path) -> Result<Config> {
    match path.is_dir() {
        true => families::language_model(Config::open(&path.join("config.json"))?),
        false => open_gguf(path)?.config(),
    }
}

/// Opens a GGUF file, in one or several parts, as a model of one of the families.
fn open_gguf(path: &Path) -> Result<Gguf> {
    let file = GgufFile::open_model(path)?;
    let Some(architecture) = file.text("general.architecture") else {
        return Err(file.error("does not name its architecture: it is damaged or no model"));
    };
    let Some((model_type, conventions)) = families::of_gguf(architecture) else {
        return Err(file.error(format!(
            "GGUF architecture \"{}\" is not supported (known: {}); a transformers folder may be",
            short(architecture),
            families::gguf_architectures()
        )));
    };
    Gguf::new(path, file, model_type, conventions)
}

impl Checkpoint {
    /// Opens a transformers folder, or a `.gguf` file, and reads its configuration.
    pub(crate) fn open(path: &Path) -> Result<(Self, Config)> {
        if path.is_dir() {
            return Folder::open(path).map(|(folder, config)| (Self::Folder(folder), config));
        }
        if !path.exists() {
            return Err(Error::file(path, "does not exist: give a transformers folder or a .gguf file"));
        }
        let gguf = open_gguf(path)?;
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

    /// Whether the head is the embedding. As in transformers, one that is said to be, but has other values in the
    /// file, is a head of its own.
    ///
    /// # Errors
    /// Unreadable files.
    pub(crate) fn is_tied(&self, spec: &DecoderSpec) -> Result<bool> {
        let Self::Folder(folder) = self else { return Ok(spec.tied) };
        let [embed, head] = [spec.names.embed, spec.names.head].map(|name| format!("{name}.weight"));
        if !spec.tied || !folder.holds(&embed) || !folder.holds(&head) {
            return Ok(spec.tied);
        }
        let shape = [spec.vocab, spec.hidden];
        folder.tensor(&embed, &shape)?.equals(&folder.tensor(&head, &shape)?)
    }

    /// What is odd about the files, for the person.
    pub(crate) fn warnings(&self) -> &[String] {
        match self {
            Self::Folder(folder) => &folder.warnings,
            Self::Gguf(_) => &[],
        }
    }

    /// A tensor by its transformers name; its shape must be `shape`.
    pub(crate) fn tensor(&self, spec: &DecoderSpec, name: &str, shape: &[usize]) -> Result<Stored<'_>> {
        match self {
            Self::Folder(folder) => {
                // A tied embedding may be there as the head alone.
                let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
                let other = if stem == spec.names.embed { spec.names.head } else { spec.names.embed };
                match spec.tied && [spec.names.embed, spec.names.head].contains(&stem) && !folder.holds(name)
                {
                    true => folder.tensor(&format!("{other}.{kind}"), shape),
                    false => folder.tensor(name, shape),
                }
            }
            Self::Gguf(gguf) => gguf.tensor(spec, name, shape),
        }
    }
}

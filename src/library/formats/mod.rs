//! The kinds of adapter files that open as experts. Each is translated into PEFT's names and shapes; what
//! becomes of them is the same for all.

mod gguf;
mod heads;
mod keys;
mod mlx;
mod mttl;
pub(super) mod peft;
#[cfg(test)]
mod tests;
mod torch;
mod view;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub(super) use gguf::is_adapter as is_gguf_adapter;
pub use heads::{BaseTraits, Heads};
use keys::canonical;
pub(super) use mttl::META;
pub(super) use peft::{CONFIG, WEIGHTS};
pub(super) use view::View;

use super::AdapterConfig;
use super::files::{io_reason, open_regular};
use super::safetensors::{Dtype, Place, TensorInfo};
use crate::module_path::ModulePath;
use peft::config::ConfigNotes;
use peft::pairs::Parts;

/// How an expert is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// PEFT's folder with safetensors, in one file or in shards.
    #[default]
    Peft,
    /// PEFT's folder with `adapter_model.bin`.
    PeftBin,
    /// An adapter folder of MLX-LM.
    Mlx,
    /// A checkpoint of mttl or a member of one of its libraries.
    Mttl,
    /// A LoRA file of llama.cpp.
    Gguf,
}

impl Format {
    /// By the path alone; opening it tells more.
    pub(super) fn expected(path: &Path) -> Self {
        if has_extension(path, GGUF) {
            Self::Gguf
        } else if has_extension(path, CHECKPOINT) {
            Self::Mttl
        } else {
            Self::Peft
        }
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peft => "PEFT",
            Self::PeftBin => "PEFT .bin",
            Self::Mlx => "MLX-LM",
            Self::Mttl => "mttl",
            Self::Gguf => "llama.cpp GGUF",
        }
    }
}

/// Files that hold one expert's tensors, opened.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// At least one; the first stands for the expert.
    pub files: Vec<(PathBuf, File)>,
    /// Orders of values that tensors refer to by their number, from 1 on.
    pub views: Vec<View>,
    /// The file with the settings, where they are not with the weights.
    pub settings: Option<PathBuf>,
    pub bytes: u64,
    /// The latest of the files' times.
    pub modified: Option<std::time::SystemTime>,
}

impl Files {
    /// Opens a file and adds it; the answer is its number and its length.
    fn add(&mut self, path: PathBuf) -> std::io::Result<(u32, u64)> {
        let (file, metadata) = open_regular(&path)?;
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.bytes = self.bytes.saturating_add(metadata.len());
        self.modified = self.modified.max(metadata.modified().ok());
        self.files.push((path, file));
        Ok((number, metadata.len()))
    }

    /// Opens the one file of an expert. The error starts with the file's name.
    fn one(path: &Path) -> Result<(Self, u64), String> {
        let mut files = Self::default();
        let (_, length) =
            files.add(path.to_path_buf()).map_err(|e| format!("{} {}", file_name(path), io_reason(&e)))?;
        Ok((files, length))
    }

    fn file(&self, number: u32) -> Result<&File, String> {
        self.files.get(number as usize).map(|(_, file)| file).ok_or_else(|| "has no such file".into())
    }

    /// A place in a file with this order of values.
    fn place(&mut self, file: u32, view: View) -> Result<Place, String> {
        self.views.push(view);
        let view = u32::try_from(self.views.len()).map_err(|_| "has too many tensors".to_string())?;
        Ok(Place { file, view })
    }
}

/// What opening an expert finds.
pub(super) struct Opened {
    pub format: Format,
    pub config: AdapterConfig,
    pub notes: ConfigNotes,
    pub files: Files,
    pub parts: Parts,
    /// Task that the file says it was trained for.
    pub task: Option<String>,
    pub warnings: Vec<String>,
    /// Why the weights cannot be used before the base model is known.
    pub needs_base: Option<String>,
}

impl Opened {
    fn new(config: AdapterConfig, notes: ConfigNotes, files: Files, parts: Parts) -> Self {
        let format = Format::default();
        Self { format, config, notes, files, parts, task: None, warnings: Vec::new(), needs_base: None }
    }
}

/// The last components of the adapted layers' paths, for files that do not list them.
fn targets(parts: &Parts) -> Vec<String> {
    let kind = |module: &str| ModulePath::new(module).kind().to_string();
    let all: BTreeSet<String> = parts.pairs.iter().map(|pair| kind(&pair.module)).collect();
    all.into_iter().collect()
}

/// Opens the expert at `path`, a folder or a file: configuration and headers, never the weights. `base` is
/// what matters of the base model, where that is known.
///
/// The error is a reason that starts with a file's name.
pub(super) fn open(path: &Path, base: Option<&BaseTraits>) -> Result<Opened, String> {
    let heads = base.and_then(|base| base.heads.as_ref());
    if fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return match has_extension(path, GGUF) {
            true => gguf::open(path, heads),
            false => mttl::open_file(path),
        };
    }
    let config = path.join(peft::CONFIG);
    if fs::symlink_metadata(&config).is_err() && fs::symlink_metadata(path.join(mttl::CONFIG)).is_ok() {
        return mttl::open_folder(path);
    }
    let opened = match peft::open(path, heads) {
        Err(_) if mlx::is_config(&config) => mlx::open(path, base),
        opened => opened,
    };
    opened.map(|mut opened| {
        opened.files.settings = Some(config);
        opened
    })
}

/// Extension of llama.cpp's files.
pub(super) const GGUF: &str = "gguf";
/// Extension of mttl's checkpoints.
pub(super) const CHECKPOINT: &str = "ckpt";

/// Whether a folder is an adapter: it has an entry with the name of a configuration, even a broken link.
pub(super) fn is_expert(folder: &Path) -> bool {
    let has = |name: &str| fs::symlink_metadata(folder.join(name)).is_ok();
    has(peft::CONFIG) || has(mttl::CONFIG) && has(mttl::WEIGHTS)
}

/// Files in an adapter's folder whose change changes the expert, beside those with the extensions above.
pub(super) const WATCHED: [&str; 8] = [
    peft::CONFIG,
    peft::WEIGHTS,
    peft::INDEX,
    peft::BIN,
    mlx::WEIGHTS,
    mttl::CONFIG,
    mttl::WEIGHTS,
    super::Provenance::FILE,
];

pub(super) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// A file's own name, for messages that already name the expert.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A tensor `stored.0 × stored.1` in the file, read as its transpose under another name.
fn transposed<'a>(
    tensor: &TensorInfo<'_>,
    name: String,
    files: &mut Files,
) -> Result<TensorInfo<'a>, String> {
    let size = |value: u64| usize::try_from(value).map_err(|_| "is too large for this machine".to_string());
    let (rows, columns) = (size(tensor.columns)?, size(tensor.rows)?);
    let view = match files.view(tensor.place) {
        Some(View::Steps { steps: (down, right), .. }) => View::Steps { rows, columns, steps: (right, down) },
        Some(_) => return Err("has an order of values that cannot be transposed".into()),
        None => View::transposed(rows, columns),
    };
    let place = files.place(tensor.place.file, view)?;
    let shape = [tensor.columns, tensor.rows];
    Ok(TensorInfo::new(name, tensor.dtype, &shape, (tensor.start, tensor.end), place))
}

impl Files {
    /// The order of values of a tensor, where it is not row after row.
    pub fn view(&self, place: Place) -> Option<View> {
        let index = (place.view as usize).checked_sub(1)?;
        self.views.get(index).copied()
    }
}

/// Whether A and B are factors with two dimensions, as tools that store them transposed must have them.
fn is_matrix(tensor: &TensorInfo<'_>) -> bool {
    tensor.dims == 2 && !matches!(tensor.dtype, Dtype::Other(..))
}

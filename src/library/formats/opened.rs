//! What opening an adapter finds, and what all formats do with it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::peft::config::ConfigNotes;
use super::peft::pairs::Parts;
use super::view::View;
use crate::library::AdapterConfig;
use crate::library::safetensors::{Dtype, Place, TensorInfo};
use crate::module_path::ModulePath;
use crate::outside::{io_reason, open_regular};

/// Files with one expert's tensors, opened.
#[derive(Debug, Default)]
pub(in crate::library) struct Files {
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
    pub fn add(&mut self, path: PathBuf) -> std::io::Result<(u32, u64)> {
        let (file, metadata) = open_regular(&path)?;
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.bytes = self.bytes.saturating_add(metadata.len());
        self.modified = self.modified.max(metadata.modified().ok());
        self.files.push((path, file));
        Ok((number, metadata.len()))
    }

    /// Opens the one file of an expert. The error starts with the file's name.
    pub fn one(path: &Path) -> Result<(Self, u64), String> {
        let mut files = Self::default();
        let (_, length) =
            files.add(path.to_path_buf()).map_err(|e| format!("{} {}", file_name(path), io_reason(&e)))?;
        Ok((files, length))
    }

    pub fn file(&self, number: u32) -> Result<&File, String> {
        self.files.get(number as usize).map(|(_, file)| file).ok_or_else(|| "has no such file".into())
    }

    /// A place in a file with this order of values.
    pub fn place(&mut self, file: u32, view: View) -> Result<Place, String> {
        self.views.push(view);
        let view = u32::try_from(self.views.len()).map_err(|_| "has too many tensors".to_string())?;
        Ok(Place { file, view })
    }
}

/// What opening an expert finds.
pub(in crate::library) struct Opened {
    pub config: AdapterConfig,
    pub notes: ConfigNotes,
    pub files: Files,
    pub parts: Parts,
    /// Task that the file says it was trained for.
    pub task: Option<String>,
    pub warnings: Vec<String>,
    /// Why the weights cannot be used before the base model is known.
    pub needs_base: Option<String>,
    /// What llama.cpp calls the architecture that it was made for, where the file says so.
    pub architecture: Option<&'static str>,
}

impl Opened {
    pub fn new(config: AdapterConfig, notes: ConfigNotes, files: Files, parts: Parts) -> Self {
        Self {
            config,
            notes,
            files,
            parts,
            task: None,
            warnings: Vec::new(),
            needs_base: None,
            architecture: None,
        }
    }
}

/// The last components of the adapted layers' paths, for files that do not list them.
pub(super) fn targets(parts: &Parts) -> Vec<String> {
    let kind = |module: &str| ModulePath::new(module).kind().to_string();
    let all: BTreeSet<String> = parts.pairs.iter().map(|pair| kind(&pair.module)).collect();
    all.into_iter().collect()
}

pub(in crate::library) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// A file's own name, for messages that already name the expert.
pub(in crate::library) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A tensor `stored.0 × stored.1` in the file, read as its transpose under another name.
pub(super) fn transposed<'a>(
    tensor: &TensorInfo<'_>,
    name: String,
    files: &mut Files,
) -> Result<TensorInfo<'a>, String> {
    let size = |value: u64| usize::try_from(value).map_err(|_| "is too large for this machine".to_string());
    let (rows, columns) = (size(tensor.columns)?, size(tensor.rows)?);
    let place = files.transposed(tensor.place, rows, columns)?;
    let shape = [tensor.columns, tensor.rows];
    Ok(TensorInfo::new(name, tensor.dtype, &shape, (tensor.start, tensor.end), place))
}

impl Files {
    /// The place of a tensor that is read as its transpose, `rows × columns`.
    pub fn transposed(&mut self, place: Place, rows: usize, columns: usize) -> Result<Place, String> {
        let view = match self.view(place) {
            Some(View::Steps { steps: (down, right), .. }) => {
                View::Steps { rows, columns, steps: (right, down) }
            }
            Some(_) => return Err("has an order of values that cannot be transposed".into()),
            None => View::transposed(rows, columns),
        };
        self.place(place.file, view)
    }

    /// The order of values of a tensor, where it is not row after row.
    pub fn view(&self, place: Place) -> Option<View> {
        let index = (place.view as usize).checked_sub(1)?;
        self.views.get(index).copied()
    }
}

/// Whether A and B are factors with two dimensions, as tools that store them transposed must have them.
pub(super) fn is_matrix(tensor: &TensorInfo<'_>) -> bool {
    tensor.dims == 2 && !matches!(tensor.dtype, Dtype::Other(..))
}

//! A transformers folder: `config.json` and one or several safetensors files.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;

use super::read_config;
use super::stored::{Rows, Stored, read_text, shape_problem};
use crate::library::{Dtype, language_tensor, parse_header, read_header};
use crate::model::config::Config;
use crate::outside::{io_reason, open_regular, read_exact_at};
use crate::{Error, Result};

/// The weights as one file, and the list of files where they are in several.
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

struct Place {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: u64,
}

/// A transformers folder whose headers were read.
pub(crate) struct Folder {
    path: PathBuf,
    shards: Vec<(PathBuf, File)>,
    tensors: HashMap<String, Place>,
    /// Whether names have what larger models put around those of the language model.
    wrapped: bool,
    /// What is odd about the files, for the person.
    pub warnings: Vec<String>,
}

impl Folder {
    /// Reads the configuration and the headers of the weights.
    pub fn open(path: &Path) -> Result<(Self, Config)> {
        let config_path = path.join("config.json");
        if !config_path.exists() {
            return Err(Error::file(path, "is not a model folder: it has no config.json"));
        }
        let config = read_config(path)?;
        if let Some(method) = config.quantised() {
            return Err(config.error(format!(
                "is quantised by {method}, which is not read: use the model as it was before, or a GGUF file of it; if its \
                 weights are whole after all, remove \"quantization_config\""
            )));
        }
        let wrapped = config.wrapper().is_some();
        let (single, index) = (path.join(SINGLE), path.join(INDEX));
        if !single.exists() {
            return Ok((Self::read(path, shards(path)?, wrapped)?, config));
        }
        let mut folder = Self::read(path, vec![single], wrapped)?;
        // As in transformers, a whole file comes before an index. One that was left behind is worth a word only
        // where it leads to another complete model.
        let other = index.exists().then(|| Self::read(path, indexed(&index)?, wrapped)).and_then(Result::ok);
        if other.is_some_and(|other| !folder.resembles(&other)) {
            folder.warnings.push(format!(
                "{}: {SINGLE} and the files of {INDEX} are different models; {SINGLE} is used, as in transformers",
                path.display()
            ));
        }
        Ok((folder, config))
    }

    fn read(path: &Path, shards: Vec<PathBuf>, wrapped: bool) -> Result<Self> {
        let (tensors, warnings) = (HashMap::new(), Vec::new());
        let mut folder = Self { path: path.to_path_buf(), shards: Vec::new(), tensors, wrapped, warnings };
        for shard in shards {
            folder.add(shard)?;
        }
        Ok(folder)
    }

    /// Whether another folder has the same tensors, as far as their shapes and first bytes show.
    fn resembles(&self, other: &Self) -> bool {
        let first = |folder: &Self, place: &Place| {
            let bytes = place.shape.iter().product::<usize>().min(1024);
            let mut start = vec![0; bytes];
            let (_, file) = folder.shards.get(place.shard)?;
            read_exact_at(file, &mut start, place.start).ok()?;
            Some(start)
        };
        self.tensors.len() == other.tensors.len()
            && self.tensors.iter().all(|(name, place)| {
                let Some(same) = other.tensors.get(name) else { return false };
                same.dtype == place.dtype
                    && same.shape == place.shape
                    && first(self, place) == first(other, same)
            })
    }

    /// A tensor's place; checkpoints of the model without its head have names without the first part.
    fn place(&self, name: &str) -> Option<&Place> {
        self.tensors.get(name).or_else(|| self.tensors.get(name.split_once('.')?.1))
    }

    /// Whether there is a tensor of this name.
    pub fn holds(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    fn add(&mut self, path: PathBuf) -> Result<()> {
        let bad = |problem: String| Error::file(&path, problem);
        let (file, facts) = open_regular(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => bad("is missing: the model is incomplete, fetch it again".into()),
            _ => bad(io_reason(&e)),
        })?;
        let header = read_header(&file, facts.len()).map_err(bad)?;
        let shard = self.shards.len();
        for tensor in parse_header(&header, facts.len()).map_err(bad)? {
            let (rows, columns) = (tensor.rows as usize, tensor.columns as usize);
            let shape = match tensor.dims {
                0 => vec![],
                1 => vec![rows],
                2 => vec![rows, columns],
                _ => {
                    let bytes =
                        (tensor.end - tensor.start) as usize * 8 / tensor.dtype.bits().max(1) as usize;
                    vec![rows, columns, bytes / (rows * columns).max(1)]
                }
            };
            let place = Place { shard, dtype: tensor.dtype, shape, start: tensor.start };
            let name = match self.wrapped {
                true => language_tensor(&tensor.name).map(String::from),
                false => Some(tensor.name.into_owned()),
            };
            if let Some(name) = name {
                self.tensors.insert(name, place);
            }
        }
        self.shards.push((path, file));
        Ok(())
    }

    /// The tensor that stands for a weight in checkpoints of quantisers, where there is one.
    fn quantised_form(&self, name: &str) -> Option<String> {
        let stem = name.strip_suffix("weight")?;
        let forms = ["qweight", "weight_packed", "weight_scale", "weight_scale_inv", "qzeros", "blocks"];
        forms.iter().map(|form| format!("{stem}{form}")).find(|form| self.holds(form))
    }

    /// A tensor, which must have `shape`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Stored<'_>> {
        let Some(place) = self.place(name) else {
            if let Some(quantised) = self.quantised_form(name) {
                return Err(Error::file(
                    &self.path,
                    format!(
                        "has {quantised} instead of {name}: it is quantised in a way that is not read; use the model \
                         as it was before, or a GGUF file of it"
                    ),
                ));
            }
            return Err(Error::file(
                &self.path,
                format!(
                    "has no tensor {name}: its config.json describes another model, or a file is missing"
                ),
            ));
        };
        let Some((path, file)) = self.shards.get(place.shard) else {
            return Err(Error::file(&self.path, format!("has no file for tensor {name}")));
        };
        let kind = match place.dtype {
            Dtype::F32 => GgmlDType::F32,
            Dtype::F16 => GgmlDType::F16,
            Dtype::Bf16 => GgmlDType::BF16,
            other => {
                let found = other.name();
                return Err(Error::file(
                    path,
                    format!("tensor {name} is {found}: save the model in f32, f16 or bf16"),
                ));
            }
        };
        if place.shape != shape {
            let problem = shape_problem(&place.shape, shape);
            return Err(Error::file(path, format!("tensor {name} {problem}")));
        }
        let (rows, columns) = match *shape {
            [rows, columns] => (rows, columns),
            _ => (1, shape.iter().product()),
        };
        let name = name.to_string();
        let error = Box::new(move |problem: String| Error::file(path, format!("tensor {name} {problem}")));
        Ok(Stored { file, start: place.start, kind, rows, columns, order: Rows::Same, error })
    }
}

/// The safetensors files of a folder without `model.safetensors`.
fn shards(path: &Path) -> Result<Vec<PathBuf>> {
    let index = path.join(INDEX);
    if index.exists() {
        return indexed(&index);
    }
    let pickle = ["pytorch_model.bin", "pytorch_model.bin.index.json"].map(|f| path.join(f));
    if pickle.iter().any(|f| f.exists()) {
        return Err(Error::file(
            path,
            "has its weights as a PyTorch pickle only: save it with safe_serialization=True",
        ));
    }
    Ok(vec![path.join(SINGLE)])
}

/// The files that an index names.
fn indexed(index: &Path) -> Result<Vec<PathBuf>> {
    let bad = |what: &str| Error::file(index, format!("is not an index of safetensors files: {what}"));
    let value: serde_json::Value =
        serde_json::from_str(&read_text(index)?).map_err(|e| bad(&e.to_string()))?;
    let map = value.get("weight_map").and_then(|m| m.as_object()).ok_or_else(|| bad("no \"weight_map\""))?;
    let mut names = BTreeSet::new();
    for file in map.values() {
        let name = file.as_str().ok_or_else(|| bad("a file name is no text"))?;
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::file(index, format!("names a file outside the folder: {name}")));
        }
        names.insert(name);
    }
    Ok(names.into_iter().map(|n| index.with_file_name(n)).collect())
}

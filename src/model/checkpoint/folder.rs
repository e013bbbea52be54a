//! A transformers folder: `config.json` and one or several safetensors files.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;

use super::stored::{Rows, Stored, read_text, shape_problem};
use crate::library::{Dtype, parse_header, read_header};
use crate::model::config::Config;
use crate::outside::{io_reason, open_regular};
use crate::{Error, Result};

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
}

impl Folder {
    /// Reads the configuration and the headers of the weights.
    pub fn open(path: &Path) -> Result<(Self, Config)> {
        let config_path = path.join("config.json");
        if !config_path.exists() {
            return Err(Error::file(path, "is not a model folder: it has no config.json"));
        }
        let config = Config::open(&config_path)?;
        let mut folder = Self { path: path.to_path_buf(), shards: Vec::new(), tensors: HashMap::new() };
        for shard in shards(path)? {
            folder.add(shard)?;
        }
        Ok((folder, config))
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
            self.tensors.insert(tensor.name.into_owned(), place);
        }
        self.shards.push((path, file));
        Ok(())
    }

    /// A tensor, which must have `shape`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Stored<'_>> {
        let Some(place) = self.tensors.get(name) else {
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

/// The safetensors files of a folder: one, or those that the index names.
fn shards(path: &Path) -> Result<Vec<PathBuf>> {
    let (single, index) = (path.join("model.safetensors"), path.join("model.safetensors.index.json"));
    if !index.exists() {
        let pickle = ["pytorch_model.bin", "pytorch_model.bin.index.json"].map(|f| path.join(f));
        if !single.exists() && pickle.iter().any(|f| f.exists()) {
            return Err(Error::file(
                path,
                "has its weights as a PyTorch pickle only: save it with safe_serialization=True",
            ));
        }
        return Ok(vec![single]);
    }
    let bad = |what: &str| Error::file(&index, format!("is not an index of safetensors files: {what}"));
    let value: serde_json::Value =
        serde_json::from_str(&read_text(&index)?).map_err(|e| bad(&e.to_string()))?;
    let map = value.get("weight_map").and_then(|m| m.as_object()).ok_or_else(|| bad("no \"weight_map\""))?;
    let mut names = BTreeSet::new();
    for file in map.values() {
        let name = file.as_str().ok_or_else(|| bad("a file name is no text"))?;
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::file(&index, format!("names a file outside the folder: {name}")));
        }
        names.insert(name);
    }
    Ok(names.into_iter().map(|n| path.join(n)).collect())
}

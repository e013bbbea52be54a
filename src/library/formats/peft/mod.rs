//! PEFT's folder: `adapter_config.json` and `adapter_model.safetensors`, whole or in shards, or
//! `adapter_model.bin`.

pub(in crate::library) mod config;
pub(in crate::library) mod pairs;
pub(in crate::library) mod pattern;
pub(in crate::library) mod tied;
pub(in crate::library) mod variants;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use self::config::{ConfigNotes, read_config};
use self::pairs::{Parts, find_parts};
use super::format::AdapterFormat;
use super::opened::{Files, Opened};
use super::torch::TorchFile;
use crate::library::AdapterConfig;
use crate::library::safetensors::{TensorInfo, parse_header, read_header};
use crate::outside::{io_reason, read_limited};
use crate::text::short;

/// Names of PEFT's files.
pub(in crate::library) const CONFIG: &str = "adapter_config.json";
pub(in crate::library) const WEIGHTS: &str = "adapter_model.safetensors";
const INDEX: &str = "adapter_model.safetensors.index.json";
const BIN: &str = "adapter_model.bin";
/// More shards than any adapter has.
const MAX_SHARDS: usize = 512;
/// No real index comes near this.
const MAX_INDEX: u64 = 16 << 20;

/// PEFT's folder with safetensors, in one file or in shards.
pub(super) const FORMAT: AdapterFormat = AdapterFormat {
    docs: &[
        [
            "PEFT, TRL, unsloth, axolotl",
            "`adapter_config.json`, `adapter_model.safetensors`",
            "prefixes and adapter names that PEFT, DDP, FSDP and `torch.compile` leave in keys are removed, and so is \
             `language_model.` of multimodal models",
        ],
        [
            "PEFT, sharded",
            "`adapter_model.safetensors.index.json` and its shards",
            "all shards must be there",
        ],
    ],
    marks: &[CONFIG],
    open_folder: |folder, base| Some(open(folder).and_then(|opened| tied::share(opened, base))),
    watched: &[CONFIG, WEIGHTS, INDEX],
    weights: Some(WEIGHTS),
    shards: &["safetensors"],
    ..AdapterFormat::new("peft", "PEFT")
};

/// PEFT's folder with `adapter_model.bin`.
pub(super) const BIN_FORMAT: AdapterFormat = AdapterFormat {
    docs: &[[
        "PEFT, older",
        "`adapter_model.bin`",
        "read without executing anything: a class that has no place in an adapter is refused by name; files from \
         before PyTorch 1.6 are not read",
    ]],
    marks: &[CONFIG, BIN],
    open_folder: |folder, base| {
        let (config, notes) = read_config(&folder.join(CONFIG)).ok()?;
        let open = || open_bin(folder, config, notes).and_then(|opened| tied::share(opened, base));
        (!has_safetensors(folder)).then(open)
    },
    watched: &[BIN],
    ..AdapterFormat::new("peft-bin", "PEFT .bin")
};

fn is_there(folder: &Path, name: &str) -> bool {
    fs::symlink_metadata(folder.join(name)).is_ok()
}

/// Whether a folder has weights as PEFT writes them now.
fn has_safetensors(folder: &Path) -> bool {
    is_there(folder, WEIGHTS) || is_there(folder, INDEX)
}

/// Whether a folder has weights under one of PEFT's names.
pub(super) fn has_weights(folder: &Path) -> bool {
    has_safetensors(folder) || is_there(folder, BIN)
}

/// Opens an adapter folder.
fn open(folder: &Path) -> Result<Opened, String> {
    let (config, notes) = read_config(&folder.join(CONFIG))?;
    let mut opened = match (is_there(folder, WEIGHTS), is_there(folder, INDEX)) {
        (true, _) => open_safetensors(folder, config, notes)?,
        (false, true) => open_shards(folder, config, notes)?,
        (false, false) => return Err(format!("has no {WEIGHTS}")),
    };
    if is_there(folder, WEIGHTS) && is_there(folder, BIN) {
        opened.warnings.push(format!("{BIN} is not read: {WEIGHTS} is there too"));
    }
    opened.files.settings = Some(folder.join(CONFIG));
    Ok(opened)
}

fn open_safetensors(folder: &Path, config: AdapterConfig, notes: ConfigNotes) -> Result<Opened, String> {
    let (files, length) = Files::one(&folder.join(WEIGHTS))?;
    let read = || -> Result<Parts, String> {
        let header = read_header(files.file(0)?, length)?;
        let tensors = parse_header(&header, length)?;
        find_parts(&tensors, &notes.stacked)
    };
    let parts = read().map_err(|reason| format!("{WEIGHTS} {reason}"))?;
    Ok(Opened::new(config, notes, files, parts))
}

fn open_bin(folder: &Path, config: AdapterConfig, notes: ConfigNotes) -> Result<Opened, String> {
    let (mut files, length) = Files::one(&folder.join(BIN))?;
    let mut read = || -> Result<Parts, String> {
        let torch = TorchFile::open(files.file(0)?, length)?;
        let pickle = torch.read()?;
        let tensors = torch.tensors(&pickle, pickle.root, |_, _| Ok(None), &mut files.views)?;
        find_parts(&tensors, &notes.stacked)
    };
    let parts = read().map_err(|reason| format!("{BIN} {reason}"))?;
    files.settings = Some(folder.join(CONFIG));
    Ok(Opened::new(config, notes, files, parts))
}

/// Calls `each` with every tensor of an index and the file that it names.
fn read_index(bytes: &[u8], mut each: impl FnMut(&str, &str) -> Result<(), String>) -> Result<(), String> {
    let mut failure = None;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let found = Index(&mut each, &mut failure).deserialize(&mut json).and_then(|()| json.end());
    match (failure, found) {
        (Some(reason), _) => Err(reason),
        (None, Err(e)) => Err(format!("cannot be used: {}", short(&e.to_string()))),
        (None, Ok(())) => Ok(()),
    }
}

fn open_shards(folder: &Path, config: AdapterConfig, notes: ConfigNotes) -> Result<Opened, String> {
    let bytes =
        read_limited(&folder.join(INDEX), MAX_INDEX).map_err(|e| format!("{INDEX} {}", io_reason(&e)))?;
    let mut shards: BTreeSet<String> = BTreeSet::new();
    let mut listed = 0usize;
    read_index(&bytes, |_, shard| {
        listed += 1;
        if shard.contains(['/', '\\', ':']) || shard.starts_with('.') {
            return Err(format!("names the file {}, which is not in this folder", short(shard)));
        }
        if !shards.contains(shard) {
            shards.insert(shard.to_string());
        }
        match shards.len() > MAX_SHARDS {
            true => Err(format!("names more than {MAX_SHARDS} files")),
            false => Ok(()),
        }
    })
    .map_err(|reason| format!("{INDEX} {reason}"))?;
    if shards.is_empty() {
        return Err(format!("{INDEX} names no files of weights"));
    }
    let mut files = Files::default();
    let mut tensors: Vec<TensorInfo<'static>> = Vec::new();
    for shard in &shards {
        let (number, length) = files
            .add(folder.join(shard))
            .map_err(|e| format!("{}, which {INDEX} names, {}", short(shard), io_reason(&e)))?;
        let found =
            read_shard(&files, number, length).map_err(|reason| format!("{} {reason}", short(shard)))?;
        tensors.extend(found);
    }
    tensors.sort_unstable_by(|x, y| x.name.cmp(&y.name));
    let read = || -> Result<Parts, String> {
        if let Some([twice, _]) = tensors.windows(2).find(|pair| matches!(pair, [x, y] if x.name == y.name)) {
            return Err(format!("names files that both have the tensor {}", short(&twice.name)));
        }
        read_index(&bytes, |name, _| match tensors.binary_search_by(|tensor| (*tensor.name).cmp(name)) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("names the tensor {}, which is in no file", short(name))),
        })?;
        if listed != tensors.len() {
            return Err(format!("names {listed} tensors, its files have {}", tensors.len()));
        }
        find_parts(&tensors, &notes.stacked)
    };
    let parts = read().map_err(|reason| format!("{INDEX} {reason}"))?;
    Ok(Opened::new(config, notes, files, parts))
}

fn read_shard(files: &Files, number: u32, length: u64) -> Result<Vec<TensorInfo<'static>>, String> {
    let header = read_header(files.file(number)?, length)?;
    let tensors = parse_header(&header, length)?;
    let owned = |mut tensor: TensorInfo<'_>| {
        tensor.place.file = number;
        tensor.renamed(tensor.name.to_string())
    };
    Ok(tensors.into_iter().map(owned).collect())
}

/// An index, or its `weight_map`, read without holding it: what to do with each entry, and what that said.
struct Index<'f, F>(&'f mut F, &'f mut Option<String>);
struct WeightMap<'f, F>(&'f mut F, &'f mut Option<String>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, F: FnMut(&str, &str) -> Result<(), String>> DeserializeSeed<'de> for Index<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, &str) -> Result<(), String>> Visitor<'de> for Index<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("an index of weights")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(Name(key)) = map.next_key::<Name<'de>>()? {
            if key != "weight_map" {
                map.next_value::<IgnoredAny>()?;
            } else if std::mem::replace(&mut found, true) {
                return Err(de::Error::custom("it has two `weight_map`"));
            } else {
                map.next_value_seed(WeightMap(&mut *self.0, &mut *self.1))?;
            }
        }
        if found { Ok(()) } else { Err(de::Error::custom("it has no `weight_map`")) }
    }
}

impl<'de, F: FnMut(&str, &str) -> Result<(), String>> DeserializeSeed<'de> for WeightMap<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, &str) -> Result<(), String>> Visitor<'de> for WeightMap<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a map from tensors to files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((Name(name), Name(file))) = map.next_entry::<Name<'de>, Name<'de>>()? {
            if let Err(reason) = (self.0)(&name, &file) {
                *self.1 = Some(reason);
                return Err(de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

//! Folders that `save_to_disk` of the datasets library wrote.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::found::{Found, Piece, name_of};
use super::{Layout, walk};
use crate::import::kinds::FileKind;
use crate::import::splits::Split;
use crate::outside::read_text_of;
use crate::text::short;
use crate::{Error, Result};

/// Several splits.
pub(super) const DICT: Layout = Layout {
    name: "saved splits",
    help: "`DatasetDict.save_to_disk`: `dataset_dict.json` and a folder per split",
    is: |folder| folder.join(DICT_FILE).is_file(),
    find: dict,
};

/// One split.
pub(super) const ONE: Layout = Layout {
    name: "saved",
    help: "`Dataset.save_to_disk`: `state.json` names the files of arrow",
    is: |folder| folder.join(STATE_FILE).is_file(),
    find: |folder, _configs| one(folder, None),
};

const DICT_FILE: &str = "dataset_dict.json";
const STATE_FILE: &str = "state.json";
const INFO_FILE: &str = "dataset_info.json";
/// Largest description.
const MAX_DESCRIPTION: u64 = 16 << 20;

#[derive(Deserialize)]
struct Dict {
    splits: Vec<String>,
}

#[derive(Deserialize)]
struct State {
    #[serde(rename = "_data_files")]
    files: Vec<DataFile>,
    #[serde(rename = "_split", default)]
    split: Option<String>,
}

#[derive(Deserialize)]
struct DataFile {
    filename: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Info {
    license: Option<String>,
    dataset_name: Option<String>,
    config_name: Option<String>,
}

fn described<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read_text_of(path, MAX_DESCRIPTION)?;
    serde_json::from_str(&text).map_err(|e| {
        Error::file(path, format!("is not what save_to_disk writes ({e}): save the dataset again"))
    })
}

/// A name that leads nowhere else.
fn plain(path: &Path, name: &str) -> Result<()> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(std::path::Component::Normal(_)), None) => Ok(()),
        _ => {
            Err(Error::file(path, format!("names \"{}\", which is no file or folder beside it", short(name))))
        }
    }
}

fn dict(folder: &Path, _configs: &[String]) -> Result<Found> {
    let path = folder.join(DICT_FILE);
    let dict: Dict = described(&path)?;
    let mut all = Found { name: name_of(folder), ..Found::default() };
    for split in &dict.splits {
        plain(&path, split)?;
        let found = one(&folder.join(split), Some(split))?;
        all.empty.extend(found.empty);
        all.licence = all.licence.or(found.licence);
        all.pieces.extend(found.pieces);
    }
    Ok(all)
}

fn one(folder: &Path, name: Option<&str>) -> Result<Found> {
    let path = folder.join(STATE_FILE);
    let state: State = described(&path)?;
    let info_path = folder.join(INFO_FILE);
    let info = if info_path.is_file() { described(&info_path)? } else { Info::default() };
    let named = name.or(state.split.as_deref());
    let split = named.and_then(Split::in_name);
    let mut pieces = Vec::new();
    for file in &state.files {
        plain(&path, &file.filename)?;
        let file = folder.join(&file.filename);
        pieces.push(Piece {
            kind: FileKind::of(&file)?,
            path: file,
            config: info.config_name.clone().filter(|config| config != "default"),
            split,
            split_names: named.map(String::from).into_iter().collect(),
            classes: HashMap::new(),
            group: name.filter(|_| split.is_none()).map(String::from),
        });
    }
    let name = info
        .dataset_name
        .filter(|name| !name.is_empty() && !is_loader(name))
        .unwrap_or_else(|| name_of(folder));
    let empty = pieces.is_empty().then(|| named.unwrap_or("train").to_string());
    Ok(Found {
        name,
        empty: empty.into_iter().collect(),
        licence: info.license.filter(|licence| !licence.is_empty()),
        pieces,
        ..Found::default()
    })
}

/// Names of datasets that were read from files, after the reader.
fn is_loader(name: &str) -> bool {
    matches!(name, "json" | "csv" | "parquet" | "text" | "generator" | "arrow" | "pandas")
        || walk::stem(name) != name
}

//! Tokenizers in the files that came before `tokenizer.json`: `vocab.json` with `merges.txt`, and SentencePiece's
//! `tokenizer.model`. They are put into the form of a `tokenizer.json`, as transformers 5 converts them.

mod class;
mod pairs;
mod pieces;
mod proto;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use self::class::{Class, Kind};
use super::side_files::{Assumed, SideFiles, object};
use crate::text::short;
use crate::{Error, Result};

pub(crate) use self::class::Registered;

/// A tokenizer that was put together from older files.
pub(crate) struct Legacy {
    /// The file that has its tokens.
    pub path: PathBuf,
    /// What a `tokenizer.json` would say, but for added tokens.
    pub json: String,
    /// Added tokens and all else that stands beside the vocabulary.
    pub side: SideFiles,
    /// Whether a text begins with the start token.
    pub starts: bool,
    /// Whether special tokens are known by their texts alone.
    pub plain_special: bool,
}

impl Legacy {
    /// Reads the files of a folder without `tokenizer.json`, as those of the class that its `tokenizer_config.json`
    /// names, else `config.json`; transformers has `registered` for the architecture.
    ///
    /// # Errors
    /// Classes that are not known, and files that are missing, each with what to do; damaged files.
    pub fn read(folder: &Path, declared: Option<&str>, registered: Registered) -> Result<Self> {
        let config = object(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let class = class_of(folder, &config, declared, registered)?;
        let flag = |key: &str| config.get(key).and_then(Value::as_bool).unwrap_or(false);
        let (path, json, side) = match class.kind {
            Kind::Pairs(parts) => {
                for name in ["vocab.json", "merges.txt"] {
                    check_there(folder, name, class)?;
                }
                let side = SideFiles::read_assuming(folder, &assumed(class))?;
                (folder.join("vocab.json"), pairs::build(folder, parts(&config))?, side)
            }
            Kind::Pieces(make) => {
                check_there(folder, "tokenizer.model", class)?;
                let path = folder.join("tokenizer.model");
                let model = pieces::Model::read(&path)?;
                let general = std::ptr::eq(class, &class::GENERAL);
                let mut assumed = Assumed { extra: model.added(general), ..assumed(class) };
                if general {
                    assumed.named = model.named();
                    assumed.raw = model.has_prefix();
                }
                let side = SideFiles::read_assuming(folder, &assumed)?;
                let json =
                    model.build(make, &config, &side).map_err(|problem| Error::file(&path, problem))?;
                (path, json, side)
            }
        };
        Ok(Self {
            path,
            json: json.to_string(),
            side,
            starts: flag("add_bos_token"),
            plain_special: class.plain_special,
        })
    }
}

fn assumed(class: &Class) -> Assumed {
    let named = class.named.iter().map(|(key, text)| (*key, (*text).to_string())).collect();
    Assumed { named, ..Assumed::default() }
}

/// The class whose files a folder has.
fn class_of(
    folder: &Path,
    config: &Map<String, Value>,
    declared: Option<&str>,
    registered: Registered,
) -> Result<&'static Class> {
    let bad = |problem: String| Error::file(folder, format!("{problem}; {SAVE}"));
    if config
        .get("auto_map")
        .is_some_and(|map| map.as_object().is_none_or(|map| map.contains_key("AutoTokenizer")))
    {
        return Err(bad("has a tokenizer in Python code of its own, which is not run".into()));
    }
    let declared = config.get("tokenizer_class").and_then(Value::as_str).or(declared);
    class::chosen(declared, registered).map_err(|name| {
        bad(format!("has no tokenizer.json, and its files are for {}, which is not known here", short(&name)))
    })
}

/// What to do where the files cannot be read here.
const SAVE: &str = "open it once with AutoTokenizer.from_pretrained and save it with save_pretrained, which writes a \
                    tokenizer.json";

/// Checks that a file of a class is there.
fn check_there(folder: &Path, name: &str, class: &Class) -> Result<()> {
    if folder.join(name).exists() {
        return Ok(());
    }
    let others =
        ["tokenizer.model", "vocab.json", "spiece.model", "tekken.json", "tiktoken.model", "vocab.txt"];
    Err(Error::file(
        folder,
        match others.iter().find(|other| folder.join(other).exists()) {
            Some(other) => format!(
                "has {other}, but no tokenizer.json and no {name}, which {} of transformers reads; {SAVE}",
                class.name
            ),
            None => "has no tokenizer.json: copy it there from the original model".into(),
        },
    ))
}

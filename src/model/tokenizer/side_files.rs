//! What stands beside `tokenizer.json`: `tokenizer_config.json`, and what older versions of transformers kept in
//! `special_tokens_map.json` and `added_tokens.json`. Read as transformers 5 reads them.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use crate::model::checkpoint::read_text;
use crate::{Error, Result};

/// The named tokens that every tokenizer of transformers has.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What holds where the files do not say.
#[derive(Debug, Default)]
pub(super) struct Assumed {
    /// Named tokens.
    pub named: Vec<(&'static str, String)>,
    /// Tokens beside the named ones.
    pub extra: Vec<AddedToken>,
    /// Whether described tokens are looked for in the text as it is.
    pub raw: bool,
}

/// What the files beside a vocabulary say.
#[derive(Debug, Default)]
pub(crate) struct SideFiles {
    /// Tokens that are described, with their ids and in the order of these: they replace those of `tokenizer.json`.
    described: Vec<(u64, AddedToken)>,
    /// Tokens that are mentioned: they are added where there are none of their text.
    mentioned: Vec<AddedToken>,
    /// Names and texts of special tokens (`bos_token`, …), as a chat template may use them.
    pub named: Vec<(String, String)>,
    /// Whether special tokens in a text are spelled out, as any other text.
    pub splits_special: bool,
    /// The entry `chat_template` of `tokenizer_config.json`.
    pub chat_template: Option<Value>,
}

/// An object of a JSON file; nothing where there is no such file.
pub(super) fn object(path: &Path) -> Result<Option<Map<String, Value>>> {
    // A link that leads nowhere is an error, as everywhere.
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    match serde_json::from_str(&read_text(path)?) {
        Ok(Value::Object(fields)) => Ok(Some(fields)),
        Ok(_) => Err(Error::file(path, "is not a JSON object")),
        Err(e) => Err(Error::file(path, format!("is not valid JSON: {e}"))),
    }
}

/// A token as a side file describes it: a text alone (then special), or an object.
fn token(value: &Value, special: Option<bool>) -> Option<AddedToken> {
    if let Some(content) = value.as_str() {
        return Some(AddedToken::from(content, true));
    }
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let special = special.or_else(|| flag("special")).unwrap_or(false);
    let content = value.get("content")?.as_str()?;
    Some(AddedToken {
        content: content.into(),
        single_word: flag("single_word").unwrap_or(false),
        lstrip: flag("lstrip").unwrap_or(false),
        rstrip: flag("rstrip").unwrap_or(false),
        normalized: flag("normalized").unwrap_or(!special),
        special,
    })
}

impl SideFiles {
    /// Reads those of a folder.
    ///
    /// # Errors
    /// Files that cannot be read or are no JSON objects; tokens that have no text.
    pub fn read(folder: &Path) -> Result<Self> {
        Self::read_assuming(folder, &Assumed::default())
    }

    /// The same for a folder in whose files not everything is said.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn read_assuming(folder: &Path, assumed: &Assumed) -> Result<Self> {
        let config_path = folder.join("tokenizer_config.json");
        let mut config = object(&config_path)?.unwrap_or_default();
        let mut decoder: Vec<(u64, AddedToken)> = Vec::new();
        let mut special = Map::new();
        // Both lists of tokens beside the named ones have the same meaning.
        let extra_of = |fields: &Map<String, Value>| {
            let lists = ["extra_special_tokens", "additional_special_tokens"].into_iter();
            lists.filter_map(|key| fields.get(key)).find(|v| !empty(v)).cloned()
        };
        let mut extra = extra_of(&config);
        let list = config.remove("added_tokens_decoder").filter(|v| !v.is_null());
        let is_old = list.is_none();
        match list {
            Some(Value::Object(tokens)) => {
                for (id, value) in &tokens {
                    let bad = || {
                        Error::file(
                            &config_path,
                            format!("has no token under \"added_tokens_decoder\", {id:?}"),
                        )
                    };
                    let id = id.parse().map_err(|_| bad())?;
                    decoder.push((id, token(value, None).filter(|_| value.is_object()).ok_or_else(bad)?));
                }
            }
            None => {
                special = object(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
                if let Some(list) = extra_of(&special) {
                    extra = Some(merged(extra, list));
                }
            }
            Some(_) => return Err(Error::file(&config_path, "\"added_tokens_decoder\" is not an object")),
        }
        // Later files replace earlier ones; a named token is known by its key.
        let mut named: Vec<(String, AddedToken)> = Vec::new();
        let mut set = |key: &str, token: AddedToken| match named.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = token,
            None => named.push((key.to_string(), token)),
        };
        for key in NAMED {
            let found = special.get(key).or_else(|| config.get(key)).filter(|v| !v.is_null());
            if let Some(value) = found {
                let from = if special.contains_key(key) {
                    "special_tokens_map.json"
                } else {
                    "tokenizer_config.json"
                };
                let bad = || Error::file(folder.join(from), format!("\"{key}\" is no token"));
                set(key, token(value, Some(true)).ok_or_else(bad)?);
            } else if !special.contains_key(key) && !config.contains_key(key) {
                // Null means that there is none.
                let text = assumed.named.iter().find(|(name, _)| *name == key).map(|(_, text)| text.as_str());
                text.into_iter().for_each(|text| set(key, AddedToken::from(text, true)));
            }
        }
        for (key, value) in config.iter().chain(&special) {
            if key.ends_with("_token") && !NAMED.contains(&key.as_str()) && value.is_string() {
                token(value, None).into_iter().for_each(|t| set(key, t));
            }
        }
        let mut others = Vec::new();
        match extra {
            Some(Value::Object(fields)) => {
                for (key, value) in &fields {
                    token(value, Some(true)).into_iter().for_each(|t| set(key, t));
                }
            }
            Some(Value::Array(values)) => {
                others = values.iter().filter_map(|v| token(v, Some(true))).collect()
            }
            _ => others.clone_from(&assumed.extra),
        }
        let added_path = folder.join("added_tokens.json");
        if is_old && let Some(tokens) = object(&added_path)? {
            for (content, id) in &tokens {
                let bad = || Error::file(&added_path, format!("gives {content:?} no token id"));
                let special = named.iter().map(|(_, t)| t).chain(&others).any(|t| t.content == *content);
                let token = AddedToken::from(content.as_str(), special).normalized(!special);
                decoder.push((id.as_u64().ok_or_else(bad)?, token));
            }
        }
        decoder.sort_by_key(|(id, _)| *id);
        let mut described = decoder;
        for (_, token) in &mut described {
            token.special |= named.iter().any(|(_, t)| t.content == token.content);
            token.normalized &= !assumed.raw;
        }
        let mentioned = named.iter().map(|(_, token)| token.clone()).chain(others).collect();
        let named = named.into_iter().map(|(key, token)| (key, token.content)).collect();
        let splits_special = config.get("split_special_tokens").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self {
            described,
            splits_special,
            mentioned,
            named,
            chat_template: config.remove("chat_template").filter(|v| !v.is_null()),
        })
    }
}

impl SideFiles {
    /// Adds the tokens to those that `tokenizer` has; new ones get the next ids, as transformers gives them.
    ///
    /// # Errors
    /// What the tokenizers library says.
    pub(super) fn add_to(&self, tokenizer: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
        tokenizer.add_tokens(self.described.iter().map(|(_, token)| token.clone()))?;
        for token in &self.mentioned {
            if !tokenizer.get_added_vocabulary().get_vocab().contains_key(&token.content) {
                tokenizer.add_tokens([token.clone()])?;
            }
        }
        Ok(())
    }

    /// Ids and texts of the tokens that are described.
    pub(super) fn described(&self) -> impl Iterator<Item = (u64, &str)> {
        self.described.iter().map(|(id, token)| (*id, token.content.as_str()))
    }

    /// The text of a named token.
    pub(super) fn named(&self, key: &str) -> Option<&str> {
        self.named.iter().find(|(name, _)| name == key).map(|(_, text)| text.as_str())
    }

    /// The mentioned tokens, as special ones of which only the text is known.
    pub(super) fn plain(&self) -> impl Iterator<Item = AddedToken> {
        self.mentioned.iter().map(|token| AddedToken::from(token.content.as_str(), true))
    }
}

/// Whether Python would take it for nothing.
fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Two lists of tokens as one; a later object replaces a list.
fn merged(first: Option<Value>, second: Value) -> Value {
    match (first, second) {
        (Some(Value::Array(mut first)), Value::Array(second)) => {
            first.extend(second);
            Value::Array(first)
        }
        (_, second) => second,
    }
}

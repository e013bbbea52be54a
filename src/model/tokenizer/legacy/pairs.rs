//! `vocab.json` and `merges.txt`: byte-level BPE as GPT-2's tokenizer began it.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::model::checkpoint::read_text;
use crate::model::tokenizer::byte_level::QWEN2;
use crate::text::short;
use crate::{Error, Result};

/// What is done to a text before its words are merged.
pub(in crate::model::tokenizer) struct Parts {
    normalizer: Value,
    splitter: Value,
}

/// Splits as GPT-2 does.
fn split(config: &Map<String, Value>, regex: bool) -> Value {
    let prefix = config.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(false);
    json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex })
}

/// GPT-2 and CodeGen (Phi).
pub(super) fn gpt2(config: &Map<String, Value>) -> Parts {
    Parts { normalizer: Value::Null, splitter: split(config, true) }
}

/// GPT-NeoX (Pythia).
pub(super) fn gpt_neox(config: &Map<String, Value>) -> Parts {
    Parts { normalizer: json!({ "type": "NFC" }), ..gpt2(config) }
}

/// Qwen 2 and 3.
pub(super) fn qwen2(config: &Map<String, Value>) -> Parts {
    let pattern =
        json!({ "type": "Split", "pattern": { "Regex": QWEN2 }, "behavior": "Isolated", "invert": false });
    let steps = json!({ "type": "Sequence", "pretokenizers": [pattern, split(config, false)] });
    Parts { splitter: steps, ..gpt_neox(config) }
}

/// The tokenizer of a folder in the form of a `tokenizer.json`.
///
/// # Errors
/// Files that cannot be read; lines that are no merges.
pub(super) fn build(folder: &Path, parts: Parts) -> Result<Value> {
    let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    let ids: Value = serde_json::from_str(&read_text(&vocab)?)
        .map_err(|e| Error::file(&vocab, format!("is not valid JSON: {e}")))?;
    let is_sound = ids.as_object().is_some_and(|ids| ids.values().all(Value::is_u64));
    if !is_sound {
        return Err(Error::file(&vocab, "is not an object of tokens with their ids"));
    }
    let text = read_text(&merges)?;
    let lines = text.lines().filter(|line| !line.starts_with("#version"));
    let pair = |line: &str| match line.split_once(' ') {
        Some((first, second)) if !second.contains(' ') => Ok(json!([first, second])),
        _ => Err(Error::file(&merges, format!("has a line that is no merge of two tokens: {}", short(line)))),
    };
    let pairs: Vec<Value> = lines.map(pair).collect::<Result<_>>()?;
    Ok(json!({
        "version": "1.0",
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.splitter,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "fuse_unk": false, "byte_fallback": false, "vocab": ids, "merges": pairs },
    }))
}

//! SentencePiece models in the form of a `tokenizer.json`, as transformers converts them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::proto::{self, ModelProto, PieceKind};
use crate::model::tokenizer::side_files::SideFiles;
use crate::outside::read_limited;
use crate::text::counted;
use crate::{Error, Result};

/// No model file is larger.
const MAX_BYTES: u64 = 64 << 20;
/// No piece is longer than this in characters: bounds the work of finding merges.
const LONGEST: usize = 512;
/// Stands for a space.
const SPACE: &str = "▁";

/// A model file.
pub(super) struct Model {
    bytes: Vec<u8>,
    proto: ModelProto,
}

/// All that a class makes a tokenizer of.
pub(in crate::model::tokenizer) struct Source<'a> {
    model: &'a Model,
    /// `tokenizer_config.json`.
    config: &'a Map<String, Value>,
    side: &'a SideFiles,
}

impl Model {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no SentencePiece model.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_limited(path, MAX_BYTES).map_err(|e| Error::io(path, e))?;
        let bad = |problem: String| Error::file(path, problem);
        let proto = proto::read(&bytes).map_err(|problem| match is_tiktoken(&bytes) {
            true => {
                bad("is a tiktoken file, which is not read: put the model's tokenizer.json beside it".into())
            }
            false => bad(problem),
        })?;
        if let Some(piece) = proto.pieces.iter().find(|piece| piece.text.chars().count() > LONGEST) {
            return Err(bad(format!("has a piece of {}", counted(piece.text.chars().count(), "character"))));
        }
        Ok(Self { bytes, proto })
    }

    /// Named tokens that the file itself names.
    pub fn named(&self) -> Vec<(&'static str, String)> {
        let ModelProto { bos, eos, unk, .. } = &self.proto;
        let all = [("bos_token", bos, "<s>"), ("eos_token", eos, "</s>"), ("unk_token", unk, "<unk>")];
        let there = all.into_iter().filter(|(_, (id, _), _)| *id >= 0);
        there
            .map(|(key, (_, text), usual)| (key, if text.is_empty() { usual.into() } else { text.clone() }))
            .collect()
    }

    /// Pieces that are found in a text before anything is merged: special ones, and unless they are left to the general
    /// tokenizer, those that are always whole.
    pub fn added(&self, general: bool) -> Vec<AddedToken> {
        let whole: HashSet<&str> = self.whole().collect();
        let added = self.proto.pieces.iter().filter(|piece| match piece.kind {
            PieceKind::Control => !(general && whole.contains(piece.text.as_str())),
            PieceKind::UserDefined => !general,
            PieceKind::Normal | PieceKind::Other => false,
        });
        let token = |text: &str, special| AddedToken::from(text, special).normalized(false);
        added.map(|piece| token(&piece.text, piece.kind == PieceKind::Control)).collect()
    }

    fn whole(&self) -> impl Iterator<Item = &str> {
        let whole = self.proto.pieces.iter().filter(|piece| piece.kind == PieceKind::UserDefined);
        whole.map(|piece| piece.text.as_str())
    }

    /// Whether a text begins with a space.
    pub fn has_prefix(&self) -> bool {
        self.proto.add_dummy_prefix
    }

    /// The tokenizer in the form of a `tokenizer.json`.
    ///
    /// # Errors
    /// What is wrong with the file, after its name.
    pub fn build(
        &self,
        make: fn(&Source) -> Result<Value, String>,
        config: &Map<String, Value>,
        side: &SideFiles,
    ) -> Result<Value, String> {
        make(&Source { model: self, config, side })
    }
}

/// Whether the lines of a file are tokens in base64 with their ranks.
fn is_tiktoken(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let parts = line.and_then(|line| line.split_once(' '));
    parts.is_some_and(|(token, rank)| token.is_ascii() && rank.trim().parse::<u32>().is_ok())
}

impl Source<'_> {
    fn flag(&self, key: &str, default: bool) -> bool {
        self.config.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    /// Every piece's text with its id; of equal texts the last.
    fn ids(&self) -> BTreeMap<&str, usize> {
        self.model.proto.pieces.iter().enumerate().map(|(id, piece)| (piece.text.as_str(), id)).collect()
    }

    fn byte_fallback(&self) -> bool {
        self.model.proto.byte_fallback
    }
}

/// All ways to make a piece of two others, in the order of the pieces' ids; of one piece's those with the shorter left
/// part first. (`generate_merges` of transformers, without scores.)
fn merges_by_id(ids: &BTreeMap<&str, usize>) -> Vec<Value> {
    let mut found = Vec::new();
    for (&piece, &id) in ids {
        for (left, (at, _)) in piece.char_indices().enumerate().skip(1) {
            let (first, second) = piece.split_at(at);
            if ids.contains_key(first) && ids.contains_key(second) {
                found.push((id, left, first, second));
            }
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, _, first, second)| json!([first, second])).collect()
}

/// Decodes pieces: spaces, bytes, and the space before the first word.
fn decoder(byte_fallback: bool, fuse: bool, strip: bool) -> Value {
    let mut steps = vec![json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " })];
    if byte_fallback {
        steps.push(json!({ "type": "ByteFallback" }));
    }
    if fuse {
        steps.push(json!({ "type": "Fuse" }));
    }
    if strip {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json!({ "type": "Sequence", "decoders": steps })
}

fn spaces_before(scheme: &str) -> Value {
    json!({ "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false })
}

fn replace(pattern: Value, content: &str) -> Value {
    json!({ "type": "Replace", "pattern": pattern, "content": content })
}

/// `LlamaTokenizer`.
pub(super) fn llama(source: &Source) -> Result<Value, String> {
    let prefix = source.flag("add_prefix_space", true);
    let scheme = match (prefix, source.flag("legacy", false)) {
        (false, _) => "never",
        (true, true) => "always",
        (true, false) => "first",
    };
    let ids = source.ids();
    Ok(json!({
        "version": "1.0",
        "pre_tokenizer": spaces_before(scheme),
        "decoder": decoder(true, true, prefix),
        "model": { "type": "BPE", "fuse_unk": true, "byte_fallback": true, "vocab": ids, "merges": merges_by_id(&ids) },
    }))
}

/// `GemmaTokenizer`.
pub(super) fn gemma(source: &Source) -> Result<Value, String> {
    let ids = source.ids();
    let unknown = source.side.named("unk_token");
    Ok(json!({
        "version": "1.0",
        "normalizer": replace(json!({ "String": " " }), SPACE),
        "pre_tokenizer": {
            "type": "Split", "pattern": { "String": " " }, "behavior": "MergedWithPrevious", "invert": false
        },
        "decoder": decoder(true, true, false),
        "model": {
            "type": "BPE", "unk_token": unknown, "fuse_unk": true, "byte_fallback": true, "vocab": ids,
            "merges": merges_by_id(&ids),
        },
    }))
}

/// What the model file itself says, which is what transformers follows where it has no class for the tokenizer
/// (`SpmConverter.build_tokenizer_from_spm_proto`).
pub(super) fn general(source: &Source) -> Result<Value, String> {
    let proto = &source.model.proto;
    let legacy = source.flag("legacy", true);
    let mut texts: Vec<&str> = proto.pieces.iter().map(|piece| piece.text.as_str()).collect();
    let is_unigram = proto.model_type == 1;
    if !is_unigram {
        rename(&mut texts, source.side);
    }
    let whole: Vec<&str> = (proto.pieces.iter().zip(&texts))
        .filter(|(piece, _)| piece.kind == PieceKind::UserDefined)
        .map(|(_, text)| *text)
        .collect();
    let model = if is_unigram {
        let vocab: Vec<Value> =
            proto.pieces.iter().map(|piece| json!([piece.text, f64::from(piece.score)])).collect();
        if !usize::try_from(proto.unk.0).is_ok_and(|id| id < vocab.len()) {
            return Err("has no piece for what is unknown".into());
        }
        json!({ "type": "Unigram", "unk_id": proto.unk.0, "vocab": vocab, "byte_fallback": proto.byte_fallback })
    } else {
        let ids: BTreeMap<&str, usize> = texts.iter().enumerate().map(|(id, text)| (*text, id)).collect();
        json!({
            "type": "BPE", "unk_token": proto.unk.1, "fuse_unk": true, "byte_fallback": proto.byte_fallback,
            "ignore_merges": !whole.is_empty(), "vocab": ids, "merges": merges_by_score(proto, &texts),
        })
    };
    let mut normalizers = Vec::new();
    if !proto.charsmap.is_empty() {
        let table = base64(source.model.bytes.get(proto.charsmap.clone()).unwrap_or_default());
        normalizers.push(json!({ "type": "Precompiled", "precompiled_charsmap": table }));
    }
    if proto.remove_extra_whitespaces {
        normalizers.push(replace(json!({ "Regex": r"\A +| +\z" }), ""));
        normalizers.push(replace(json!({ "Regex": " {2,}" }), " "));
    }
    if proto.escape_whitespaces {
        normalizers.push(replace(json!({ "String": " " }), SPACE));
    }
    if proto.add_dummy_prefix && legacy {
        normalizers.push(replace(json!({ "Regex": r"\A▁" }), "▁▁"));
    }
    let mut splitters = Vec::new();
    if proto.add_dummy_prefix {
        splitters.push(spaces_before(if legacy { "always" } else { "first" }));
    }
    if !whole.is_empty() {
        let mut longest_first = whole.clone();
        longest_first.sort_by_key(|text| std::cmp::Reverse(text.chars().count()));
        let pattern = longest_first.iter().map(|text| escaped(text)).collect::<Vec<_>>().join("|");
        splitters.push(json!({
            "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false
        }));
    }
    let (bytes, prefix) = (source.byte_fallback(), proto.add_dummy_prefix);
    Ok(json!({
        "version": "1.0",
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": (!splitters.is_empty()).then(|| json!({ "type": "Sequence", "pretokenizers": splitters })),
        "decoder": decoder(bytes, bytes || prefix, prefix),
        "model": model,
    }))
}

/// Gives pieces the names that `tokenizer_config.json` has for their ids, unless another piece has that name.
fn rename<'a>(texts: &mut [&'a str], side: &'a SideFiles) {
    let names: HashMap<usize, &str> =
        side.described().filter_map(|(id, text)| Some((usize::try_from(id).ok()?, text))).collect();
    let kept: HashSet<&str> =
        texts.iter().enumerate().filter(|(id, _)| !names.contains_key(id)).map(|(_, text)| *text).collect();
    for (id, text) in texts.iter_mut().enumerate() {
        if let Some(name) = names.get(&id).filter(|name| !kept.contains(**name)) {
            *text = name;
        }
    }
}

/// All ways to make a normal piece of two others, better pieces first.
fn merges_by_score(proto: &ModelProto, texts: &[&str]) -> Vec<Value> {
    let pieces = proto.pieces.iter().enumerate().zip(texts);
    let normal: HashMap<&str, (f32, usize)> = pieces
        .filter(|((_, piece), _)| piece.kind == PieceKind::Normal)
        .map(|((id, piece), text)| (*text, (piece.score, id)))
        .collect();
    let mut found = Vec::new();
    for (&piece, &(score, id)) in &normal {
        for (at, _) in piece.char_indices().skip(1) {
            let (first, second) = piece.split_at(at);
            if normal.contains_key(first) && normal.contains_key(second) {
                found.push((score, id, first, second));
            }
        }
    }
    // Scores are finite; 0 and -0 are equal in Python.
    found.sort_unstable_by(|a, b| {
        b.0.partial_cmp(&a.0)
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| (a.1, a.2, a.3).cmp(&(b.1, b.2, b.3)))
    });
    found.into_iter().map(|(_, _, first, second)| json!([first, second])).collect()
}

/// A text as a pattern that matches it alone.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// Bytes in base64.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            match i <= chunk.len() {
                true => text.push(char::from(LETTERS[(bits >> (18 - 6 * i) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foo\xff"), "Zm9v/w==");
    }

    #[test]
    fn what_is_no_model_says_what_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            Model::read(file.path()).err().unwrap().to_string()
        };
        assert!(error(b"IQ== 0\nIg== 1\n").contains("is a tiktoken file"));
        assert!(error(b"\x0a\x05").contains("cut off"));
        assert!(error(b"").contains("no pieces"));
        // A piece of 600 letters.
        let piece = [&[0x0a, 0xdb, 0x04, 0x0a, 0xd8, 0x04][..], &[b'a'; 600], &[]].concat();
        let found = error(&piece);
        assert!(found.contains("600 characters") || found.contains("cut off"), "{found}");
    }
}

//! SentencePiece vocabularies (Llama 2, Mistral, Phi-3, Gemma): BPE whose merges follow from the scores.

use std::collections::{HashMap, HashSet};

use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{DecoderWrapper, NormalizerWrapper};

use super::vocabulary::Vocabulary;
use crate::{Error, Result};

/// Stands for a space.
const SPACE: &str = "▁";
/// No token is longer than this in characters: bounds the work of finding merges.
const LONGEST: usize = 512;

/// Where the space before the first word comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// Before the text (Llama, Mistral).
    First,
    /// Before every piece between special tokens (Phi-3).
    Pieces,
    /// Nowhere (Gemma, and whoever says so).
    Nowhere,
}

/// The tokenizer, and whether a start token goes before every text by default.
pub(super) fn build(vocabulary: &Vocabulary) -> Result<(tokenizers::Tokenizer, bool)> {
    let gemma = vocabulary.architecture.starts_with("gemma");
    let mut tokens = vocabulary.tokens.clone();
    if gemma {
        // Gemma's files have runs of spaces as spaces.
        for token in tokens.iter_mut().filter(|t| t.len() > 1 && t.bytes().all(|b| b == b' ')) {
            *token = token.replace(' ', SPACE);
        }
    }
    let merges = match vocabulary.texts("merges") {
        Some(lines) => given(vocabulary, &tokens, &lines)?,
        // Gemma's scores do not follow its merges; the order of its tokens does.
        None if gemma => derived(&tokens, &(0..tokens.len()).map(|i| -(i as f32)).collect::<Vec<_>>()),
        None => derived(&tokens, &vocabulary.scores()?),
    };
    let vocab: Vocab = tokens.iter().cloned().zip(0..).collect();
    let mut model = BPE::builder().vocab_and_merges(vocab, merges).byte_fallback(true).fuse_unk(true);
    if let Some(unknown) = vocabulary.id("unknown_token_id").and_then(|id| tokens.get(id as usize)) {
        model = model.unk_token(unknown.clone());
    }
    let model = model.build().map_err(|e| vocabulary.error(format!("has a broken vocabulary: {e}")))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let prefix = match vocabulary.flag("add_space_prefix") {
        Some(false) => Prefix::Nowhere,
        _ if gemma => Prefix::Nowhere,
        _ if vocabulary.architecture == "phi3" => Prefix::Pieces,
        _ => Prefix::First,
    };
    let broken = |e: tokenizers::Error| Error::msg(format!("a part of the tokenizer is broken: {e}"));
    let replace = Replace::new(" ", SPACE).map_err(broken)?;
    let normalizer: Option<NormalizerWrapper> = match prefix {
        Prefix::First => None,
        Prefix::Pieces => {
            Some(Normalizers::new(vec![Prepend::new(SPACE.into()).into(), replace.into()]).into())
        }
        Prefix::Nowhere => Some(replace.into()),
    };
    inner.with_normalizer(normalizer).map_err(broken)?;
    if prefix == Prefix::First {
        inner.with_pre_tokenizer(Some(Metaspace::new('▁', PrependScheme::First, false)));
    }
    let mut decoders: Vec<DecoderWrapper> = vec![
        Replace::new(SPACE, " ").map_err(broken)?.into(),
        ByteFallback::new().into(),
        Fuse::new().into(),
    ];
    if prefix != Prefix::Nowhere {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    inner.with_decoder(Some(Decoders::new(decoders)));
    Ok((inner, true))
}

/// The merges that the file lists.
fn given(vocabulary: &Vocabulary, tokens: &[String], lines: &[String]) -> Result<Vec<(String, String)>> {
    let known: HashSet<&str> = tokens.iter().map(String::as_str).collect();
    let merges = lines.iter().map(|line| {
        let (a, b) = line.split_once(' ')?;
        let sound = known.contains(a) && known.contains(b) && known.contains(format!("{a}{b}").as_str());
        sound.then(|| (a.to_string(), b.to_string()))
    });
    let merges: Option<Vec<_>> = merges.collect();
    merges.ok_or_else(|| vocabulary.error("is damaged: \"tokenizer.ggml.merges\" has merges of no tokens"))
}

/// The merges that a vocabulary implies: every way to make a token from two others, better tokens first.
/// Among equals, transformers takes the longer left part, then the longer right part, then file order.
fn derived(tokens: &[String], scores: &[f32]) -> Vec<(String, String)> {
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().map(|(id, t)| (t.as_str(), id)).collect();
    let mut found = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        // A repeated token counts once, as its last.
        if ids.get(token.as_str()) != Some(&id) {
            continue;
        }
        let length = token.chars().count();
        if !(2..=LONGEST).contains(&length) {
            continue;
        }
        let from = found.len();
        for (left, (at, _)) in token.char_indices().enumerate().skip(1) {
            let (a, b) = token.split_at(at);
            if let (Some(&a), Some(&b)) = (ids.get(a), ids.get(b)) {
                found.push((scores.get(id).copied().unwrap_or(0.0), left, length - left, a, b));
            }
        }
        found[from..].sort_by_key(|&(.., a, b)| (a, b));
    }
    found.sort_by(|x, y| y.0.total_cmp(&x.0).then(y.1.cmp(&x.1)).then(y.2.cmp(&x.2)));
    found.into_iter().map(|(.., a, b)| (tokens[a].clone(), tokens[b].clone())).collect()
}

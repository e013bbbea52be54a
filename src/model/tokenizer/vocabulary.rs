//! The tokens of a GGUF file, which both kinds of tokenizers are built from.

use tokenizers::AddedToken;

use crate::library::gguf::GgufFile;
use crate::{Error, Result};

/// Kinds of tokens, as numbered in `tokenizer.ggml.token_type`.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// What ends a turn or a text in the families' vocabularies. llama.cpp takes these tokens for control tokens that end
/// a generation, whatever the metadata say, since converters have left it out.
const ENDS: [&str; 15] = [
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|return|>",
    "<|call|>",
    "<｜end▁of▁sentence｜>",
];

/// The tokens of a file and their settings.
pub(super) struct Vocabulary<'a> {
    pub file: &'a GgufFile,
    pub architecture: &'a str,
    pub tokens: Vec<String>,
    /// As many as tokens, or none.
    types: Vec<u64>,
}

impl<'a> Vocabulary<'a> {
    /// Reads the tokens; there can be no more than the model has embeddings.
    pub fn read(file: &'a GgufFile, embeddings: usize) -> Result<Self> {
        let key = "tokenizer.ggml.tokens";
        let Some(array) = file.array(key).filter(|a| a.texts().is_some()) else {
            return Err(file.error(format!("lacks the list \"{key}\"")));
        };
        // Also bounds the memory that a damaged list can take by the file's size.
        if array.len() > embeddings {
            return Err(file.error(format!(
                "has a tokenizer of {} tokens for {embeddings} embeddings: it is damaged",
                array.len()
            )));
        }
        let tokens: Vec<String> = array.texts().into_iter().flatten().map(|t| t.into_owned()).collect();
        let types: Vec<u64> = match file.array("tokenizer.ggml.token_type") {
            Some(types) => types.numbers().into_iter().flatten().map(|n| n.as_u64().unwrap_or(0)).collect(),
            None => Vec::new(),
        };
        if !types.is_empty() && types.len() != tokens.len() {
            let (types, tokens) = (types.len(), tokens.len());
            return Err(file.error(format!("is damaged: it has {types} token types for {tokens} tokens")));
        }
        let architecture = file.text("general.architecture").unwrap_or_default();
        Ok(Self { file, architecture, tokens, types })
    }

    pub fn error(&self, problem: impl Into<String>) -> Error {
        self.file.error(problem)
    }

    /// The token id under `tokenizer.ggml.<key>`.
    pub fn id(&self, key: &str) -> Option<u32> {
        let id = self.file.scalar(&format!("tokenizer.ggml.{key}"))?.as_u64()?;
        u32::try_from(id).ok().filter(|&id| (id as usize) < self.tokens.len())
    }

    /// The truth value under `tokenizer.ggml.<key>`.
    pub fn flag(&self, key: &str) -> Option<bool> {
        Some(self.file.scalar(&format!("tokenizer.ggml.{key}"))?.as_f64() != 0.0)
    }

    /// The list of texts under `tokenizer.ggml.<key>`.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        let array = self.file.array(&format!("tokenizer.ggml.{key}"))?;
        Some(array.texts()?.map(|t| t.into_owned()).collect())
    }

    /// Scores of the tokens.
    pub fn scores(&self) -> Result<Vec<f32>> {
        let array = self.file.array("tokenizer.ggml.scores");
        let scores: Vec<f32> =
            array.and_then(|a| Some(a.numbers()?.map(|n| n.as_f64() as f32).collect())).unwrap_or_default();
        if scores.len() != self.tokens.len() {
            return Err(self.error("lacks a score for each token (\"tokenizer.ggml.scores\")"));
        }
        Ok(scores)
    }

    /// Ids of the tokens that end a turn or a text by their [`ENDS`].
    pub fn named_ends(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.tokens).filter(|(_, token)| ENDS.contains(&token.as_str())).map(|(id, _)| id)
    }

    /// Tokens that are matched before anything is split: control tokens and those that users defined.
    pub fn added(&self) -> Vec<AddedToken> {
        let kinds = self.types.iter().copied().chain(std::iter::repeat(0));
        let tokens = self.tokens.iter().zip(kinds);
        tokens
            .filter_map(|(token, kind)| match kind {
                _ if token.is_empty() => None,
                _ if ENDS.contains(&token.as_str()) => {
                    Some(AddedToken::from(token.clone(), true).normalized(false))
                }
                CONTROL => Some(AddedToken::from(token.clone(), true).normalized(false)),
                USER_DEFINED => Some(AddedToken::from(token.clone(), false).normalized(false)),
                _ => None,
            })
            .collect()
    }
}

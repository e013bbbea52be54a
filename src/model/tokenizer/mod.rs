//! Text to token ids and back, with the ids that transformers gives.

mod byte_level;
mod from_gguf;
mod json;
mod sentence_piece;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::path::Path;

use crate::{Error, Result};

/// A tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The token that transformers puts before every text, if it does so.
    pub start_id: Option<u32>,
    /// Ids that end a text.
    pub end_ids: Vec<u32>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("end_ids", &self.end_ids).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json`, which is followed to the letter. `end_ids` come from the model's configuration.
    pub fn from_file(path: &Path, end_ids: Vec<u32>) -> Result<Self> {
        let text = super::checkpoint::read_text(path)?;
        json::check_merges(&text).map_err(|problem| Error::file(path, problem))?;
        let inner = text
            .parse::<tokenizers::Tokenizer>()
            .map_err(|e| Error::file(path, format!("is not a readable tokenizer: {e}")))?;
        let start = inner.encode_fast("", true).ok().and_then(|e| e.get_ids().first().copied());
        let start_id = start.filter(|id| !end_ids.contains(id));
        Ok(Self { inner, start_id, end_ids })
    }

    /// Checks that a vocabulary of `size` embeddings has room for it; `path` is the model's.
    pub(crate) fn check_size(&self, path: &Path, size: usize) -> Result<()> {
        // Added tokens may lie past the end: fine-tunes add padding that no text contains.
        let tokens = self.inner.get_vocab_size(false);
        if tokens > size {
            return Err(Error::file(
                path,
                format!(
                    "has a tokenizer of {tokens} tokens for {size} embeddings: they belong to different models"
                ),
            ));
        }
        Ok(())
    }

    /// Token ids of `text`, special tokens in it recognised, none added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|e| Error::msg(format!("the text cannot be tokenised: {e}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Token ids of a text that begins a sequence: [`Self::encode`] after the token that transformers puts
    /// first, unless the text spells it.
    pub fn encode_start(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode_start_spans(text)?.0)
    }

    /// [`Self::encode_start`] and the bytes of `text` that each token covers.
    pub fn encode_start_spans(&self, text: &str) -> Result<(Vec<u32>, Vec<(usize, usize)>)> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|e| Error::msg(format!("the text cannot be tokenised: {e}")))?;
        let (mut ids, mut spans) = (encoding.get_ids().to_vec(), encoding.get_offsets().to_vec());
        if let Some(start) = self.start_id.filter(|&id| ids.first() != Some(&id)) {
            ids.insert(0, start);
            spans.insert(0, (0, 0));
        }
        Ok((ids, spans))
    }

    /// Text of `ids`; special tokens are left out when `skip_special`.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner
            .decode(ids, skip_special)
            .map_err(|e| Error::msg(format!("the tokens cannot be decoded: {e}")))
    }

    /// What each token of a sequence adds to its text. Bytes of a character that several tokens share show
    /// up with the last of them.
    pub fn pieces(&self, ids: &[u32]) -> Vec<String> {
        let mut pieces = Vec::with_capacity(ids.len());
        let mut from = 0;
        for i in 0..ids.len() {
            let text = self.decode(&ids[from..=i], false).unwrap_or_default();
            if text.ends_with('\u{fffd}') && i + 1 < ids.len() && i - from < 4 {
                pieces.push(String::new());
            } else {
                pieces.push(text);
                from = i + 1;
            }
        }
        pieces
    }

    /// The id of a token that is spelled exactly so.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of tokens, added ones included.
    pub fn len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Whether it has no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
